package raftlog

import (
	"math/rand/v2"
	"sync"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"
	"github.com/hashicorp/raft"
)

// crashes keeps what a crash in the middle of an fsync would leave, and up to which
// entry each group had been told by then that it is durable.
type crashes struct {
	mu    sync.Mutex
	mem   *vfs.MemFS // nil: no more
	rng   *rand.Rand
	acked [6]uint64
	disks []*vfs.MemFS
	had   [][6]uint64
}

func (c *crashes) String() string { return "crashes" }

// MaybeError implements errorfs.Injector; it injects none.
func (c *crashes) MaybeError(op errorfs.Op) error {
	if !(syncOnly{}).Evaluate(op) {
		return nil
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.mem != nil && c.rng.IntN(4) == 0 {
		c.had = append(c.had, c.acked)
		c.disks = append(c.disks, c.mem.CrashClone(vfs.CrashCloneCfg{
			UnsyncedDataPercent: []int{0, 50, 100}[c.rng.IntN(3)], RNG: c.rng,
		}))
	}
	return nil
}

// reuseAlone is a MemFS that reuses no file while mu is held: it locks twice for that,
// and stands still for ever if it is cloned in between.
type reuseAlone struct {
	*vfs.MemFS
	mu *sync.Mutex
}

// ReuseForWrite implements vfs.FS.
func (r reuseAlone) ReuseForWrite(oldname, newname string, c vfs.DiskWriteCategory) (vfs.File, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.MemFS.ReuseForWrite(oldname, newname, c)
}

// Flights that are written while others are synced: whenever it crashes, what was
// acknowledged is there.
func TestCrashWhileFlightsOverlap(t *testing.T) {
	mem := vfs.NewCrashableMem()
	c := &crashes{mem: mem, rng: rand.New(rand.NewPCG(1, 2))}
	opts := Options{SegmentBytes: 20_000, CacheBytes: 1000}
	s, err := Open(errorfs.Wrap(reuseAlone{mem, &c.mu}, c), "log", opts)
	if err != nil {
		t.Fatal(err)
	}
	s.w.early = 1
	var wg sync.WaitGroup
	for id := range c.acked {
		g := group(t, s, uint32(id))
		wg.Go(func() {
			for i := uint64(1); i <= 60; i++ {
				l := entries(i, i, 1)[0]
				l.Data = append(l.Data, make([]byte, 100*id)...)
				if err := g.StoreLog(l); err != nil {
					t.Error(err)
					return
				}
				c.mu.Lock()
				c.acked[id] = i
				c.mu.Unlock()
				if i%20 == 0 {
					if err := g.DeleteRange(1, i-5); err != nil {
						t.Error(err)
						return
					}
				}
			}
		})
	}
	wg.Wait()
	c.mu.Lock()
	c.mem = nil
	c.mu.Unlock()
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	for n, disk := range c.disks {
		s, err := Open(disk, "log", opts)
		if err != nil {
			t.Fatalf("crash %d: %v", n, err)
		}
		for id, acked := range c.had[n] {
			g := group(t, s, uint32(id))
			last, _ := g.LastIndex()
			if last < acked {
				t.Errorf("crash %d: group %d has entries up to %d, %d were acknowledged", n, id, last, acked)
			}
			for i, _ := g.FirstIndex(); i <= last && last > 0; i++ {
				var l raft.Log
				if err := g.GetLog(i, &l); err != nil || l.Index != i {
					t.Errorf("crash %d: group %d, entry %d: %v", n, id, i, err)
				}
			}
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
	}
	t.Logf("%d crashes", len(c.disks))
}

// A sync that fails is the store's failure before the next flight, which waits to be
// synced, can take a sync that does not fail for its own: the kernel may have dropped
// what the first did not write. So is one that ends a segment.
func TestFailedSyncIsToldBeforeTheNext(t *testing.T) {
	for name, segment := range map[string]int64{"of a flight": 1 << 20, "of a segment": 300} {
		t.Run(name, func(t *testing.T) {
			var arm errorfs.Toggle
			arm.Injector = errorfs.ErrInjected.If(errorfs.And(errorfs.PathMatch("*/*.seg"), errorfs.Predicate(syncOnly{})))
			s, err := Open(errorfs.Wrap(vfs.NewMem(), &arm), "log", Options{SegmentBytes: segment, OnFatal: func(error) {}})
			if err != nil {
				t.Fatal(err)
			}
			mustStore(t, group(t, s, 1), entries(1, 1, 1))
			arm.On()
			if segment < 1000 {
				err = s.out.next(s, s.newSegment(2))
			} else {
				err = s.out.sync(s, s.w.synced+1)
			}
			if err == nil || s.Err() == nil {
				t.Fatalf("%v; the store's failure: %v", err, s.Err())
			}
			arm.Off()
			if err := s.out.sync(s, s.w.synced+1); err == nil {
				t.Error("a flight is taken for durable after a sync has failed")
			}
		})
	}
}
