package shard

import (
	"fmt"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/hashicorp/raft"

	pb "github.com/quorumail/quorumail/proto/quorumail/v1"
)

func TestBound(t *testing.T) {
	note := &pb.SnapshotNote{Index: 10, Term: 3}
	entries := func(first, n, term uint64) []*raft.Log {
		var out []*raft.Log
		for i := range n {
			out = append(out, &raft.Log{Index: first + i, Term: term})
		}
		return out
	}
	for _, c := range []struct {
		name             string
		note             *pb.SnapshotNote
		prev, prevTerm   uint64
		entries          []*raft.Log
		commit           uint64
		first, wantPrev  uint64 // first: 0: none is left
		wantLeft         int
		wantCommit, term uint64
	}{
		{name: "no snapshot", prev: 4, prevTerm: 1, entries: entries(5, 2, 1), commit: 5, first: 5, wantPrev: 4, wantLeft: 2, wantCommit: 5, term: 1},
		{name: "no snapshot, commit is ahead", prev: 4, prevTerm: 1, entries: entries(5, 2, 1), commit: 9, first: 5, wantPrev: 4, wantLeft: 2, wantCommit: 6, term: 1},
		{name: "nothing, commit is ahead", prev: 14, prevTerm: 3, commit: 20, wantPrev: 14, wantCommit: 14, term: 3},
		{name: "the very first", entries: entries(1, 3, 1), commit: 3, first: 1, wantLeft: 3, wantCommit: 3},
		{name: "behind the snapshot", note: note, prev: 11, prevTerm: 3, entries: entries(12, 2, 3), commit: 12, first: 12, wantPrev: 11, wantLeft: 2, wantCommit: 12, term: 3},
		{name: "right behind it", note: note, prev: 10, prevTerm: 3, entries: entries(11, 2, 4), commit: 11, first: 11, wantLeft: 2, wantCommit: 11},
		{name: "from before it", note: note, prev: 7, prevTerm: 2, entries: entries(8, 5, 3), commit: 30, first: 11, wantLeft: 2, wantCommit: 12},
		{name: "from the start", note: note, entries: entries(1, 11, 3), commit: 30, first: 11, wantLeft: 1, wantCommit: 11},
		{name: "up to it", note: note, prev: 7, prevTerm: 2, entries: entries(8, 3, 3), commit: 30, wantCommit: 10},
		{name: "all before it", note: note, prev: 3, prevTerm: 2, entries: entries(4, 3, 2), commit: 30, wantCommit: 10},
		{name: "nothing, before it", note: note, prev: 3, prevTerm: 2, commit: 30, wantCommit: 10},
		{name: "another entry at its index", note: note, prev: 7, prevTerm: 2, entries: entries(8, 5, 4), commit: 30, first: 8, wantPrev: 7, wantLeft: 5, wantCommit: 12, term: 2},
		{name: "another entry there, the one before", note: note, prev: 10, prevTerm: 4, entries: entries(11, 1, 4), commit: 30, first: 11, wantPrev: 10, wantLeft: 1, wantCommit: 11, term: 4},
	} {
		t.Run(c.name, func(t *testing.T) {
			req := &raft.AppendEntriesRequest{PrevLogEntry: c.prev, PrevLogTerm: c.prevTerm, Entries: c.entries, LeaderCommitIndex: c.commit}
			bound(req, c.note)
			first := uint64(0)
			if len(req.Entries) > 0 {
				first = req.Entries[0].Index
			}
			if req.PrevLogEntry != c.wantPrev || req.PrevLogTerm != c.term || first != c.first || len(req.Entries) != c.wantLeft || req.LeaderCommitIndex != c.wantCommit {
				t.Errorf("after %d of term %d, %d entries from %d, commit %d", req.PrevLogEntry, req.PrevLogTerm, len(req.Entries), first, req.LeaderCommitIndex)
			}
		})
	}
}

// rightBehindASnapshot is a follower whose log begins right behind a snapshot at 10 and has
// entries of term 2 from 11 to 15 that were never committed. The leader of term 3 has
// entries of its own there, up to 11+n, and needs no snapshot for its log.
func rightBehindASnapshot(t *testing.T, trailing uint64, n int) (*byHand, *testNode) {
	h := newByHand(t, func(cfg *Config) { cfg.Limits.TrailingLogs = trailing })
	node := h.follow(vfs.NewCrashableMem())
	h.elect(h.last())
	h.add(8)
	h.cut, h.commit = 10, 10
	h.bringUp()
	h.cut = 0
	h.add(5)
	h.bringUp()
	h.elect(h.commit)
	h.add(n)
	return h, node
}

// A leader that goes back in its log to where a follower agrees with it finds that place
// though the follower has a snapshot there and nothing of the log before.
func TestLogBeginsBehindASnapshot(t *testing.T) {
	for _, again := range []bool{false, true} {
		for n := range 7 {
			t.Run(fmt.Sprintf("%d more, started again %v", n, again), func(t *testing.T) {
				h, node := rightBehindASnapshot(t, 1, n)
				if again {
					node = h.follow(h.c.crash(node, 0, 1))
				}
				if first, _ := node.logs.FirstIndex(); first != 11 {
					t.Fatalf("log begins at %d", first)
				}
				h.commitAll(node)
				h.add(2)
				h.commitAll(node)
				if err := h.check(node); err != nil {
					t.Error(err)
				}
				if h.sent != 1 {
					t.Errorf("%d snapshots were sent", h.sent)
				}
			})
		}
	}
}

// An append may end anywhere, and begin anywhere, also where all is known. What is behind
// its end in the follower's log is not committed by it: it may be another's.
func TestCommitIsBoundedByTheLastEntry(t *testing.T) {
	for prev := range uint64(11) {
		for upTo := prev; upTo <= 13; upTo++ {
			t.Run(fmt.Sprintf("%d to %d", prev, upTo), func(t *testing.T) {
				t.Parallel()
				h, node := rightBehindASnapshot(t, 1, 4)
				h.commit = h.last() // others have it
				ok, err := h.append(prev, upTo)
				if err != nil || !ok {
					t.Fatalf("append: %v, %v", ok, err)
				}
				if err := h.check(node); err != nil {
					t.Error(err)
				}
				h.commitAll(node)
				if err := h.check(node); err != nil {
					t.Error(err)
				}
			})
		}
	}
}
