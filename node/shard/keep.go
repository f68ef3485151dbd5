package shard

import (
	"context"
	"errors"
	"time"

	"github.com/hashicorp/raft"
)

// keepEvery is how often keep looks whether a snapshot is due.
const keepEvery = 5 * time.Second

// keep takes snapshots when the log has grown, or the last is old and something
// was applied since: what is not covered by one is read again at the next start.
func (r *Replica) keep() {
	t := time.NewTicker(min(keepEvery, r.cfg.Limits.SnapshotEvery))
	defer t.Stop()
	last := time.Now()
	for {
		select {
		case <-t.C:
		case <-r.ctx.Done():
			return
		}
		note := r.snaps.newest()
		due := r.logs.BytesAfter(note.GetIndex()) >= r.cfg.Limits.SnapshotBytes ||
			time.Since(last) >= r.cfg.Limits.SnapshotEvery && r.Applied() > note.GetStateIndex()
		if !due {
			continue
		}
		if err := r.Snapshot(r.ctx); err != nil && r.ctx.Err() == nil {
			r.log.Warn("snapshot failed", "error", err)
		}
		last = time.Now()
	}
}

// Snapshot makes the state durable and cuts the log, now.
func (r *Replica) Snapshot(ctx context.Context) error {
	trailing := max(r.cfg.Limits.TrailingLogs, r.logs.Trailing(r.cfg.Limits.TrailingBytes))
	r.reload(func(c *raft.ReloadableConfig) { c.TrailingLogs = trailing })
	err := r.await(ctx, func() error { return r.raft.Snapshot().Error() })
	if errors.Is(err, raft.ErrNothingNewToSnapshot) {
		return nil
	}
	return err
}
