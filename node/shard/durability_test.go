package shard

import (
	"fmt"
	"math/rand/v2"
	"os"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	pb "github.com/quorumail/quorumail/proto/quorumail/v1"
)

// load proposes items from a few goroutines until stop is closed, and remembers
// those that were acknowledged.
type load struct {
	wg   sync.WaitGroup
	stop chan struct{}

	mu    sync.Mutex
	acked []string
}

func (l *load) acknowledged() []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return append([]string(nil), l.acked...)
}

func startLoad(t *testing.T, workers int, propose func(item string) error) *load {
	l := &load{stop: make(chan struct{})}
	for w := range workers {
		l.wg.Go(func() {
			for i := 0; ; i++ {
				select {
				case <-l.stop:
					return
				default:
				}
				item := fmt.Sprintf("w%d-%d-%s", w, i, t.Name())
				if propose(item) != nil {
					time.Sleep(time.Millisecond)
					continue
				}
				l.mu.Lock()
				l.acked = append(l.acked, item)
				l.mu.Unlock()
			}
		})
	}
	return l
}

// seed is 1, or what SHARD_TEST_SEED says.
func seed() uint64 {
	n, err := strconv.ParseUint(os.Getenv("SHARD_TEST_SEED"), 10, 64)
	if err != nil {
		return 1
	}
	return n
}

// TestCrashesLoseNothing crashes a replica that is alone in its group at random
// instants: under load, between and within snapshots. Whatever had been
// acknowledged before must be there after.
func TestCrashesLoseNothing(t *testing.T) {
	rng := rand.New(rand.NewPCG(11, seed()))
	c := newCluster(t, shortLog, "a")
	for round := range 12 {
		n := c.leader()
		var stopping atomic.Bool
		l := startLoad(t, 4, func(item string) error {
			if stopping.Load() {
				return ErrStopped
			}
			_, _, err := n.Propose(t.Context(), &pb.Entry{Account: fmt.Sprint(round, item)})
			return err
		})
		for range rng.IntN(4) {
			time.Sleep(time.Duration(rng.IntN(10)) * time.Millisecond)
			if err := n.Snapshot(ask(t)); err != nil {
				t.Fatal(err)
			}
		}
		time.Sleep(time.Duration(rng.IntN(15)) * time.Millisecond)
		acked := l.acknowledged()
		disk := c.crash(n, []int{0, 50, 100}[rng.IntN(3)], rng.Uint64())
		stopping.Store(true)
		close(l.stop)
		l.wg.Wait()
		n = c.start("a", disk)
		got, err := read(ask(t), c.leader())
		if err != nil {
			t.Fatal(err)
		}
		for i, item := range acked {
			acked[i] = fmt.Sprint(round, item)
		}
		wantAll(t, got, acked)
		wantOnce(t, got)
	}
}

// TestCrashesOfOneInThree crashes one node after another under load, with logs
// so short that some come back by snapshot.
func TestCrashesOfOneInThree(t *testing.T) {
	rng := rand.New(rand.NewPCG(21, seed()))
	c := newCluster(t, shortLog, "a", "b", "c")
	l := startLoad(t, 3, func(item string) error { return c.propose(item) })
	for range 6 {
		time.Sleep(time.Duration(rng.IntN(150)) * time.Millisecond)
		nodes := c.running()
		n := nodes[rng.IntN(len(nodes))]
		disk := c.crash(n, []int{0, 50, 100}[rng.IntN(3)], rng.Uint64())
		if rng.IntN(2) == 0 {
			time.Sleep(time.Duration(rng.IntN(200)) * time.Millisecond)
			for _, other := range c.running() {
				_ = other.Snapshot(ask(t)) // some have nothing new
			}
		}
		c.start(n.id, disk)
		c.leader()
	}
	close(l.stop)
	l.wg.Wait()
	acked := l.acknowledged()
	t.Logf("%d acknowledged", len(acked))
	wantAll(t, c.converge(), acked)
}
