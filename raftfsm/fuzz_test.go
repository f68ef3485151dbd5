package raftfsm

import (
	"bytes"
	"testing"

	"google.golang.org/protobuf/proto"

	"github.com/quorumail/quorumail/proto/imapnum"
	pb "github.com/quorumail/quorumail/proto/quorumail/v1"
)

// FuzzApply: whatever stands in a log entry, Apply does not fail, and leaves an
// account whose records agree.
func FuzzApply(f *testing.F) {
	seed := &machine{t: f, body: 1000}
	for _, e := range []*pb.Entry{
		seed.mail("INBOX", `\Seen`), create("x"), store(pb.StoreOp_MODE_ADD, set(1, 2), "word"), expunge(),
		{Account: alice, Op: &pb.Entry_Copy{Copy: &pb.CopyOp{MailboxId: 1, Uids: set(1), Destination: "INBOX", Move: true}}},
		{Account: alice, Op: &pb.Entry_RenameMailbox{RenameMailbox: &pb.RenameMailboxOp{From: "INBOX", To: "y"}}},
		{Account: alice, Op: &pb.Entry_PutChunk{PutChunk: &pb.PutChunkOp{BodyId: session, Chunk: &pb.BodyChunk{Codec: 1, RawSize: 1, Data: []byte("x")}}}},
		{Account: alice, Op: &pb.Entry_Collect{Collect: &pb.CollectOp{BodiesBefore: 1 << 60, Limit: 5}}},
		{Account: alice, Op: &pb.Entry_Replace{Replace: &pb.ReplaceOp{Append: seed.mail("INBOX", "word").GetAppend(), MailboxId: 1, Uid: 1}}},
		grant("INBOX", bob, "lrswi"), as(bob, seed.mail("INBOX", "word")),
		setQuota(1, 2, nil), annotation("INBOX", "/private/comment", "x", "/shared/a", nil),
		{Account: alice, Op: &pb.Entry_Append{Append: &pb.AppendOp{Mailbox: "INBOX", Messages: []*pb.AppendMessage{{EmailUpload: session}}}}},
		{Account: alice, Op: &pb.Entry_DeleteAccount{}},
	} {
		e.Version = EntryVersion
		data, err := proto.Marshal(&pb.EntryBatch{Entries: []*pb.Entry{e, e}})
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		m := newMachine(t)
		m.ok(newAccount())
		m.ok(m.mail("INBOX", `\Deleted`))
		m.ok(m.mail("INBOX", "word"))
		m.index++
		if _, err := m.f.ApplyBatch([]Command{{Index: m.index, Term: 1, Data: data}}); err != nil {
			t.Fatal(err)
		}
		v, err := m.f.View()
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = v.Close() }()
		if _, err := v.Account(alice); err == nil {
			m.check(alice)
		}
	})
}

// FuzzRecords: decoding takes any octets, and what it accepts is what encoding
// makes.
func FuzzRecords(f *testing.F) {
	rec := messageRecord{modSeq: 5, system: 3, keywords: []uint32{1, 7}, internalDate: -5, zoneMinutes: -90, size: 1 << 40, emailID: 9, saveDate: 3}
	f.Add(rec.encode())
	rec.threadID = 7
	f.Add(rec.encode())
	f.Add(encodeSet(imapnum.SetOf(1, 2, 9)))
	f.Add(encodeChunk(&pb.BodyChunk{Codec: 2, RawSize: 5, Data: []byte("abc")}))
	f.Fuzz(func(t *testing.T, b []byte) {
		if m, err := decodeMessage(b); err == nil {
			if again, err := decodeMessage(m.encode()); err != nil || !bytes.Equal(again.encode(), m.encode()) {
				t.Fatalf("message %+v: %+v, %v", m, again, err)
			}
		}
		if s, err := decodeSet(b); err == nil {
			if again, err := decodeSet(encodeSet(s)); err != nil || !again.Equal(s) {
				t.Fatalf("set %v: %v, %v", s, again, err)
			}
		}
		if a, err := decodeAccount(b); err == nil {
			if again, err := decodeAccount(a.encode()); err != nil || !bytes.Equal(again.encode(), a.encode()) {
				t.Fatalf("account %+v: %+v, %v", a, again, err)
			}
		}
		_, _ = decodeUpload(b)
		_, _ = decodeRemembered(b)
		_, _ = decodeApplied(b)
		_, _ = decodeMetadataUse(b)
		if r, err := decodeMetadata(b); err == nil && !bytes.Equal(r.encode(), b) {
			if again, err := decodeMetadata(r.encode()); err != nil || again.modSeq != r.modSeq || !bytes.Equal(again.value, r.value) {
				t.Fatalf("annotation %+v: %+v, %v", r, again, err)
			}
		}
		_, _ = decodeChunk(0, b)
	})
}

// FuzzImport: a stream that is no whole export changes nothing.
func FuzzImport(f *testing.F) {
	m := newMachine(f)
	m.ok(newAccount())
	m.ok(m.mail("INBOX"))
	v, err := m.f.View()
	if err != nil {
		f.Fatal(err)
	}
	var export bytes.Buffer
	if err := v.Export(&export); err != nil {
		f.Fatal(err)
	}
	_ = v.Close() // it has been read
	f.Add(export.Bytes())
	f.Add([]byte(exportMagic))
	f.Fuzz(func(t *testing.T, b []byte) {
		other := newMachine(t)
		other.ok(newAccount())
		before := other.f.hashForTest(t)
		if err := other.f.Import(bytes.NewReader(b)); err != nil && other.f.hashForTest(t) != before {
			t.Fatal("a refused import has changed the state")
		}
	})
}
