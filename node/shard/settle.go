package shard

import (
	"github.com/hashicorp/raft"

	pb "github.com/quorumail/quorumail/proto/quorumail/v1"
)

// settle has the library learn that its log is gone: that it now ends where the
// snapshot does.
//
// A follower's log can go on behind the index of the snapshot that it is sent, with
// entries that never were committed, as that of a leader that was cut off. takeIn
// drops it, but the library remembers where it ended and with which term, and
// compares what the leader says of the entry before its next with that: they differ,
// so it refuses, the leader sends another snapshot, and so on, for as long as the
// leader's index is not above the old end. If the leader needs this replica for its
// quorum, that is for ever.
//
// There is but one thing that sets what the library remembers: an append. So this
// gives it one, with the snapshot's last entry alone, which it takes for one that
// replaces a conflicting tail. paced plays the log that it believes in, and does not
// store the entry. The request is next in line when the library has done with the
// snapshot; what the leader sends comes after the snapshot's reply. If it is refused
// all the same, because the term has changed, the next snapshot tries again: until
// then this replica takes nothing from a leader, and nobody votes for it, since a
// majority has entries of a later term than the last of the log that is gone.
func (r *Replica) settle(note *pb.SnapshotNote, dropped uint64) {
	if r.paced == nil {
		return // there is no library yet: it will read what is there
	}
	if dropped > 0 {
		r.paced.gone.Store(dropped)
	}
	if r.paced.gone.Load() == 0 {
		return
	}
	<-r.started
	if r.raft == nil {
		return // Open has failed
	}
	leader, id := r.raft.LeaderWithID()
	done := r.group.Deliver(&raft.AppendEntriesRequest{
		RPCHeader: raft.RPCHeader{ProtocolVersion: raft.ProtocolVersionMax, ID: []byte(id), Addr: []byte(leader)},
		Term:      r.raft.CurrentTerm(),
		Entries:   []*raft.Log{{Index: note.Index, Term: note.Term, Type: raft.LogNoop}},
	})
	r.log.Info("log was another's and is dropped", "snapshot", note.Index, "log", r.paced.gone.Load(), "settled", done)
}
