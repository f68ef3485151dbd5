package shard

import (
	"errors"
	"fmt"

	"github.com/hashicorp/raft"

	"github.com/quorumail/quorumail/node/raftlog"
	pb "github.com/quorumail/quorumail/proto/quorumail/v1"
)

// ErrHole says that a replica cannot start: entries are missing between its
// state and its log, so it would go on with a wrong state. It has to be removed
// from the group and to join again, empty, under a new node id: under the old
// one it may have voted, and forgotten it.
var ErrHole = errors.New("state and log do not meet")

// finishReceived takes in a snapshot that had been received whole when the
// process ended.
func (r *Replica) finishReceived() error {
	note := r.snaps.received()
	if note == nil {
		return nil
	}
	_, f, err := r.snaps.Open(note.File)
	if IsDiskError(err) {
		return err
	}
	if err != nil {
		// Files are durable before they are noted; without it, what was there
		// before is intact or checkStart finds the hole.
		r.log.Warn("received snapshot is gone", "file", note.File, "error", err)
		return r.snaps.dropReceived()
	}
	defer f.Close()
	if err := r.machine.takeIn(r.ctx, f); err != nil {
		if failed := r.machine.failed(); failed != nil {
			return failed
		}
		r.log.Warn("received snapshot was dropped", "error", err)
	}
	return nil
}

// checkStart compares what is durable: the note of the newest snapshot, the
// state, and the log. The library is told of the note's index only, and takes it
// on trust that the state has reached that and that the log goes on from there.
func checkStart(note *pb.SnapshotNote, applied uint64, log *raftlog.Group) error {
	first, err := log.FirstIndex()
	if err != nil {
		return err
	}
	last, err := log.LastIndex()
	if err != nil {
		return err
	}
	covered := note.GetIndex() // 0 without a note
	if note != nil && applied < note.StateIndex {
		return fmt.Errorf("%w: state is at %d, but was durable at %d when the log was cut at %d", ErrHole, applied, note.StateIndex, covered)
	}
	if last != 0 && first > covered+1 {
		return fmt.Errorf("%w: log begins at %d, snapshot is at %d", ErrHole, first, covered)
	}
	if applied > max(last, covered) {
		return fmt.Errorf("%w: state is at %d, but the log ends at %d: it has lost entries that were synced", ErrHole, applied, max(last, covered))
	}
	return nil
}

// alignLog drops a log that does not belong to the newest snapshot: one that
// ends before it, has another entry at its index, or goes on behind it with
// entries of an earlier term. Raft says so of a follower that installs a snapshot
// (section 7 of the extended paper); the library leaves such entries where they
// are. It returns the last index of what it dropped, 0: nothing.
func alignLog(note *pb.SnapshotNote, log *raftlog.Group) (dropped uint64, err error) {
	first, err := log.FirstIndex()
	if err != nil {
		return 0, err
	}
	last, err := log.LastIndex()
	if err != nil {
		return 0, err
	}
	if note == nil || last == 0 {
		return 0, nil
	}
	stale := last < note.Index
	if !stale {
		var l raft.Log
		if err := log.GetLog(max(first, note.Index), &l); err != nil {
			return 0, err
		}
		// Behind the snapshot's index only the term tells: it never falls along a log.
		stale = l.Term < note.Term || l.Index == note.Index && l.Term != note.Term
	}
	if !stale {
		return 0, nil
	}
	return last, log.DeleteRange(first, last)
}
