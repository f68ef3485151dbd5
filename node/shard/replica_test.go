package shard

import (
	"context"
	"errors"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	pb "github.com/quorumail/quorumail/proto/quorumail/v1"
)

func TestLeaderIsKilledAndComesBack(t *testing.T) {
	c := newCluster(t, nil, "a", "b", "c")
	items := numbered("before", 30)
	c.mustPropose(items...)
	old := c.leader()
	began := time.Now()
	disk := c.crash(old, 50, 1)
	after := numbered("after", 30)
	c.mustPropose(after...)
	t.Logf("failover took %v at most", time.Since(began))
	got, err := read(ask(t), c.leader())
	if err != nil {
		t.Fatal(err)
	}
	wantAll(t, got, append(items, after...))
	n := c.start(old.id, disk)
	wantAll(t, c.converge(), append(items, after...))
	if n.snaps.newest() != nil {
		t.Error("restart took a snapshot for it")
	}
}

// TestReadIndexOfAnIdleShard: after an election the commit index is that of the
// library's own entries, which no state machine ever applies.
func TestReadIndexOfAnIdleShard(t *testing.T) {
	c := newCluster(t, nil, "a", "b", "c")
	for range 3 {
		n := c.leader()
		if _, err := read(ask(t), n); err != nil {
			t.Fatal(err)
		}
		if err := n.TransferLeadership(ask(t), ""); err != nil {
			t.Fatal(err)
		}
	}
	c.mustPropose("one")
	for range 2 {
		n := c.leader()
		if got, err := read(ask(t), n); err != nil || !slices.Equal(got, []string{"one"}) {
			t.Fatalf("%q, %v", got, err)
		}
		if err := n.TransferLeadership(ask(t), ""); err != nil {
			t.Fatal(err)
		}
	}
}

// TestIsolatedLeaderServesNoRead asks the old leader at once, while it still
// believes that it leads, and again and again until it has learned better.
func TestIsolatedLeaderServesNoRead(t *testing.T) {
	c := newCluster(t, nil, "a", "b", "c")
	c.mustPropose("old")
	old := c.leader()
	c.faults.Isolate(old.id)
	var wg sync.WaitGroup
	defer wg.Wait()
	stop := make(chan struct{})
	defer close(stop)
	wg.Go(func() {
		for {
			select {
			case <-stop:
				return
			default:
			}
			if got, err := read(t.Context(), old); err == nil {
				t.Errorf("isolated leader has read %q", got)
				return
			}
		}
	})
	next := c.leader(old.id)
	if _, _, err := next.Propose(ask(t), &pb.Entry{Account: "new"}); err != nil {
		t.Fatal(err)
	}
	if got, err := read(ask(t), next); err != nil || !slices.Equal(got, []string{"old", "new"}) {
		t.Errorf("new leader reads %q, %v", got, err)
	}
}

// TestOneWayCut cuts the leader's replies off, or its requests.
func TestOneWayCut(t *testing.T) {
	for _, way := range []string{"out", "in"} {
		t.Run(way, func(t *testing.T) {
			c := newCluster(t, nil, "a", "b", "c")
			c.mustPropose("old")
			old := c.leader()
			for _, other := range []string{"a", "b", "c"} {
				if other == old.id {
					continue
				}
				if way == "out" {
					c.faults.Cut(old.id, other)
				} else {
					c.faults.Cut(other, old.id)
				}
			}
			next := c.leader(old.id)
			if _, _, err := next.Propose(ask(t), &pb.Entry{Account: "new"}); err != nil {
				t.Fatal(err)
			}
			if got, err := read(ask(t), old); err == nil {
				t.Errorf("old leader reads %q", got)
			}
			c.faults.Heal()
			wantAll(t, c.converge(), []string{"old", "new"})
		})
	}
}

