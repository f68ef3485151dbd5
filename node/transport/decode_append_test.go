package transport

import (
	"testing"
	"time"

	"github.com/hashicorp/raft"
	"google.golang.org/protobuf/proto"

	pb "github.com/quorumail/quorumail/proto/quorumail/v1"
)

// What is read field by field is what the generated code reads.
func TestDecodeAppend(t *testing.T) {
	want := &pb.RaftAppend{Term: 3, PrevIndex: 1 << 40, PrevTerm: 2, CommitIndex: 7, Entries: []*pb.RaftEntry{
		{Index: 1<<40 + 1, Term: 2, Type: uint32(raft.LogCommand), Data: []byte("one"), AppendedAt: 5},
		{Index: 1<<40 + 2, Term: 3, Type: uint32(raft.LogNoop)},
		{Index: 1<<40 + 3, Term: 3, Type: uint32(raft.LogCommand), Data: []byte("three"), Extensions: []byte("x")},
	}}
	b, err := proto.Marshal(want)
	if err != nil {
		t.Fatal(err)
	}
	r, err := decodeAppend(b, "a")
	if err != nil {
		t.Fatal(err)
	}
	got := &pb.RaftAppend{Term: r.Term, PrevIndex: r.PrevLogEntry, PrevTerm: r.PrevLogTerm, CommitIndex: r.LeaderCommitIndex}
	for _, l := range r.Entries {
		e := &pb.RaftEntry{Index: l.Index, Term: l.Term, Type: uint32(l.Type), Data: l.Data, Extensions: l.Extensions}
		if !l.AppendedAt.IsZero() {
			e.AppendedAt = l.AppendedAt.Sub(time.Unix(0, 0)).Nanoseconds()
		}
		got.Entries = append(got.Entries, e)
	}
	if !proto.Equal(got, want) {
		t.Errorf("got  %v\nwant %v", got, want)
	}
	for n := range b {
		m := &pb.RaftAppend{}
		_, err := decodeAppend(b[:n], "a")
		if bad := proto.Unmarshal(b[:n], m) != nil; bad && err == nil {
			t.Errorf("the first %d octets are taken, and are not well formed", n)
		} else if !bad && err != nil {
			t.Errorf("the first %d octets: %v", n, err)
		}
	}
}
