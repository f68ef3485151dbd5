package shard

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/hashicorp/raft"
	"google.golang.org/protobuf/proto"

	pb "github.com/quorumail/quorumail/proto/quorumail/v1"
)

// shortLog cuts the log right behind a snapshot.
func shortLog(cfg *Config) { cfg.Limits.TrailingLogs, cfg.Limits.TrailingBytes = 1, 1 }

// cut takes a snapshot on every node, and checks that the log is cut.
func (c *cluster) cut() {
	c.t.Helper()
	for _, n := range c.running() {
		// One that is behind cuts less: then once more.
		deadline := time.Now().Add(20 * time.Second)
		for first := uint64(0); first < 5; {
			if err := n.Snapshot(ask(c.t)); err != nil && time.Now().After(deadline) {
				c.t.Fatal(err)
			}
			if first, _ = n.logs.FirstIndex(); first < 5 && time.Now().After(deadline) {
				c.t.Fatalf("log of %s still begins at %d", n.id, first)
			}
		}
	}
}

func TestLaggingReplicaGetsASnapshot(t *testing.T) {
	c := newCluster(t, shortLog, "a", "b", "c")
	items := numbered("seen", 10)
	c.mustPropose(items...)
	lead := c.leader()
	var lag *testNode
	for _, n := range c.running() {
		if n != lead {
			lag = n
		}
	}
	c.converge()
	disk := c.crash(lag, 50, 2)
	missed := numbered("missed", 200)
	c.mustPropose(missed...)
	c.cut()
	var wg sync.WaitGroup
	during := numbered("during", 100)
	wg.Go(func() { c.mustPropose(during...) })
	n := c.start(lag.id, disk)
	wg.Wait()
	all := append(append(items, missed...), during...)
	wantAll(t, c.converge(), all)
	deadline := time.Now().Add(5 * time.Second)
	for n.snaps.newest() == nil || n.snaps.received() != nil { // the state is seen a little before it is durable
		if time.Now().After(deadline) {
			t.Fatalf("note %v, received %v", n.snaps.newest(), n.snaps.received())
		}
		time.Sleep(5 * time.Millisecond)
	}
	note := n.snaps.newest()
	if names, err := n.fs.List("received"); err != nil || len(names) != 0 {
		t.Errorf("files left behind: %v, %v", names, err)
	}
	// It starts again from what it has, without asking anybody.
	disk = c.crash(n, 0, 3)
	n = c.start(lag.id, disk)
	if n.Applied() < note.Index {
		t.Errorf("starts at %d, snapshot was at %d", n.Applied(), note.Index)
	}
	wantAll(t, c.converge(), all)
}

// TestNewNodeJoins adds a node that has nothing to a group whose log is cut, as
// one that was wiped comes back, and lets it take the place of another.
func TestNewNodeJoins(t *testing.T) {
	c := newCluster(t, shortLog, "a", "b", "c")
	items := numbered("x", 50)
	c.mustPropose(items...)
	c.cut()
	c.start("d", vfs.NewCrashableMem())
	if err := c.leader().AddLearner(ask(t), "d", 0); err != nil {
		t.Fatal(err)
	}
	wantAll(t, c.converge(), items)
	if err := c.leader().AddVoter(ask(t), "d", 0); err != nil {
		t.Fatal(err)
	}
	gone := c.leader()
	c.crash(gone, 0, 4)
	more := numbered("more", 20)
	c.mustPropose(more...)
	if err := c.leader().RemoveServer(ask(t), gone.id, 0); err != nil {
		t.Fatal(err)
	}
	wantAll(t, c.converge(), append(items, more...))
	// The membership travels with the snapshot, too.
	c.cut()
	if err := c.leader().AddLearner(ask(t), "e", 0); err != nil {
		t.Fatal(err)
	}
	e := c.start("e", vfs.NewCrashableMem())
	wantAll(t, c.converge(), append(items, more...))
	deadline := time.Now().Add(5 * time.Second)
	for len(e.Members()) != 4 { // the library takes it over a little after the state
		if time.Now().After(deadline) {
			t.Fatalf("e knows the members %v", e.Members())
		}
		time.Sleep(5 * time.Millisecond)
	}
}

// alone is a replica that is the only one of its group, with a snapshot.
func alone(t *testing.T) (*cluster, *testNode) {
	t.Helper()
	c := newCluster(t, shortLog, "a")
	c.mustPropose(numbered("x", 10)...)
	if err := c.node("a").Snapshot(ask(t)); err != nil {
		t.Fatal(err)
	}
	c.mustPropose("last")
	return c, c.node("a")
}

// receive writes a snapshot into a replica's store as the library does, up to
// where it would have the state machine take it in.
func receive(t *testing.T, n *testNode, index uint64, items []string) raft.SnapshotSink {
	t.Helper()
	note := n.snaps.newest()
	sink, err := n.snaps.Create(1, index, 9, raft.DecodeConfiguration(note.Configuration), note.ConfigurationIndex, nil)
	if err != nil {
		t.Fatal(err)
	}
	var b bytes.Buffer
	if err := (&toySnapshot{index, 9, items}).Export(&b); err != nil {
		t.Fatal(err)
	}
	if _, err := io.Copy(sink, &b); err != nil {
		t.Fatal(err)
	}
	return sink
}