func TestOutcomeOfALostLeadershipIsUncertain(t *testing.T) {
	c := newCluster(t, nil, "a", "b", "c")
	old := c.leader()
	c.faults.Isolate(old.id)
	_, _, err := old.Propose(ask(t), &pb.Entry{Account: "perhaps"})
	var not *NotLeaderError
	if !errors.Is(err, ErrUncertain) && !errors.As(err, &not) {
		t.Errorf("isolated leader: %v", err)
	}
	next := c.leader(old.id)
	_, _, err = old.Propose(ask(t), &pb.Entry{Account: "no"})
	if !errors.As(err, &not) || not.Leader == old.id {
		t.Errorf("deposed leader: %v", err)
	}
	c.faults.Heal()
	c.mustPropose("yes")
	for _, n := range c.running() {
		if n == next {
			continue
		}
		deadline := time.Now().Add(5 * time.Second)
		for time.Now().Before(deadline) {
			if id, known := n.Leader(); known && id == next.id {
				break
			}
			time.Sleep(5 * time.Millisecond)
		}
		if _, _, err = n.Propose(ask(t), &pb.Entry{Account: "no"}); !errors.As(err, &not) || not.Leader != c.leader().id {
			t.Errorf("follower does not name the leader: %v", err)
		}
	}
}

func TestCommandsThatWaitShareEntries(t *testing.T) {
	c := newCluster(t, nil, "a")
	n := c.leader()
	const total = 500
	before := n.Status().GetLastLogIndex()
	var wg sync.WaitGroup
	seen := make([]bool, total+1)
	var mu sync.Mutex
	for _, item := range numbered("x", total) {
		wg.Go(func() {
			r, index, err := n.Propose(t.Context(), &pb.Entry{Account: item})
			if err != nil {
				t.Error(err)
				return
			}
			if n.Applied() < index {
				t.Errorf("answered at %d before it was applied", index)
			}
			mu.Lock()
			defer mu.Unlock()
			seen[r.GetModSeq()] = true
		})
	}
	wg.Wait()
	for i := 1; i <= total; i++ {
		if !seen[i] {
			t.Errorf("no command got result %d", i)
		}
	}
	if entries := n.Status().GetLastLogIndex() - before; entries > total/2 {
		t.Errorf("%d entries for %d commands", entries, total)
	}
	if r, _, err := n.ProposeRaw(t.Context(), []byte("raw: five")); err != nil || r != 9 {
		t.Errorf("raw proposal: %v, %v", r, err)
	}
}

func TestOverloadIsRefused(t *testing.T) {
	c := newCluster(t, func(cfg *Config) {
		cfg.Limits.QueueOps, cfg.Limits.InFlight, cfg.Limits.BatchOps, cfg.Limits.MaxEntry = 5, 2, 1, 1000
	}, "a")
	n := c.leader()
	hold := make(chan struct{})
	n.toy.mu.Lock()
	n.toy.mu.before = func(Command) { <-hold }
	n.toy.mu.Unlock()
	var wg sync.WaitGroup
	ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	errs := make(chan error, 20)
	for range 20 {
		wg.Go(func() {
			_, _, err := n.Propose(ctx, &pb.Entry{Account: "x"})
			errs <- err
		})
	}
	wg.Wait()
	var overloaded, uncertain, withdrawn int
	for range 20 {
		switch err := <-errs; {
		case errors.Is(err, ErrOverloaded):
			overloaded++
		case errors.Is(err, ErrUncertain):
			uncertain++
		case errors.Is(err, context.DeadlineExceeded):
			withdrawn++
		default:
			t.Errorf("unexpected: %v", err)
		}
	}
	close(hold)
	if overloaded < 10 || uncertain == 0 || withdrawn == 0 || withdrawn > 5 {
		t.Errorf("%d refused, %d uncertain, %d withdrawn", overloaded, uncertain, withdrawn)
	}
	if _, _, err := n.Propose(ask(t), &pb.Entry{Account: string(make([]byte, 2000))}); !errors.Is(err, ErrTooLarge) {
		t.Errorf("large command: %v", err)
	}
	if _, err := read(ask(t), n); err != nil {
		t.Fatal(err)
	}
	if got := len(n.toy.list()); got != uncertain {
		t.Errorf("%d commands applied, %d may have been", got, uncertain)
	}
}

