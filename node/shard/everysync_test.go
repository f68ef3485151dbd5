package shard

import (
	"flag"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"

	pb "github.com/quorumail/quorumail/proto/quorumail/v1"
)

var crashSeeds = flag.Int("crash-seeds", 2, "how many histories TestCrashAtEverySync makes")

// syncPoint is what a crash in the middle of an fsync would have left, and what had
// been acknowledged by then.
type syncPoint struct {
	disk  *vfs.MemFS
	acked []string
}

// recorder keeps the disk as it is whenever something is about to be synced: some
// of what is not yet, too.
type recorder struct {
	onSync func() // if there is one, it is called at each, before the disk is kept

	mu     sync.Mutex
	mem    *vfs.MemFS
	rng    *rand.Rand
	points []syncPoint
	acked  []string
}

func (r *recorder) String() string { return "recorder" }

// MaybeError implements errorfs.Injector; it injects none.
func (r *recorder) MaybeError(op errorfs.Op) error {
	switch op.Kind {
	case errorfs.OpFileSync, errorfs.OpFileSyncData, errorfs.OpFileSyncTo:
	default:
		return nil
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.mem == nil {
		return nil
	}
	if r.onSync != nil {
		r.onSync()
	}
	acked := append([]string(nil), r.acked...)
	r.points = append(r.points, syncPoint{acked: acked, disk: r.mem.CrashClone(vfs.CrashCloneCfg{
		UnsyncedDataPercent: []int{0, 50, 100}[r.rng.IntN(3)], RNG: r.rng,
	})})
	return nil
}

// record begins with a disk.
func (r *recorder) record(mem *vfs.MemFS) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.mem = mem
}

func (r *recorder) acknowledge(item string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.acked = append(r.acked, item)
}

// stop ends the recording and returns the points.
func (r *recorder) stop() []syncPoint {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.mem = nil
	return r.points
}

// A replica that is alone in its group is crashed at every fsync of a history: of
// the log, of the state, of snapshots. From what each leaves it comes back with
// all that had been acknowledged, and nothing twice.
func TestCrashAtEverySync(t *testing.T) {
	points := 0
	for seed := range *crashSeeds {
		points += crashAtEverySync(t, uint64(seed))
	}
	t.Logf("%d histories, %d crashes", *crashSeeds, points)
}

func crashAtEverySync(t *testing.T, seed uint64) int {
	t.Helper()
	rng := rand.New(rand.NewPCG(seed, 7))
	r := &recorder{rng: rand.New(rand.NewPCG(seed, 8))}
	recording := true
	c := &cluster{t: t, change: shortLog, alone: true, addrs: map[string]string{}, nodes: map[string]*testNode{}}
	c.wrap = func(_ string, fs vfs.FS) vfs.FS {
		if !recording {
			return fs
		}
		return errorfs.Wrap(fs, r)
	}
	mem := vfs.NewCrashableMem()
	n := c.start("a", mem)
	if err := n.Bootstrap([]string{"a"}); err != nil {
		t.Fatal(err)
	}
	c.leader()
	r.record(mem)
	for i := range 12 + rng.IntN(12) {
		item := fmt.Sprintf("%d of %d", i, seed)
		if _, _, err := n.Propose(t.Context(), &pb.Entry{Account: item}); err != nil {
			t.Fatal(err)
		}
		r.acknowledge(item)
		if rng.IntN(6) == 0 {
			if err := n.Snapshot(ask(t)); err != nil {
				t.Fatal(err)
			}
		}
	}
	points := r.stop()
	c.stop(n)
	recording = false
	for i, p := range points {
		n := c.start("a", p.disk)
		got, err := read(ask(t), c.leader())
		if err != nil {
			t.Fatalf("seed %d, sync %d of %d: %v", seed, i, len(points), err)
		}
		wantAll(t, got, p.acked)
		wantOnce(t, got)
		if t.Failed() {
			t.Fatalf("seed %d, sync %d of %d", seed, i, len(points))
		}
		c.stop(n)
	}
	return len(points)
}
