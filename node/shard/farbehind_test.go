package shard

import (
	"context"
	"flag"
	"fmt"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

var behindEntries = flag.Int("behind-entries", 3000, "how many log entries TestFollowerFarBehind has a follower miss")

// A follower that has missed many entries is caught up by itself: with all of them, if
// the leader's log still has them, or with the state and what has come since. What waits
// for its state machine is bounded meanwhile.
func TestFollowerFarBehind(t *testing.T) {
	for _, how := range []string{"by the log", "by a snapshot"} {
		t.Run(how, func(t *testing.T) {
			c := newCluster(t, func(cfg *Config) {
				cfg.Limits.TrailingLogs, cfg.Limits.TrailingBytes = 1<<40, 1<<40
				if how != "by the log" {
					shortLog(cfg)
				}
				// Each command is an entry of its own.
				cfg.Limits.BatchOps, cfg.Limits.InFlight = 1, 256
				cfg.Limits.BacklogBytes = 1 << 20
			}, "a", "b", "c")
			c.mustPropose("first")
			c.converge()
			lead := c.leader()
			away := c.running()[0]
			if away == lead {
				away = c.running()[1]
			}
			disk := c.crash(away, 0, 1)
			began := time.Now()
			c.fill(*behindEntries)
			if how != "by the log" {
				c.cut()
			}
			last, _ := c.leader().logs.LastIndex()
			t.Logf("%d entries in %v", last, time.Since(began).Round(time.Millisecond))
			peak := watchMemory(t)
			began = time.Now()
			n := c.start(away.id, disk)
			want := c.leader().Applied()
			ctx, cancel := context.WithTimeout(t.Context(), 10*time.Minute)
			defer cancel()
			var waiting int64
			for n.Applied() < want {
				if err := ctx.Err(); err != nil {
					t.Fatalf("follower is at %d, want %d", n.Applied(), want)
				}
				waiting = max(waiting, n.logs.BytesAfter(n.Applied()))
				time.Sleep(time.Millisecond)
			}
			t.Logf("caught up in %v; at most %d KiB waited for the state machine; the heap of all three grew by at most %d MiB",
				time.Since(began).Round(time.Millisecond), waiting>>10, peak())
			if how == "by the log" && waiting > 16<<20 { // what is appended at once is not divided
				t.Errorf("%d octets waited for the state machine", waiting)
			}
			if received := n.snaps.newest().GetIndex() > 0; received != (how != "by the log") {
				t.Errorf("got a snapshot: %v", received)
			}
			c.converge()
		})
	}
}

// fill adds n items, each an entry.
func (c *cluster) fill(n int) {
	c.t.Helper()
	var next atomic.Int64
	var wg sync.WaitGroup
	for range min(256, n) {
		wg.Go(func() {
			for i := next.Add(1); i <= int64(n); i = next.Add(1) {
				item := fmt.Sprintf("item %d", i)
				for c.proposeOnce(item) != nil {
					if c.t.Context().Err() != nil {
						return
					}
					time.Sleep(time.Millisecond) // nobody leads
				}
			}
		})
	}
	wg.Wait()
}

// watchMemory returns what tells by how many MiB the heap has grown at most since then.
func watchMemory(t *testing.T) (peak func() uint64) {
	runtime.GC()
	var now runtime.MemStats
	runtime.ReadMemStats(&now)
	before, most := now.HeapInuse, now.HeapInuse
	stop := make(chan struct{})
	var wg sync.WaitGroup
	wg.Go(func() {
		for {
			select {
			case <-stop:
				return
			case <-time.After(50 * time.Millisecond):
			}
			var now runtime.MemStats
			runtime.ReadMemStats(&now)
			most = max(most, now.HeapInuse)
		}
	})
	end := sync.OnceFunc(func() {
		close(stop)
		wg.Wait()
	})
	t.Cleanup(end)
	return func() uint64 {
		end()
		return (most - before) >> 20
	}
}