// TestStateMachineThatFailsStopsItsReplica: it must hand over, and the others go
// on without it.
func TestStateMachineThatFailsStopsItsReplica(t *testing.T) {
	c := newCluster(t, nil, "a", "b", "c")
	c.mustPropose("one")
	n := c.leader()
	n.toy.mu.Lock()
	n.toy.mu.before = func(Command) { panic("invariant is broken") }
	n.toy.mu.Unlock()
	if _, _, err := n.Propose(ask(t), &pb.Entry{Account: "two"}); !errors.Is(err, ErrUncertain) {
		t.Errorf("command that broke it: %v", err)
	}
	select {
	case err := <-n.failed:
		if err == nil {
			t.Error("no reason told")
		}
	case <-time.After(10 * time.Second):
		t.Fatal("nobody was told")
	}
	if n.Err() == nil || n.Status().GetRole() != "stopped" {
		t.Errorf("status %v, error %v", n.Status(), n.Err())
	}
	if err := n.WaitApplied(ask(t), 1<<40); !errors.Is(err, ErrStopped) {
		t.Errorf("wait: %v", err)
	}
	if _, err := n.ReadIndex(ask(t)); !errors.Is(err, ErrStopped) {
		t.Errorf("read: %v", err)
	}
	if err := n.Snapshot(ask(t)); err == nil {
		t.Error("took a snapshot of a state that is not known")
	}
	c.mustPropose("three")
	disk := n.fs
	c.stop(n)
	c.start(n.id, disk)
	wantAll(t, c.converge(), []string{"one", "two", "three"})
}

func TestLeaderWork(t *testing.T) {
	type tick struct {
		node string
		ctx  context.Context
	}
	ticks := make(chan tick)
	c := newCluster(t, func(cfg *Config) {
		id := cfg.NodeID
		cfg.LeaderWorkEvery = 10 * time.Millisecond
		cfg.LeaderWork = func(ctx context.Context, r *Replica) {
			var not *NotLeaderError
			if _, _, err := r.Propose(ctx, &pb.Entry{Account: "by " + id}); err != nil && !errors.As(err, &not) && ctx.Err() == nil && r.Ready() {
				t.Errorf("work of %s: %v", id, err)
			}
			select {
			case ticks <- tick{id, ctx}:
			case <-ctx.Done():
			}
		}
	}, "a", "b", "c")
	// A machine that is busy may change the leader by itself: then it begins anew.
	first := <-ticks
	for row := 1; row < 4; row++ {
		next := <-ticks
		if next.node != first.node {
			if c.node(first.node).Ready() {
				t.Fatalf("%s works, then %s", first.node, next.node)
			}
			row = 0
		}
		first = next
	}
	if err := c.node(first.node).TransferLeadership(ask(t), ""); err != nil {
		t.Fatal(err)
	}
	select {
	case <-first.ctx.Done():
	case <-time.After(5 * time.Second):
		t.Error("work was not told that leadership is over")
	}
	for next := range ticks {
		if next.node != first.node {
			break
		}
	}
}

func TestPreferredReplicaLeads(t *testing.T) {
	c := newCluster(t, func(cfg *Config) { cfg.Preferred = cfg.NodeID == "b" }, "a", "b", "c")
	if n := c.leader(); n.id != "b" {
		t.Logf("%s leads; b was preferred, which is no promise", n.id)
	}
	deadline := time.Now().Add(5 * time.Second)
	for c.node("b").raft.ReloadableConfig().HeartbeatTimeout != fast().Heartbeat {
		if time.Now().After(deadline) {
			t.Fatal("preferred replica stays impatient")
		}
		time.Sleep(5 * time.Millisecond)
	}
}

func TestBootstrapIsRepeatable(t *testing.T) {
	c := newCluster(t, nil, "a", "b", "c")
	c.mustPropose("one")
	for _, n := range c.running() {
		if err := n.Bootstrap([]string{"a", "b", "c"}); err != nil {
			t.Error(err)
		}
		if got := len(n.Members()); got != 3 {
			t.Errorf("%s has %d members", n.id, got)
		}
	}
	n := c.start("d", vfs.NewCrashableMem()) // is no member, and waits
	if n.IsLeader() || len(n.Members()) != 0 {
		t.Error("a replica that was never added takes part")
	}
}