// TestCrashWhileASnapshotIsTakenIn crashes at each step of installing one.
func TestCrashWhileASnapshotIsTakenIn(t *testing.T) {
	items := numbered("y", 30)
	for _, step := range []string{"written", "closed", "imported", "flushed"} {
		for _, unsynced := range []int{0, 100} {
			t.Run(fmt.Sprint(step, unsynced), func(t *testing.T) {
				c, n := alone(t)
				sink := receive(t, n, 1000, items)
				if step != "written" {
					if err := sink.Close(); err != nil {
						t.Fatal(err)
					}
				}
				if step == "imported" || step == "flushed" {
					_, f, err := n.snaps.Open(sink.ID())
					if err != nil {
						t.Fatal(err)
					}
					if err := errors.Join(n.toy.Import(f), f.Close()); err != nil {
						t.Fatal(err)
					}
				}
				if step == "flushed" {
					if err := n.flusher.Flush(ask(t)); err != nil {
						t.Fatal(err)
					}
				}
				disk := c.crash(n, unsynced, 5)
				if step == "written" {
					// What was not received whole leaves no trace.
					n = c.start("a", disk)
					c.leader()
					wantAll(t, n.toy.list(), []string{"x9", "last"})
				} else {
					n = c.start("a", disk)
					if got := n.toy.list(); strings.Join(got, " ") != strings.Join(items, " ") {
						t.Errorf("state is %q", got)
					}
					if note := n.snaps.newest(); note.GetIndex() != 1000 || note.GetStateIndex() != 1000 || n.Applied() != 1000 {
						t.Errorf("note %v, applied %d", note, n.Applied())
					}
					if last := n.Status().GetLastLogIndex(); last < 1000 {
						t.Errorf("log goes on from %d", last)
					}
				}
				if names, err := n.fs.List("received"); err != nil || len(names) != 0 {
					t.Errorf("files left behind: %v, %v", names, err)
				}
				c.mustPropose("goes on")
				wantAll(t, n.toy.list(), []string{"goes on"})
			})
		}
	}
}

func TestOlderSnapshotIsNotTakenIn(t *testing.T) {
	_, n := alone(t)
	before := n.toy.list()
	note := n.snaps.newest()
	if _, err := n.snaps.Create(1, note.Index-1, 1, raft.DecodeConfiguration(note.Configuration), note.ConfigurationIndex, nil); !errors.Is(err, errOldSnapshot) {
		t.Errorf("snapshot before the replica's own: %v", err)
	}
	// Sent twice: what the state has reached already does not take it back.
	sink := receive(t, n, note.Index, []string{"old"})
	if err := sink.Close(); err != nil {
		t.Fatal(err)
	}
	_, f, err := n.snaps.Open(sink.ID())
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(n.machine.Restore(f), f.Close()); err != nil {
		t.Fatal(err)
	}
	if got := n.toy.list(); strings.Join(got, " ") != strings.Join(before, " ") {
		t.Errorf("state went back to %q", got)
	}
}

