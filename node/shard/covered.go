package shard

import (
	"github.com/hashicorp/raft"

	pb "github.com/quorumail/quorumail/proto/quorumail/v1"
)

// bound has what a leader appends begin no earlier than where this replica's own
// snapshot ends, and commit no more than it tells.
//
// The library looks for the entry before the first, and for entries that it has
// already, in its log alone. A log that begins right behind a snapshot has neither,
// and the library refuses, though all that a snapshot covers is committed, and so the
// same in every leader's log. A leader that needs no snapshot for its own log has
// nothing else to send: the replica would wait until it has cut that.
//
// So what the snapshot covers is taken off, and the first entry that is left is
// preceded by nothing that needs to be compared. Then it is no more the last index at
// which the logs are known to differ that an append begins with, as the library takes
// for granted: behind the last entry that is sent there may be others of an earlier
// term. They must not be committed. Therefore the leader's commit index is bounded by
// the last entry, as Raft has it (figure 2 of the extended paper) and the library not.
//
// Only a request that contradicts the snapshot is left as it is, for the library to
// refuse.
func bound(req *raft.AppendEntriesRequest, note *pb.SnapshotNote) {
	last := req.PrevLogEntry + uint64(len(req.Entries))
	req.LeaderCommitIndex = min(req.LeaderCommitIndex, max(last, note.GetIndex()))
	if note == nil || req.PrevLogEntry > note.Index || contradicts(req, note) {
		return
	}
	covered := min(note.Index-req.PrevLogEntry, uint64(len(req.Entries)))
	req.Entries = req.Entries[covered:]
	req.PrevLogEntry, req.PrevLogTerm = 0, 0
}

// contradicts says whether a request has another entry at the snapshot's index.
func contradicts(req *raft.AppendEntriesRequest, note *pb.SnapshotNote) bool {
	at := note.Index - req.PrevLogEntry // its place: 0 is the one before the first
	switch {
	case at == 0:
		return req.PrevLogTerm != note.Term
	case at <= uint64(len(req.Entries)):
		return req.Entries[at-1].Term != note.Term
	default:
		return false
	}
}
