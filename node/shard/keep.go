package shard

import (
	"context"
	"errors"
	"time"

	"github.com/hashicorp/raft"
)

// keepEvery is how often keep looks whether a snapshot is due.
const keepEvery = 5 * time.Second

// keep takes snapshots when the log has grown, or at each multiple of
// SnapshotEvery if something was applied since the last: what is not covered by
// one is read again at the next start. It looks at the same moments as its
// neighbours on the node do, so that they share one flush.
func (r *Replica) keep() {
	last := time.Now().Truncate(r.cfg.Limits.SnapshotEvery)
	for {
		now := time.Now()
		every := min(keepEvery, r.cfg.Limits.SnapshotEvery)
		select {
		case <-time.After(now.Truncate(every).Add(every).Sub(now)):
		case <-r.ctx.Done():
			return
		}
		note := r.snaps.newest()
		slot := time.Now().Truncate(r.cfg.Limits.SnapshotEvery)
		if r.logs.BytesAfter(note.GetIndex()) < r.cfg.Limits.SnapshotBytes && (slot.Equal(last) || r.Applied() <= note.GetStateIndex()) {
			continue
		}
		if err := r.Snapshot(r.ctx); err != nil && r.ctx.Err() == nil {
			r.log.Warn("snapshot failed", "error", err)
		}
		last = slot
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
