package raftfsm

import (
	"testing"

	pb "github.com/quorumail/quorumail/proto/quorumail/v1"
)

// However long an account has had nothing staged, the id of a body that is being
// staged is taken, until it is appended or has expired, and then taken by the message.
func TestStagedBodyIDIsTaken(t *testing.T) {
	for _, before := range []int{0, 1, 2, 3, 9} {
		m := newMachine(t)
		m.ok(newAccount())
		for range before {
			m.ok(m.mail("INBOX"))
		}
		entry := m.mail("INBOX") // it has the id of
		msg := entry.GetAppend().GetMessages()[0]
		id, chunk := msg.GetEmail().GetBodyId(), msg.GetInline()[0]
		// Staged from its end on: there is no chunk at 0.
		late := &pb.BodyChunk{Offset: 1 << 20, RawSize: 4, Codec: pb.Codec_CODEC_RAW, Data: []byte("late")}
		stage := func(id []byte, c *pb.BodyChunk) {
			t.Helper()
			m.ok(&pb.Entry{Account: alice, Op: &pb.Entry_PutChunk{PutChunk: &pb.PutChunkOp{BodyId: id, Chunk: c}}})
		}
		stage(id, late)
		refused := func() {
			t.Helper()
			if res := m.apply(entry)[0]; res.GetCode() != pb.Code_CODE_INVALID {
				t.Fatalf("after %d: %v", before, res)
			}
		}
		for range 5 {
			refused()
		}
		m.restart()
		refused()
		for range 9 { // of others
			m.ok(m.mail("INBOX"))
		}
		refused()
		// Another is staged whole and appended; then nothing but the first is staged.
		other := m.mail("INBOX")
		whole := other.GetAppend().GetMessages()[0]
		stage(whole.GetEmail().GetBodyId(), whole.GetInline()[0])
		whole.Inline = nil
		m.ok(other)
		refused()
		if len(chunk.GetData()) == 0 {
			t.Fatal("the message has no octets")
		}
		m.check(alice)
	}
}
