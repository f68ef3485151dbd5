package shard

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"

	pb "github.com/quorumail/quorumail/proto/quorumail/v1"
)

// crashRounds is how often the nodes of each history of TestCrashesTogether crash.
const crashRounds = 4

// outage crashes nodes of a cluster while one of them is about to sync something. Safe
// for concurrent use.
type outage struct {
	c       *cluster
	victims []string
	wait    func() []string // returns what has been acknowledged
	rng     *rand.Rand      // used once

	mu    sync.Mutex
	left  int // syncs until then
	at    string
	disks map[string]*vfs.MemFS // what the crash has left; nil: it is yet to come
	acked []string
	over  chan struct{} // closed when it has happened
}

// sync is called by a node that is about to sync something.
func (o *outage) sync(id string) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if id != o.at || o.disks != nil {
		return
	}
	if o.left--; o.left > 0 {
		return
	}
	for _, v := range o.victims {
		o.c.faults.Isolate(v) // from now on it tells nobody anything
	}
	o.acked = o.wait()
	o.disks = make(map[string]*vfs.MemFS)
	for _, v := range o.victims {
		o.disks[v] = o.c.node(v).fs.CrashClone(vfs.CrashCloneCfg{
			UnsyncedDataPercent: []int{0, 50, 100}[o.rng.IntN(3)], RNG: o.rng,
		})
	}
	close(o.over)
}

// syncWatch tells the outage that is to come of each sync of a node. It implements
// errorfs.Injector, and injects nothing.
type syncWatch struct {
	id   string
	next *atomic.Pointer[outage]
}

func (w syncWatch) String() string { return "sync watch" }

// MaybeError implements errorfs.Injector.
func (w syncWatch) MaybeError(op errorfs.Op) error {
	switch op.Kind {
	case errorfs.OpFileSync, errorfs.OpFileSyncData, errorfs.OpFileSyncTo:
		if o := w.next.Load(); o != nil {
			o.sync(w.id)
		}
	}
	return nil
}

// proposeOnce has an item added if somebody leads. It is not tried again: what is
// there twice was applied twice.
func (c *cluster) proposeOnce(item string) error {
	for _, n := range c.running() {
		if n.IsLeader() {
			ctx, cancel := context.WithTimeout(c.t.Context(), 2*time.Second)
			defer cancel()
			_, _, err := n.Propose(ctx, &pb.Entry{Version: 1, Account: item})
			return err
		}
	}
	return errors.New("nobody leads")
}

// Three replicas under load, which cut their logs all the time, crash: one, two or all
// at the same moment, which is one when one of them is about to sync something. Nothing
// that was acknowledged is lost, nothing is there twice, and the replicas are equal.
func TestCrashesTogether(t *testing.T) {
	t.Run("histories", func(t *testing.T) {
		for seed := range *crashSeeds {
			t.Run(fmt.Sprint(seed), func(t *testing.T) {
				t.Parallel()
				crashTogether(t, uint64(seed))
			})
		}
	})
	t.Logf("%d histories, %d crashes", *crashSeeds, *crashSeeds*crashRounds)
}

func crashTogether(t *testing.T, seed uint64) {
	rng := rand.New(rand.NewPCG(seed, 27))
	var next atomic.Pointer[outage]
	c := &cluster{t: t, addrs: map[string]string{}, nodes: map[string]*testNode{}}
	c.change = func(cfg *Config) {
		shortLog(cfg)
		cfg.Timing = Timing{Heartbeat: 100 * time.Millisecond, Election: 100 * time.Millisecond, Lease: 70 * time.Millisecond, Commit: 10 * time.Millisecond}
	}
	c.wrap = func(id string, fs vfs.FS) vfs.FS { return errorfs.Wrap(fs, syncWatch{id, &next}) }
	t.Cleanup(func() {
		for _, n := range c.running() {
			c.stop(n)
		}
	})
	ids := []string{"a", "b", "c"}
	for _, id := range ids {
		if err := c.start(id, vfs.NewCrashableMem()).Bootstrap(ids); err != nil {
			t.Fatal(err)
		}
	}
	l := startLoad(t, 3, c.proposeOnce)
	stop := sync.OnceFunc(func() {
		close(l.stop)
		l.wg.Wait()
	})
	defer stop()
	for round := range crashRounds {
		c.leader()
		o := &outage{
			c: c, wait: l.acknowledged, rng: rand.New(rand.NewPCG(seed, uint64(28+round))),
			left: 1 + rng.IntN(40), at: ids[rng.IntN(3)], over: make(chan struct{}),
		}
		for _, i := range rng.Perm(3)[:1+rng.IntN(3)] {
			o.victims = append(o.victims, ids[i])
		}
		next.Store(o)
		c.snapshotsUntil(o.over, rng)
		next.Store(nil)
		for _, v := range o.victims {
			c.stop(c.node(v))
		}
		c.faults.Heal()
		for _, v := range o.victims {
			c.start(v, o.disks[v])
		}
		what := fmt.Sprintf("seed %d, round %d, crash of %v when %s was to sync", seed, round, o.victims, o.at)
		got, err := c.readSomewhere()
		if err != nil {
			t.Fatalf("%s: %v", what, err)
		}
		wantAll(t, got, o.acked)
		wantOnce(t, got)
		if t.Failed() {
			t.Fatal(what)
		}
	}
	stop()
	got := c.converge()
	wantAll(t, got, l.acknowledged())
	wantOnce(t, slices.DeleteFunc(got, func(item string) bool { return item == "converge" }))
}

// snapshotsUntil has one node after the other take snapshots.
func (c *cluster) snapshotsUntil(over <-chan struct{}, rng *rand.Rand) {
	c.t.Helper()
	limit := time.After(30 * time.Second)
	for {
		pause := time.After(time.Duration(rng.IntN(8)) * time.Millisecond)
		select {
		case <-over:
			return
		case <-limit:
			c.t.Fatal("nothing is synced")
		case <-pause:
			nodes := c.running()
			_ = nodes[rng.IntN(len(nodes))].Snapshot(ask(c.t)) // one that has crashed cannot
		}
	}
}

// readSomewhere is a linearizable read at whoever can answer it.
func (c *cluster) readSomewhere() ([]string, error) {
	c.t.Helper()
	for deadline := time.Now().Add(20 * time.Second); ; {
		ctx, cancel := context.WithTimeout(c.t.Context(), 2*time.Second)
		got, err := read(ctx, c.leader())
		cancel()
		if err == nil || time.Now().After(deadline) {
			return got, err
		}
		time.Sleep(time.Millisecond) // it leads no more, and is about to hear of it
	}
}

// wantOnce checks that no item is there twice.
func wantOnce(t *testing.T, got []string) {
	t.Helper()
	seen := make(map[string]bool)
	for _, g := range got {
		if seen[g] {
			t.Errorf("%s was applied twice", g)
		}
		seen[g] = true
	}
}
