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
	// garbagePart of all that is on disk is left alone, and so is garbageLeast.
	garbagePart  = 20
	garbageLeast = 1 << 20
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

// dropGarbage compacts all keys if what was deleted takes a notable part of the disk.
// The keys are little next to the bodies, which are not written again here: files of
// bodies that nothing refers to go, and those that hold much garbage are rewritten by
// Pebble, see openState.
func dropGarbage(ctx context.Context, db *pebble.DB) error {
	m := db.Metrics()
	garbage := m.Table.Garbage.PointDeletionsBytesEstimate + m.Table.Garbage.RangeDeletionsBytesEstimate
	if garbage < max(garbageLeast, m.DiskSpaceUsage()/garbagePart) {
		return nil
	}
	if err := db.Compact(ctx, []byte{0}, []byte{0xff, 0xff, 0xff, 0xff, 0xff}, false); err != nil {
		return fmt.Errorf("compact: %w", err)
	}
	return nil
}
