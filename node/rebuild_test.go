package node_test

import (
	"cmp"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/quorumail/quorumail/node"
	"github.com/quorumail/quorumail/node/client"
	"github.com/quorumail/quorumail/node/nodetest"
	"github.com/quorumail/quorumail/node/shard"
)

// A node that comes back with an empty disk is taken in as a new server, caught up
// beyond where the log reaches back, and then counts: the cluster goes on with it and
// one other.
func TestWipedNodeIsTakenInAnew(t *testing.T) {
	c := nodetest.Start(t, nodetest.Options{Adjust: func(cfg *node.Config) {
		cfg.Limits = shard.Limits{SnapshotBytes: 16 << 10, SnapshotEvery: time.Second, TrailingBytes: 1, TrailingLogs: 8}
	}})
	c.CreateAccount(t, "alice", "secret")
	tr := startTraffic(t, c, "alice", 2)
	tr.await(10)
	name := c.Leader(t, "alice")
	was := c.Node(name).ServerID()
	c.Kill(t, name)
	c.Swap(t, name, nil)
	tr.await(10)
	c.Restart(t, name)
	c.Whole(t)
	if now := c.Node(name).ServerID(); now == was {
		t.Errorf("%s has another disk, but the same server id", now)
	}
	c.HashesEqual(t)
	other := c.KillLeader(t, "alice")
	tr.await(10)
	c.Restart(t, other)
	tr.finish()
	c.HashesEqual(t)
}

// With two of three disks gone nobody may decide anything: what the third has not been
// told may have been acknowledged. Nothing is founded anew either. With one of the
// disks back, everything is.
func TestLostQuorumIsNotReplaced(t *testing.T) {
	c := nodetest.Start(t, nodetest.Options{Shards: 1})
	c.CreateAccount(t, "alice", "secret")
	u := login(t, c.Client(t), "alice")
	u.append("before")
	cluster := c.Node("n1").Map().GetClusterId()
	for _, name := range []string{"n2", "n3"} {
		c.Kill(t, name)
	}
	disk := c.Swap(t, "n2", nil)
	c.Swap(t, "n3", nil)
	c.Restart(t, "n2")
	c.Restart(t, "n3")
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
	defer cancel()
	if _, err := u.Propose(ctx, appendEntry(message("unheard"))); !client.Retryable(err) {
		t.Errorf("a command without a quorum: %v", err)
	}
	for _, name := range []string{"n2", "n3"} {
		if m := c.Node(name).Map(); m != nil {
			t.Errorf("%s has a map of cluster %s, want none of %s", name, m.GetClusterId(), cluster)
		}
	}
	c.Kill(t, "n2")
	c.Swap(t, "n2", disk)
	c.Restart(t, "n2")
	u.append("after")
	c.Whole(t)
	c.HashesEqual(t)
	for _, name := range c.Nodes() {
		if id := c.Node(name).Map().GetClusterId(); id != cluster {
			t.Errorf("%s is of cluster %s, was %s", name, id, cluster)
		}
	}
}

// A node whose old disk is found again votes with that, and not with the other.
func TestOldDiskComesBack(t *testing.T) {
	c := nodetest.Start(t, nodetest.Options{Shards: 1})
	c.CreateAccount(t, "alice", "secret")
	u := login(t, c.Client(t), "alice")
	u.append("1")
	was := c.Node("n3").ServerID()
	c.Kill(t, "n3")
	old := c.Swap(t, "n3", nil)
	c.Restart(t, "n3")
	c.Whole(t)
	u.append("2")
	c.Kill(t, "n3")
	c.Swap(t, "n3", old)
	c.Restart(t, "n3")
	c.Whole(t)
	if now := c.Node("n3").ServerID(); now != was {
		t.Errorf("server %s has become %s", was, now)
	}
	u.append("3")
	c.HashesEqual(t)
}

var flips = flag.Int("flips", len(flipKinds), "how many bits TestFlippedBitsAreMended flips")

// flipKinds are the first flips: one in each kind of file. Of the largest file whose
// name has it, and the newest of these, the bit is at a part of the length.
var flipKinds = []struct {
	kind, name string
	part       float64
	found      bool // it cannot be of no account
}{
	// First: a node that has been built anew has bodies beside their keys.
	{"bodies", ".blob", 0.4, true},
	{"identity", "/identity.json", 0.3, true},
	{"founders", "/founders.json", 0.5, true},
	{"keys", ".sst", 0.1, true},
	{"log entry", ".seg", 0.5, true},
	{"log checkpoint", ".seg", 0, true},
	// A part that is cut off takes the state back to where the log can go on from.
	{"manifest", "/MANIFEST-", 0.5, false},
}

// pickFlip says which bit is the i-th to be flipped: after those of flipKinds, of each
// file in turns.
func pickFlip(t *testing.T, f vfs.FS, i int, all []string) (path string, part float64, found bool) {
	t.Helper()
	if i >= len(flipKinds) {
		return all[i%len(all)], float64(i*37%100) / 100, false
	}
	k := flipKinds[i]
	largest := int64(0)
	for _, p := range all {
		info, err := f.Stat(p)
		if err != nil {
			t.Fatal(err)
		}
		if strings.Contains(p, k.name) && (info.Size() > largest || info.Size() == largest && p > path) {
			path, largest = p, info.Size()
		}
	}
	if path == "" {
		t.Fatalf("no file with %s: %v", k.kind, all)
	}
	return path, k.part, k.found
}

