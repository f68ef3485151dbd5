package transport

import (
	"bytes"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/hashicorp/raft"
	"google.golang.org/protobuf/proto"

	pb "github.com/quorumail/quorumail/proto/quorumail/v1"
)

// What is written field by field, in parts, is what the generated code writes; and
// large data are not copied.
func TestEncodeAppend(t *testing.T) {
	large := bytes.Repeat([]byte("data"), minPart)
	for name, r := range map[string]*raft.AppendEntriesRequest{
		"nothing": {},
		"head":    {Term: 3, PrevLogEntry: 1 << 40, PrevLogTerm: 2, LeaderCommitIndex: 7},
		"entries": {Term: 3, Entries: []*raft.Log{
			{}, {Index: 1 << 40, Term: 2, Type: raft.LogNoop, AppendedAt: time.Unix(1, 5)},
			{Index: 1, Term: 1, Type: raft.LogConfiguration, Data: []byte("small"), Extensions: []byte("x")},
		}},
		"large entries": {Term: 3, Entries: []*raft.Log{
			{Index: 1, Term: 1, Data: large, AppendedAt: time.Unix(-1, 0)}, {Index: 2, Term: 1, Data: large[:minPart], Extensions: large},
			{Index: 3, Term: 1, Data: large[:minPart-1]}, {Index: 4, Term: 1, Data: large},
		}},
	} {
		m := &pb.RaftAppend{Term: r.Term, PrevIndex: r.PrevLogEntry, PrevTerm: r.PrevLogTerm, CommitIndex: r.LeaderCommitIndex}
		for _, e := range r.Entries {
			entry := &pb.RaftEntry{Index: e.Index, Term: e.Term, Type: uint32(e.Type), Data: e.Data, Extensions: e.Extensions}
			if !e.AppendedAt.IsZero() {
				entry.AppendedAt = e.AppendedAt.UnixNano()
			}
			m.Entries = append(m.Entries, entry)
		}
		want, err := proto.MarshalOptions{Deterministic: true}.Marshal(m)
		if err != nil {
			t.Fatal(err)
		}
		got := encodeAppend(r)
		if all := slices.Concat(got...); !bytes.Equal(all, want) || got.size() != len(want) {
			t.Errorf("%s: got %x, want %x", name, all, want)
		}
		shared := 0
		for _, part := range got {
			if len(part) >= minPart && &part[0] == &large[0] {
				shared++
			}
		}
		if want := map[string]int{"large entries": 4}[name]; shared != want {
			t.Errorf("%s: %d parts are not copied, want %d", name, shared, want)
		}
	}
}

// Frames are put together from parts of any size as they were, whatever is cut where.
func TestFramesInParts(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	data := make([]byte, 3<<20)
	for i := range data {
		data[i] = byte(rng.Uint32())
	}
	sizes := []int{0, 1, minPart - 1, minPart, minPart + 1, pieceBytes - 1, pieceBytes, pieceBytes + 1, 2*pieceBytes + 5}
	var want []*pb.RaftFrame
	var got []*pb.RaftFrame
	var a assembler
	messages := 0
	b := &batcher{send: func(list []outFrame) error {
		messages++
		parts, err := encodeFrames(list)
		if err != nil {
			return err
		}
		m := &pb.ExchangeRequest{}
		octets := slices.Concat(parts...)
		if err := proto.Unmarshal(octets, m); err != nil {
			return err
		}
		if len(octets) > batchBytes+pieceBytes {
			t.Errorf("a message of %d octets", len(octets))
		}
		for _, piece := range m.GetFrames() {
			f, err := a.add(piece)
			if err != nil {
				return err
			}
			if f != nil {
				got = append(got, f)
			}
		}
		return nil
	}}
	for seq := range uint64(200) {
		var payload pieces
		for range rng.IntN(5) {
			from := rng.IntN(1000)
			payload = append(payload, data[from:from+sizes[rng.IntN(len(sizes))]])
		}
		f := &pb.RaftFrame{Group: 3, Seq: seq + 1, Kind: pb.RaftFrame_KIND_APPEND}
		whole := proto.CloneOf(f)
		whole.Payload = slices.Concat(payload...)
		want = append(want, whole)
		if err := b.add(f, payload); err != nil {
			t.Fatal(err)
		}
		if rng.IntN(3) == 0 {
			if err := b.flush(); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := b.flush(); err != nil {
		t.Fatal(err)
	}
	if len(got) != len(want) || messages < 100 {
		t.Fatalf("%d frames in %d messages, want %d", len(got), messages, len(want))
	}
	for i := range want {
		if !proto.Equal(got[i], want[i]) {
			t.Fatalf("frame %d has %d octets, want %d, or others", i, len(got[i].GetPayload()), len(want[i].GetPayload()))
		}
	}
}
