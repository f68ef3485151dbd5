package fault

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/quorumail/quorumail/bench/traffic"
)

var behindEntries = flag.Uint64("behind-entries", 1500, "how many log entries TestNodeFarBehind has a node miss")

// behindClients is how many clients write while the node is away: one after the other,
// so that most of their commands are entries of their own.
func behindClients() int {
	if *behindEntries < 100_000 {
		return 4
	}
	return 16
}

// A node that was away while the others have gone on by many log entries, and have cut
// their logs as they do, comes back, is caught up without anybody's doing, and holds
// what they hold.
func TestNodeFarBehind(t *testing.T) {
	ctx := t.Context()
	c, err := StartCluster(ctx, build(t), t.TempDir(), 3, 1, "--shards", strconv.Itoa(behindClients()/2))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := c.Close(); err != nil {
			t.Error(err)
		}
	})
	const away = "n3"
	writers := make([]*traffic.Conn, behindClients())
	addr, err := c.IMAP(1)
	if err != nil {
		t.Fatal(err)
	}
	for i := range writers {
		name := fmt.Sprintf("writer%d@example.org", i)
		if err := c.AddUser(ctx, name, password); err != nil {
			t.Fatal(err)
		}
		if writers[i], err = openMailbox(ctx, addr, name); err != nil {
			t.Fatal(err)
		}
		defer writers[i].Close()
	}
	at, err := c.applied(ctx, "n1")
	if err != nil {
		t.Fatal(err)
	}
	c.Node(away).Kill()
	began := time.Now()
	missed, err := c.writeEntries(ctx, writers, at, *behindEntries)
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("%s was away for %d log entries, written in %v", away, missed, time.Since(began).Round(time.Second/10))

	began = time.Now()
	if err := c.StartNode(ctx, away); err != nil {
		t.Fatal(err)
	}
	want, err := c.applied(ctx, "n1")
	if err != nil {
		t.Fatal(err)
	}
	limit, cancel := context.WithTimeoutCause(ctx, 10*time.Minute, errors.New("it is not caught up"))
	defer cancel()
	for {
		have, err := c.applied(ctx, away)
		if err == nil && reached(have, want) {
			break
		}
		if err := Pause(limit, 20*time.Millisecond); err != nil {
			t.Fatalf("%v: %s has %v, want %v", err, away, have, want)
		}
	}
	took := time.Since(began)
	if err := c.Verify(ctx); err != nil {
		t.Fatal(err)
	}
	t.Logf("caught up %v after it was started; at most %d MiB of memory; replicas equal", took.Round(time.Millisecond), peakMiB(t, c.Node(away)))
}

// writeEntries has clients write until there are so many more entries than at an index
// of each shard, and returns how many there are.
func (c *Cluster) writeEntries(ctx context.Context, writers []*traffic.Conn, from map[uint32]uint64, want uint64) (more uint64, err error) {
	writing, stop := context.WithCancel(ctx)
	defer stop()
	errs := make([]error, len(writers))
	var wg sync.WaitGroup
	for i, conn := range writers {
		wg.Go(func() {
			for n := 0; writing.Err() == nil && errs[i] == nil; n++ {
				_, errs[i] = conn.OK("STORE 1 %cFLAGS.SILENT (\\Flagged)", "+-"[n%2])
			}
		})
	}
	for more < want && err == nil {
		if err = Pause(ctx, 200*time.Millisecond); err != nil {
			break
		}
		var now map[uint32]uint64
		now, err = c.applied(ctx, "n1")
		more = 0
		for shard, index := range now {
			more += index - from[shard]
		}
	}
	stop()
	wg.Wait()
	return more, errors.Join(append(errs, err)...)
}

// applied returns how far a node's replicas have applied their logs.
func (c *Cluster) applied(ctx context.Context, id string) (map[uint32]uint64, error) {
	nodes, err := c.Replicas(ctx)
	if err != nil {
		return nil, err
	}
	at := make(map[uint32]uint64)
	for _, r := range nodes[id] {
		at[r.Shard] = r.AppliedIndex
	}
	if len(at) == 0 {
		return nil, fmt.Errorf("node %s tells of no replicas", id)
	}
	return at, nil
}

func reached(have, want map[uint32]uint64) bool {
	for shard, index := range want {
		if have[shard] < index {
			return false
		}
	}
	return true
}

// peakMiB is the most memory that a process has had resident.
func peakMiB(t *testing.T, p *Process) int {
	t.Helper()
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", p.PID()))
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(status), "VmHWM:")
	fields := strings.Fields(rest)
	if len(fields) == 0 {
		t.Fatal("no VmHWM")
	}
	kib, err := strconv.Atoi(fields[0])
	if err != nil {
		t.Fatal(err)
	}
	return kib >> 10
}
