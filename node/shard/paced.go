package shard

import (
	"errors"
	"runtime"

	"github.com/hashicorp/raft"

	"github.com/quorumail/quorumail/node/raftlog"
)

// paced is the log as the library writes it. A follower that catches up is
// handed entries faster than its state machine applies them; the library has
// room for 128 batches of them, which may be a GiB. So appends wait while the
// state machine is far behind. Heartbeats do not come this way.
type paced struct {
	*raftlog.Group
	r *Replica
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
	return p.Group.StoreLogs(logs)
}

// GetLog implements raft.LogStore. The library panics if its main goroutine is not
// given an entry of the log. As in raftlog's SetUint64: in production the store's
// failure has ended the process already; elsewhere the failure stays with this
// replica.
func (p *paced) GetLog(index uint64, l *raft.Log) error {
	err := p.Group.GetLog(index, l)
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
