package wire

import (
	"bytes"
	"slices"
	"testing"

	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"

	pb "github.com/quorumail/quorumail/proto/quorumail/v1"
)

// printedAs is what print prints.
func printedAs(utf8 bool, print func(*Writer)) string {
	var out bytes.Buffer
	w := NewWriter(&out)
	w.SetUTF8(utf8)
	print(w)
	_ = w.Flush()
	return out.String()
}

// checkStored compares what is printed from octets with what is printed from the
// message that they are.
func checkStored(t *testing.T, octets []byte) {
	e := &pb.Email{}
	if proto.Unmarshal(octets, e) != nil {
		e.Reset()
	}
	for _, utf8 := range []bool{false, true} {
		got := printedAs(utf8, func(w *Writer) { w.StoredEnvelope(octets) })
		want := printedAs(utf8, func(w *Writer) { w.Envelope(e.GetEnvelope()) })
		if proto.Unmarshal(octets, &pb.Email{}) == nil && got != want {
			t.Errorf("envelope of %x, UTF-8 %v:\ngot  %s\nwant %s", octets, utf8, got, want)
		}
		got = printedAs(utf8, func(w *Writer) { w.StoredStructure(octets, true) })
		want = printedAs(utf8, func(w *Writer) { w.BodyStructure(e.GetStructure(), true) })
		if proto.Unmarshal(octets, &pb.Email{}) == nil && got != want {
			t.Errorf("structure of %x, UTF-8 %v:\ngot  %s\nwant %s", octets, utf8, got, want)
		}
	}
}

// storedEmails are records of all shapes, and octets that are none.
func storedEmails(t interface{ Fatal(...any) }) [][]byte {
	joe := &pb.Address{Name: []byte(`J "o" é`), Mailbox: []byte("joe"), Host: []byte("example.org")}
	group := []*pb.Address{{Mailbox: []byte("team")}, joe, {Route: []byte("@a,@b"), Mailbox: []byte{}}, {}}
	part := &pb.BodyPart{Type: "TEXT", Subtype: "PLAIN", Encoding: "8BIT", Size: 7, Lines: 1, Params: []*pb.Param{{Name: []byte("charset"), Value: []byte("utf-8")}}}
	envelope := &pb.Envelope{
		Date: []byte("Fri, 27 Feb 2026 23:30:00 -0800"), Subject: []byte("Grüße\x00 \\"),
		From: []*pb.Address{joe}, Sender: []*pb.Address{joe}, ReplyTo: []*pb.Address{joe, joe}, To: group, Bcc: group,
		InReplyTo: []byte{}, MessageId: []byte("<1@x>"),
	}
	var all [][]byte
	for _, e := range []*pb.Email{
		{},
		{Size: 3, Envelope: &pb.Envelope{}, Structure: &pb.BodyPart{}},
		{Size: 1 << 40, Envelope: envelope, Structure: part, References: []string{"a"}, Preview: "p", BodyId: make([]byte, 16), EmailId: 9},
		{Envelope: &pb.Envelope{Cc: group}, Structure: &pb.BodyPart{Type: "MESSAGE", Subtype: "RFC822", Parts: []*pb.BodyPart{part}, Envelope: envelope}},
	} {
		b, err := proto.Marshal(e)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, b)
	}
	// A field out of order, one given twice, an envelope in two pieces.
	date := protowire.AppendBytes(protowire.AppendTag(nil, envelopeDate, protowire.BytesType), []byte("d"))
	from := protowire.AppendBytes(protowire.AppendTag(nil, envelopeFrom, protowire.BytesType), nil)
	email := func(envelope []byte) []byte {
		return protowire.AppendBytes(protowire.AppendTag(nil, emailEnvelope, protowire.BytesType), envelope)
	}
	return append(all, email(slices.Concat(from, date)), email(slices.Concat(date, date)), email(slices.Concat(from, date, from)),
		slices.Concat(email(from), email(date)), []byte{0x12}, email([]byte{0x0a, 9}), email([]byte{0x1a, 2, 0x0a, 7}))
}

func TestStoredOctetsPrintAsTheMessage(t *testing.T) {
	for _, b := range storedEmails(t) {
		checkStored(t, b)
	}
}

func FuzzStored(f *testing.F) {
	for _, b := range storedEmails(f) {
		f.Add(b)
	}
	f.Fuzz(checkStored)
}

func BenchmarkEnvelope(b *testing.B) {
	octets := storedEmails(b)[2]
	w := NewWriter(discard{})
	b.Run("message", func(b *testing.B) {
		for b.Loop() {
			e := &pb.Email{}
			if err := proto.Unmarshal(octets, e); err != nil {
				b.Fatal(err)
			}
			w.Envelope(e.GetEnvelope())
		}
	})
	b.Run("octets", func(b *testing.B) {
		for b.Loop() {
			w.StoredEnvelope(octets)
		}
	})
}

type discard struct{}

func (discard) Write(p []byte) (int, error) { return len(p), nil }
