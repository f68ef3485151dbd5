package shard

import (
	"errors"
	"runtime"
	"sync/atomic"

	"github.com/hashicorp/raft"

	"github.com/quorumail/quorumail/node/raftlog"
)

// paced is the log as the library writes it. A follower that catches up is
// handed entries faster than its state machine applies them; the library has
// room for 128 batches of them, which may be a GiB. So appends wait while the
// state machine is far behind. Heartbeats do not come this way.
//
// After a snapshot has replaced a log that the library still believes in, it also
// plays that log, until the library has been told; see Replica.settle.
type paced struct {
	*raftlog.Group
	r *Replica
	// gone is the last index of the log that the library believes in, 0: the one
	// that there is. It is set while the library waits for the snapshot to be taken
	// in, and cleared by its next append.
	gone atomic.Uint64
}

// StoreLog implements raft.LogStore.
func (p *paced) StoreLog(l *raft.Log) error { return p.StoreLogs([]*raft.Log{l}) }

// StoreLogs implements raft.LogStore.
func (p *paced) StoreLogs(logs []*raft.Log) error {
	select {
	case <-p.r.started:
		p.wait()
	default: // the library is not to be asked yet, and is far from busy
	}
	// What the snapshot covers is not for the log: settle's append begins with its
	// last entry, and one that was looked at before there was the snapshot may too.
	covered := p.r.snaps.newest().GetIndex()
	for len(logs) > 0 && logs[0].Index <= covered {
		logs = logs[1:]
	}
	p.gone.Store(0)
	return p.Group.StoreLogs(logs)
}

// GetLog implements raft.LogStore. The library panics if its main goroutine is not
// given an entry of the log. As in raftlog's SetUint64: in production the store's
// failure has ended the process already; elsewhere the failure stays with this
// replica.
func (p *paced) GetLog(index uint64, l *raft.Log) error {
	err := p.Group.GetLog(index, l)
	if errors.Is(err, raft.ErrLogNotFound) && index <= p.gone.Load() {
		*l = raft.Log{Index: index} // of term 0: whatever a leader has there, it is not the same
		return nil
	}
	if err != nil && !errors.Is(err, raft.ErrLogNotFound) {
		select {
		case <-p.r.started:
			runtime.Goexit()
		default: // Open returns it
		}
	}
	return err
}

// wait returns when what has been handed over and is not yet applied is little
// enough. What has been handed over is applied whatever the library's main
// goroutine does, which waits here; so the wait ends.
func (p *paced) wait() {
	handed := p.r.raft.AppliedIndex()
	for {
		applied := p.r.applied.get()
		if applied >= handed || p.BytesAfter(applied)-p.BytesAfter(handed) <= p.r.cfg.Limits.BacklogBytes {
			return
		}
		if p.r.applied.wait(p.r.ctx, applied+1) != nil {
			return // stopped
		}
	}
}
