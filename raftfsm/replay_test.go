package raftfsm

import (
	"encoding/binary"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"google.golang.org/protobuf/proto"

	pb "github.com/quorumail/quorumail/proto/quorumail/v1"
)

var record = flag.Bool("record", false, "record the golden log and its hash anew: replicas of the version before then no longer agree")

// recordedLog is a history with most kinds of entries, as commands in a row,
// each with its length before it.
func recordedLog(t *testing.T) []byte {
	m := &machine{t: t}
	move := func(op *pb.CopyOp) *pb.Entry { return &pb.Entry{Account: alice, Op: &pb.Entry_Copy{Copy: op}} }
	entries := []*pb.Entry{
		newAccount(), create("a"), create("a/b"), m.mail("INBOX", `\Seen`, "word"), m.mail("INBOX"), m.mail("a/b", `\Deleted`),
		store(pb.StoreOp_MODE_ADD, set(1, 2), `\Deleted`, "$Junk"), move(&pb.CopyOp{MailboxId: 1, Uids: set(1), Destination: "a"}),
		move(&pb.CopyOp{MailboxId: 3, Uids: set(1), Destination: "INBOX", Move: true}), expunge(), m.mail("INBOX"),
		{Account: alice, Op: &pb.Entry_RenameMailbox{RenameMailbox: &pb.RenameMailboxOp{From: "INBOX", To: "old", UidValiditySeed: 9}}},
		{Account: alice, Op: &pb.Entry_Subscribe{Subscribe: &pb.SubscribeOp{Name: "a", Subscribed: true}}},
		{Account: alice, Op: &pb.Entry_DeleteMailbox{DeleteMailbox: &pb.DeleteMailboxOp{Name: "a"}}},
		{Account: alice, Op: &pb.Entry_PutChunk{PutChunk: &pb.PutChunkOp{BodyId: session, Chunk: &pb.BodyChunk{Codec: pb.Codec_CODEC_RAW, RawSize: 1, Data: []byte("x")}}}},
		{Account: alice, Op: &pb.Entry_CompactQueue{CompactQueue: &pb.CompactQueueOp{MailboxId: 1, NewFloor: 3, Limit: 10}}},
		{Account: alice, Op: &pb.Entry_Collect{Collect: &pb.CollectOp{BodiesBefore: 12e9, Limit: 2}}},
	}
	var log []byte
	for i, e := range entries {
		e.Version, e.Time = EntryVersion, int64(i+1)*1e9
		e.Request = &pb.RequestId{Session: session, Sequence: uint64(i + 1)}
		data, err := proto.MarshalOptions{Deterministic: true}.Marshal(&pb.EntryBatch{Entries: []*pb.Entry{e}})
		if err != nil {
			t.Fatal(err)
		}
		log = binary.AppendUvarint(log, uint64(len(data)))
		log = append(log, data...)
	}
	return log
}

// A log that was recorded once always leads to the same keyspace: replicas that
// run different builds must agree, and so must a restart with an upgrade.
func TestRecordedLogIsReplayedTheSame(t *testing.T) {
	logFile, sumFile := filepath.Join("testdata", "log-v1.bin"), filepath.Join("testdata", "log-v1.hash")
	if *record {
		if err := os.MkdirAll("testdata", 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(logFile, recordedLog(t), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	log, err := os.ReadFile(logFile)
	if err != nil {
		t.Fatal(err)
	}
	m := newMachine(t)
	for len(log) > 0 {
		data, rest, ok := cutBytes(log)
		if !ok {
			t.Fatal("the recorded log is cut short")
		}
		log = rest
		m.index++
		res, err := m.f.ApplyBatch([]Command{{Index: m.index, Term: 1, Data: data}})
		if err != nil {
			t.Fatal(err)
		}
		if code := res[0][0].GetCode(); code != pb.Code_CODE_OK {
			t.Fatalf("entry %d: %v", m.index, res[0][0])
		}
	}
	m.check(alice)
	got := m.f.hashForTest(t)
	if *record {
		if err := os.WriteFile(sumFile, []byte(got+"\n"), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(sumFile)
	if err != nil {
		t.Fatal(err)
	}
	if got != strings.TrimSpace(string(want)) {
		t.Errorf("the keyspace hashes to %s, want %s", got, want)
	}
}