func TestBrokenSnapshotLeavesTheStateAlone(t *testing.T) {
	c, n := alone(t)
	sink := receive(t, n, 1000, []string{"y"})
	if _, err := sink.Write([]byte("garbage \xff\xff\xff")); err != nil {
		t.Fatal(err)
	}
	if err := sink.Close(); err != nil {
		t.Fatal(err)
	}
	_, f, err := n.snaps.Open(sink.ID())
	if err != nil {
		t.Fatal(err)
	}
	if err := n.machine.Restore(f); err == nil {
		t.Error("garbage was taken in")
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	c.mustPropose("goes on")
	wantAll(t, n.toy.list(), []string{"x0", "last", "goes on"})
	disk := c.crash(n, 100, 6)
	wantAll(t, c.start("a", disk).toy.list(), []string{"x0"})
	c.leader()
	wantAll(t, c.node("a").toy.list(), []string{"x0", "last", "goes on"})
}

// TestHolesAreRefused takes away parts of what a replica has on its disk.
func TestHolesAreRefused(t *testing.T) {
	for name, spoil := range map[string]func(*testNode) error{
		"state is gone": func(n *testNode) error {
			return n.db.DeleteRange(n.toy.key(0, 0), n.toy.key(255, 0), pebble.NoSync)
		},
		"log is gone": func(n *testNode) error {
			last, _ := n.logs.LastIndex()
			return n.logs.DeleteRange(0, last)
		},
		"note is gone": func(n *testNode) error {
			return n.logs.SetAll(map[string][]byte{noteSnapshot: nil})
		},
		"note is garbage": func(n *testNode) error {
			return n.logs.Set([]byte(noteSnapshot), []byte("\xff"))
		},
		"log begins too late": func(n *testNode) error {
			note := proto.CloneOf(n.snaps.newest())
			note.Index -= 3
			note.StateIndex = note.Index
			b, err := proto.Marshal(note)
			return errors.Join(err, n.logs.Set([]byte(noteSnapshot), b))
		},
	} {
		t.Run(name, func(t *testing.T) {
			c, n := alone(t)
			if err := n.Replica.Close(); err != nil {
				t.Fatal(err)
			}
			if err := errors.Join(spoil(n), n.flusher.Flush(ask(t))); err != nil {
				t.Fatal(err)
			}
			disk := c.crash(n, 100, 7)
			if _, err := c.tryStart("a", disk); err == nil {
				t.Error("the replica has started")
			} else {
				t.Log(err)
			}
		})
	}
}

func TestSnapshotsAreTakenByThemselves(t *testing.T) {
	for name, limits := range map[string]Limits{
		"by size": {SnapshotBytes: 1000, SnapshotEvery: 200 * time.Millisecond},
		"by time": {SnapshotBytes: 1 << 40, SnapshotEvery: 200 * time.Millisecond},
	} {
		t.Run(name, func(t *testing.T) {
			c := newCluster(t, func(cfg *Config) {
				cfg.Limits = limits
				cfg.Limits.TrailingLogs, cfg.Limits.TrailingBytes = 5, 1
			}, "a")
			c.mustPropose(numbered(strings.Repeat("x", 100), 30)...)
			n := c.node("a")
			deadline := time.Now().Add(5 * time.Second)
			for {
				first, _ := n.logs.FirstIndex()
				last, _ := n.logs.LastIndex()
				if first > 1 && last-first < 10 {
					break
				}
				if time.Now().After(deadline) {
					t.Fatalf("log still has %d to %d", first, last)
				}
				time.Sleep(10 * time.Millisecond)
			}
		})
	}
}

// TestBacklogIsBounded lets a follower's state machine stand still.
func TestBacklogIsBounded(t *testing.T) {
	c := newCluster(t, func(cfg *Config) { cfg.Limits.BacklogBytes = 100 << 10 }, "a", "b", "c")
	c.mustPropose("first")
	c.converge()
	lead := c.leader()
	var slow *testNode
	for _, n := range c.running() {
		if n != lead {
			slow = n
		}
	}
	hold := make(chan struct{})
	release := sync.OnceFunc(func() { close(hold) })
	t.Cleanup(release) // a replica that is held cannot be closed
	slow.toy.mu.Lock()
	slow.toy.mu.before = func(Command) { <-hold }
	slow.toy.mu.Unlock()
	for i := range 100 {
		if _, _, err := lead.Propose(ask(t), &pb.Entry{Account: fmt.Sprint(i, strings.Repeat("x", 10<<10))}); err != nil {
			t.Fatal(err)
		}
	}
	behind := slow.logs.BytesAfter(slow.Applied())
	if behind > 500<<10 {
		t.Errorf("%d octets wait for the state machine", behind)
	}
	release()
	c.converge()
}

// A leader that was cut off comes back with entries that nobody else has, up to where
// the others' log ends now, which is cut. It must take the snapshot and then go on: the
// new leader has nobody else for its quorum.
func TestDeposedLeaderCountsAgain(t *testing.T) {
	c := newCluster(t, func(cfg *Config) {
		shortLog(cfg)
		cfg.Limits.BatchOps, cfg.Limits.InFlight = 1, 100
	}, "a", "b", "c")
	items := numbered("seen", 10)
	c.mustPropose(items...)
	c.converge()
	old := c.leader()
	base, _ := old.logs.LastIndex()
	c.faults.Isolate(old.id)
	const unheard = 20
	var wg sync.WaitGroup
	for _, item := range numbered("unheard", unheard) {
		wg.Go(func() {
			if _, _, err := old.Propose(ask(t), &pb.Entry{Account: item}); err == nil {
				t.Errorf("%s was acknowledged", item)
			}
		})
	}
	wg.Wait()
	end, _ := old.logs.LastIndex()
	lead := c.leader(old.id)
	for i := 0; ; i++ {
		if last, _ := lead.logs.LastIndex(); last >= max(end, base+1) {
			break
		}
		item := fmt.Sprint("after ", i)
		items = append(items, item)
		if _, _, err := lead.Propose(ask(t), &pb.Entry{Account: item}); err != nil {
			t.Fatal(err)
		}
	}
	last, _ := lead.logs.LastIndex()
	t.Logf("the log of the old leader ends at %d, that of the new one at %d", end, last)
	var third *testNode
	for _, n := range c.running() {
		if n == old {
			continue
		}
		if n != lead {
			third = n
		}
		if err := n.WaitApplied(ask(t), lead.Applied()); err != nil {
			t.Fatal(err)
		}
		if err := n.Snapshot(ask(t)); err != nil {
			t.Fatal(err)
		}
	}
	c.stop(third)
	c.faults.Heal()
	c.mustPropose("with the old leader")
	got := c.converge()
	wantAll(t, got, append(items, "with the old leader"))
	for _, item := range got {
		if strings.HasPrefix(item, "unheard") {
			t.Errorf("%s has come back", item)
		}
	}
}
