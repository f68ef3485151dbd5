package raftfsm

import (
	"bytes"
	"testing"

	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"

	pb "github.com/quorumail/quorumail/proto/quorumail/v1"
)

// FuzzDecodeEntry: what is decoded without a copy is what protobuf decodes, and what
// it refuses is refused.
func FuzzDecodeEntry(f *testing.F) {
	seed := &machine{t: f, body: 1000}
	two := seed.mail("INBOX", `\Seen`)
	two.GetAppend().Messages = append(two.GetAppend().Messages, seed.mail("x").GetAppend().GetMessages()...)
	var encoded [][]byte
	for _, e := range []*pb.Entry{seed.mail("INBOX"), two, create("x"), {Account: alice, Op: &pb.Entry_Append{}}} {
		e.Version = EntryVersion
		b, err := proto.Marshal(e)
		if err != nil {
			f.Fatal(err)
		}
		encoded = append(encoded, b)
		f.Add(b)
	}
	// Several operations in one entry: the last counts, and appends are merged.
	f.Add(append(bytes.Clone(encoded[0]), encoded[1]...))
	f.Add(append(bytes.Clone(encoded[0]), encoded[2]...))
	f.Add(protowire.AppendVarint(protowire.AppendTag(bytes.Clone(encoded[0]), entryAppend, protowire.VarintType), 7))
	f.Fuzz(func(t *testing.T, b []byte) {
		var want pb.Entry
		wantErr := proto.Unmarshal(b, &want)
		before := bytes.Clone(b)
		got, err := decodeLarge(b)
		if (err == nil) != (wantErr == nil) {
			t.Fatalf("error %v, protobuf's %v", err, wantErr)
		}
		if err == nil && !proto.Equal(got, &want) {
			t.Fatalf("got  %v\nwant %v", got, &want)
		}
		if !bytes.Equal(b, before) {
			t.Fatal("the octets were changed")
		}
	})
}

// A body is not copied when its entry is decoded.
func TestDecodedBodyIsNotACopy(t *testing.T) {
	m := &machine{t: t}
	e := m.mail("INBOX")
	body := bytes.Repeat([]byte("x"), 3*minLent)
	e.GetAppend().GetMessages()[0].Inline[0].Data = body
	data, err := proto.Marshal(&pb.EntryBatch{Entries: []*pb.Entry{e, create("x")}, Mark: []byte("mark")})
	if err != nil {
		t.Fatal(err)
	}
	batch, err := decodeBatch(data)
	if err != nil || len(batch.GetEntries()) != 2 || string(batch.GetMark()) != "mark" || batch.GetEntries()[1].GetCreateMailbox() == nil {
		t.Fatalf("%v, %v", batch, err)
	}
	got := batch.GetEntries()[0].GetAppend().GetMessages()[0].GetInline()[0].GetData()
	if !bytes.Equal(got, body) || &got[0] != &data[bytes.Index(data, body)] {
		t.Error("the body is a copy, or another")
	}
}
