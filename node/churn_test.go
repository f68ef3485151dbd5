package node

import (
	"encoding/binary"
	"flag"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/quorumail/quorumail/proto/imapnum"
	pb "github.com/quorumail/quorumail/proto/quorumail/v1"
)

var (
	churnLive  = flag.Int("churn-live", 8, "MiB of mail that TestDiskUseAfterChurn keeps")
	churnTimes = flag.Int("churn-times", 4, "how many times all of it is replaced")
)

// After all mail was replaced several times, and the undelete window is over, the state
// takes at most 1.3 times the room of what is there. Time does not matter to Pebble but
// for the age of blob files, so that is set to nothing.
func TestDiskUseAfterChurn(t *testing.T) {
	cfg := (&Config{FS: vfs.NewMem(), Undelete: time.Minute, MemTable: 4 << 20}).withDefaults()
	cfg.blobAge = time.Millisecond
	b := newMachineBenchOf(t, cfg)
	u := newUpkeep(&Node{cfg: cfg, log: cfg.Log}, b.fsm)
	b.apply(&pb.Entry{Account: "alice", Op: &pb.Entry_CreateAccount{CreateAccount: &pb.CreateAccountOp{UidValiditySeed: 1}}})
	const size, group = 32 << 10, 32
	n := *churnLive << 20 / size
	rng := rand.New(rand.NewPCG(1, 2))
	for i := 0; i < n*(1+*churnTimes); i += group {
		var msgs []*pb.AppendMessage
		for k := range group {
			body := make([]byte, size)
			for at := 0; at < size; at += 8 {
				binary.LittleEndian.PutUint64(body[at:], rng.Uint64())
			}
			id := binary.BigEndian.AppendUint64(make([]byte, 8), uint64(i+k))
			msgs = append(msgs, &pb.AppendMessage{
				Email:  &pb.Email{Size: size, BodyId: id},
				Inline: []*pb.BodyChunk{{RawSize: size, Codec: pb.Codec_CODEC_RAW, Data: body}},
			})
		}
		b.apply(&pb.Entry{Account: "alice", Op: &pb.Entry_Append{Append: &pb.AppendOp{Mailbox: "INBOX", Messages: msgs}}})
		if i >= n {
			old := imapnum.SetOfRange(imapnum.UID(i-n+1), imapnum.UID(i-n+group))
			b.apply(&pb.Entry{Account: "alice", Op: &pb.Entry_Expunge{Expunge: &pb.ExpungeOp{
				MailboxId: 1, Uids: &pb.UidSet{Packed: old.Pack()}, UndeletedToo: true,
			}}})
		}
		b.now = b.now.Add(time.Second)
		b.upkeep(u)
	}
	b.now = b.now.Add(time.Hour)
	for range 5 {
		b.upkeep(u)
	}
	live := b.live()
	if err := b.db.Flush(); err != nil {
		t.Fatal(err)
	}
	deadline := time.Now().Add(60 * time.Second)
	for {
		if err := dropGarbage(t.Context(), b.db); err != nil {
			t.Fatal(err)
		}
		disk := diskUse(t, cfg.FS, "state")
		ratio := float64(disk) / float64(live)
		if ratio <= 1.3 {
			t.Logf("live %d octets, on disk %d, ratio %.2f", live, disk, ratio)
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("%d octets are live, but %d on disk\n%s", live, disk, b.db.Metrics())
		}
		time.Sleep(50 * time.Millisecond)
	}
}

// upkeep is a round of upkeep.
func (b *machineBench) upkeep(u *upkeep) {
	b.t.Helper()
	entries, err := u.plan(b.now)
	if err != nil {
		b.t.Fatal(err)
	}
	if len(entries) > 0 {
		b.apply(entries...)
	}
}

// live returns the octets of all keys and values.
func (b *machineBench) live() (octets int64) {
	b.t.Helper()
	it, err := b.db.NewIter(nil)
	if err != nil {
		b.t.Fatal(err)
	}
	for ok := it.First(); ok; ok = it.Next() {
		octets += int64(len(it.Key()) + len(it.Value()))
	}
	if err := it.Close(); err != nil {
		b.t.Fatal(err)
	}
	return octets
}

// diskUse returns the octets of all files in a directory.
func diskUse(t *testing.T, f vfs.FS, dir string) (octets int64) {
	t.Helper()
	names, err := f.List(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range names {
		if info, err := f.Stat(f.PathJoin(dir, name)); err == nil { // it may have been removed just now
			octets += info.Size()
		}
	}
	return octets
}
