package node

import (
	"context"
	"fmt"
	"time"

	"github.com/cockroachdb/pebble/v2"
)

const (
	// garbageEvery is how often the state store is looked at for what was deleted and
	// still takes room.
	garbageEvery = 5 * time.Minute
	// A garbagePart of the keys is left alone, and so is garbageLeast.
	garbagePart  = 20
	garbageLeast = 16 << 10
	// tombstoneCost is the least that a deletion and what it deletes take.
	tombstoneCost = 64
)

// keepTidy has deleted data dropped until ctx ends. Pebble does so when it compacts
// what lies around; where nobody writes any more, nothing is compacted, and a memtable's
// worth of deletions, which may be of any amount of mail, waits on the upper levels.
func (n *Node) keepTidy(ctx context.Context) {
	tick := time.NewTicker(garbageEvery)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			if err := dropGarbage(ctx, n.state); err != nil && ctx.Err() == nil {
				n.log.Warn("garbage stays", "error", err)
			}
		case <-ctx.Done():
			return
		}
	}
}

// dropGarbage compacts all keys if a notable part of them was deleted. Pebble does not
// count the bodies in what it estimates, so the keys stand for them: 100 KiB of deleted
// keys may be what keeps 100 MiB of bodies. The keys are little next to the bodies,
// which are not written again here: files of bodies that nothing refers to go, and those
// that hold much garbage are rewritten by Pebble, see openState.
func dropGarbage(ctx context.Context, db *pebble.DB) error {
	m := db.Metrics()
	garbage := m.Table.Garbage.PointDeletionsBytesEstimate + m.Table.Garbage.RangeDeletionsBytesEstimate
	garbage = max(garbage, tombstoneCost*m.Keys.TombstoneCount)
	if garbage < max(garbageLeast, m.Table.Local.LiveSize/garbagePart) {
		return nil
	}
	if err := db.Compact(ctx, []byte{0}, []byte{0xff, 0xff, 0xff, 0xff, 0xff}, false); err != nil {
		return fmt.Errorf("compact: %w", err)
	}
	return nil
}