// files returns the paths of all files below a directory.
func files(t *testing.T, f vfs.FS, dir string) (paths []string) {
	t.Helper()
	names, err := f.List(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range names {
		path := f.PathJoin(dir, name)
		info, err := f.Stat(path)
		if err != nil {
			t.Fatal(err)
		}
		if info.IsDir() {
			paths = append(paths, files(t, f, path)...)
		} else {
			paths = append(paths, path)
		}
	}
	return paths
}

// flip inverts a bit of a file, at a part of its length.
func flip(f vfs.FS, path string, part float64) (at int, err error) {
	file, err := f.OpenReadWrite(path, vfs.WriteCategoryUnspecified)
	if err != nil {
		return 0, err
	}
	info, err := file.Stat()
	if err == nil && info.Size() > 0 {
		at = int(part * float64(info.Size()))
		b := make([]byte, 1)
		if _, err = file.ReadAt(b, int64(at)); err == nil || errors.Is(err, io.EOF) {
			b[0] ^= 1 << (at % 8)
			_, err = file.WriteAt(b, int64(at))
		}
	}
	return at, errors.Join(err, file.Sync(), file.Close())
}

// withMail starts a cluster, n3 with another configuration, in which alice has mail that
// is in the state's files and no longer in the log.
func withMail(t *testing.T, n3 func(*node.Config)) (*nodetest.Cluster, *user) {
	t.Helper()
	c := nodetest.Start(t, nodetest.Options{Shards: 1, Adjust: func(cfg *node.Config) {
		cfg.Limits = shard.Limits{SnapshotBytes: 16 << 10, SnapshotEvery: time.Second, TrailingBytes: 1, TrailingLogs: 8}
		if cfg.ID == "n3" {
			n3(cfg)
		}
	}})
	c.CreateAccount(t, "alice", "secret")
	u := login(t, c.Client(t), "alice")
	for i := range 40 {
		u.append(fmt.Sprintf("%d %s", i, strings.Repeat("body ", 1000)))
	}
	c.HashesEqual(t)
	return c, u
}

// A flipped bit in any file that a node has is found: when it starts, or when all is
// read. It then sets its data aside, by itself, and is caught up by the others; or the
// bit was of no account. In no case does it differ from the others afterwards.
func TestFlippedBitsAreMended(t *testing.T) {
	var failed atomic.Pointer[error]
	c, u := withMail(t, func(cfg *node.Config) { cfg.OnFatal = func(err error) { failed.Store(&err) } })
	mended, server := 0, c.Node("n3").ServerID()
	for i := range *flips {
		c.Stop(t, "n3")
		f, dir := c.Disk(t, "n3")
		var all []string
		for _, path := range files(t, f, dir) {
			// What was set aside, files to be written over, and locks hold nothing.
			if !strings.Contains(path, "/damaged-") && !strings.Contains(path, "/spare-") && f.PathBase(path) != "LOCK" {
				all = append(all, path)
			}
		}
		path, part, certain := pickFlip(t, f, i, all)
		at, err := flip(f, path, part)
		if err != nil {
			t.Fatal(err)
		}
		what := fmt.Sprintf("flip %d: %s at %d", i, path, at)
		failed.Store(nil)
		found := mend(t, c, &failed)
		was := server
		if server = c.Node("n3").ServerID(); server == was {
			t.Logf("%s: of no account", what)
			if certain {
				t.Fatalf("%s: not found", what)
			}
		} else {
			mended++
			t.Logf("%s: %s", what, cmp.Or(found, "found when it started"))
		}
		u.append(what)
		// Reading all does not read what only a lookup needs, as filters.
		for range 25 {
			if failed.Load() != nil {
				c.Kill(t, "n3")
				failed.Store(nil)
				mend(t, c, &failed)
				server = c.Node("n3").ServerID()
				mended++
				break
			}
			time.Sleep(20 * time.Millisecond)
		}
		c.HashesEqual(t)
		if t.Failed() {
			t.Fatal(what)
		}
	}
	t.Logf("%d flipped bits, %d times the node was built anew", *flips, mended)
}

// mend starts n3, has it read all that it has, and starts it again if it has found
// damage then, as whoever supervises a process does. It returns what was found.
func mend(t *testing.T, c *nodetest.Cluster, failed *atomic.Pointer[error]) (found string) {
	t.Helper()
	for range 3 {
		if err := c.TryRestart(t, "n3"); err != nil {
			found = err.Error()
			failed.Store(nil)
			continue // it has noted the damage
		}
		for deadline := time.Now().Add(60 * time.Second); failed.Load() == nil; {
			missing := c.Missing()
			if missing == "" {
				missing = opened(t, c.Node("n3")) // until then there is nothing to be read
			}
			if missing == "" {
				// An error of reading fails the node, too.
				if c.Node("n3").ReadAll(t.Context()) == nil {
					return found
				}
			} else if time.Now().After(deadline) {
				t.Fatal(missing)
			}
			time.Sleep(20 * time.Millisecond)
		}
		found = (*failed.Load()).Error()
		c.Kill(t, "n3")
		failed.Store(nil)
	}
	t.Fatalf("n3 is damaged again after it was built anew: %s", found)
	return ""
}

// opened says why a node's replicas are not there yet, or nothing.
func opened(t *testing.T, n *node.Node) string {
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	if err := n.WaitReady(ctx); err != nil {
		return err.Error()
	}
	return ""
}
