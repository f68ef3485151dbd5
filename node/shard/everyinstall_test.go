package shard

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"
)

// A follower is crashed at every fsync of a history in which its log is cut at either
// end: it gets a snapshot from a leader whose log is cut, has entries of its own that
// are another's, and takes snapshots itself. From what each crash leaves it comes back
// with all that it had acknowledged, and the leader brings it to the same state.
func TestCrashAtEverySyncOfInstall(t *testing.T) {
	points := 0
	for seed := range *crashSeeds {
		points += crashAtEverySyncOfInstall(t, uint64(seed))
	}
	t.Logf("%d histories, %d crashes", *crashSeeds, points)
}

func crashAtEverySyncOfInstall(t *testing.T, seed uint64) int {
	t.Helper()
	rng := rand.New(rand.NewPCG(seed, 17))
	h := newByHand(t, func(cfg *Config) { cfg.Limits.TrailingLogs = uint64(1 + rng.IntN(3)*10) })
	r := &recorder{rng: rand.New(rand.NewPCG(seed, 18))}
	var known []*leaderLog // by the leader, when something was synced
	r.onSync = func() { known = append(known, h.known.Load()) }
	mem := vfs.NewCrashableMem()
	recording := true
	h.c.wrap = func(_ string, fs vfs.FS) vfs.FS {
		if !recording {
			return fs
		}
		return errorfs.Wrap(fs, r)
	}
	n := h.follow(mem)
	h.add(3 + rng.IntN(10))
	h.commitAll(n)
	r.record(mem)
	for range 2 {
		installHistory(t, h, n, rng)
	}
	h.commitAll(n)
	points := r.stop()
	h.c.stop(n)
	recording = false
	for i, p := range points {
		n, err := h.tryFollow(p.disk)
		if err == nil {
			err = known[i].check(n)
		}
		if err != nil {
			t.Fatalf("seed %d, sync %d of %d: %v", seed, i, len(points), err)
		}
		h.acked = 0
		h.commitAll(n)
		if err := h.check(n); err != nil {
			t.Fatalf("seed %d, sync %d of %d, after it was brought up: %v", seed, i, len(points), err)
		}
		h.c.stop(n)
	}
	return len(points)
}

// installHistory has the follower lead, as it were, and be replaced by a leader that
// it has not heard of until that has cut its log.
func installHistory(t *testing.T, h *byHand, n *testNode, rng *rand.Rand) {
	t.Helper()
	base := h.last()
	h.elect(base)
	h.add(rng.IntN(12))
	h.bringUp() // nothing of it is committed
	own := h.last() - base
	if rng.IntN(4) > 0 {
		h.elect(base)
	}
	// The snapshot is before the end of the follower's log, at it, or behind it.
	switch want := []uint64{own / 2, own, own + uint64(rng.IntN(10))}[rng.IntN(3)]; {
	case h.last()-base < want:
		h.add(int(want - (h.last() - base)))
	default:
		h.add(1)
	}
	h.commit, h.cut = h.last(), h.last()
	h.add(rng.IntN(3))
	h.commitAll(n)
	for range rng.IntN(3) {
		h.add(1 + rng.IntN(5))
		h.commitAll(n)
		if err := n.Snapshot(ask(t)); err != nil {
			t.Fatal(fmt.Errorf("snapshot: %w", err))
		}
	}
}
