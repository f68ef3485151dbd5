package node

import (
	"context"
	"fmt"
	"sync/atomic"
	"time"
)

// diskGuard turns a node read-only before its disk is full. A full disk makes
// writes fail, and a failed write is the end of a node; clients that are refused
// in time lose nothing, and can still delete nothing, but read.
type diskGuard struct {
	why atomic.Pointer[string] // nil: writes are accepted
}

// check looks at the free space, and reports whether the node has just become
// read-only.
func (g *diskGuard) check(cfg Config) (closed bool) {
	if cfg.MinFree < 0 {
		return false
	}
	usage, err := cfg.FS.GetDiskUsage(cfg.DataDir)
	if err != nil {
		return false // as of a file system in memory: nothing is known, so nothing is guarded
	}
	was := g.why.Load() != nil
	// Once below, it takes a tenth more to be above: the compactions that a moment
	// of writing sets off would switch it back and forth.
	floor := uint64(cfg.MinFree)
	if was {
		floor += floor / 10
	}
	is := usage.AvailBytes < floor
	switch {
	case is && !was:
		why := fmt.Sprintf("disk is nearly full: %d MiB free, want %d", usage.AvailBytes>>20, floor>>20)
		g.why.Store(&why)
		cfg.Log.Error("node is read-only", "cause", why)
	case !is && was:
		g.why.Store(nil)
		cfg.Log.Info("node accepts writes again")
	}
	return is && !was
}

const (
	// diskEvery is how often a node looks at the space that is free.
	diskEvery = 5 * time.Second
	// diskPatience bounds the time between two attempts to be rid of leaderships.
	diskPatience = 5 * time.Minute
)

// run checks until ctx ends. While the node is read-only it calls onClose, to hand over
// what it leads: at once, and again, ever more seldom, since that may have failed, or an
// election may have made it a leader again. The others may have no space either; then
// seldom is often enough.
func (g *diskGuard) run(ctx context.Context, cfg Config, onClose func()) {
	tick := time.NewTicker(diskEvery)
	defer tick.Stop()
	var next time.Time
	pause := diskEvery
	for {
		select {
		case <-tick.C:
			if g.check(cfg) {
				next, pause = time.Time{}, diskEvery
			}
			if g.reason() != "" && !time.Now().Before(next) {
				onClose()
				next = time.Now().Add(pause)
				pause = min(2*pause, diskPatience)
			}
		case <-ctx.Done():
			return
		}
	}
}

// reason returns why no writes are accepted, or nothing.
func (g *diskGuard) reason() string {
	if why := g.why.Load(); why != nil {
		return *why
	}
	return ""
}
