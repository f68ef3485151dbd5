package node_test

import (
	"context"
	"fmt"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/quorumail/quorumail/node"
	"github.com/quorumail/quorumail/node/nodetest"
	"github.com/quorumail/quorumail/node/shard"
	pb "github.com/quorumail/quorumail/proto/quorumail/v1"
)

// A node that comes back at another address is found there: the map follows the
// configuration.
func TestNodeMovesToAnotherAddress(t *testing.T) {
	fs := vfs.NewMem()
	founded := ""
	for range 2 {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		fast := 20 * time.Millisecond
		n, err := node.Open(t.Context(), node.Config{
			ID: "n1", DataDir: "data", FS: fs, Listener: l, Peers: map[string]string{"n1": l.Addr().String()},
			Shards: 1, MinFree: -1, Timing: shard.Timing{Heartbeat: fast, Election: fast, Lease: fast, Commit: fast},
		})
		if err != nil {
			t.Fatal(err)
		}
		limit, cancel := context.WithTimeout(t.Context(), 20*time.Second)
		if err := n.WaitReady(limit); err != nil {
			t.Fatal(err)
		}
		for n.Map().GetNodes()[0].GetAddress() != l.Addr().String() {
			select {
			case <-limit.Done():
				t.Fatalf("map says %v, the node is at %v", n.Map().GetNodes(), l.Addr())
			case <-time.After(10 * time.Millisecond):
			}
		}
		cancel()
		if id := n.Map().GetClusterId(); founded != "" && id != founded {
			t.Errorf("cluster %q has become %q", founded, id)
		} else {
			founded = id
		}
		if err := n.Close(t.Context()); err != nil {
			t.Error(err)
		}
	}
	_, err := node.Open(t.Context(), node.Config{
		ID: "n2", DataDir: "data", FS: fs, Listen: "127.0.0.1:0", Peers: map[string]string{"n2": "127.0.0.1:1"},
	})
	if err == nil || !strings.Contains(err.Error(), "belongs to node") {
		t.Errorf("data of another node: %v", err)
	}
}

// Files instead of memory: nothing of it may depend on what vfs.MemFS forgives.
func TestOnFiles(t *testing.T) {
	c := nodetest.Start(t, nodetest.Options{Nodes: 1, Dir: t.TempDir()})
	c.CreateAccount(t, "alice", "secret")
	u := login(t, c.Client(t), "alice")
	for i, end := range []func(testing.TB, string){c.Stop, c.Kill, c.Stop} {
		u.append("hello")
		end(t, "n1")
		c.Restart(t, "n1")
		if _, uids := u.open(); uids.Len() != uint64(i+1) {
			t.Errorf("after %d restarts: %v", i+1, uids)
		}
	}
}

// A watch goes on at another node, and misses nothing.
func TestWatchSurvivesFailover(t *testing.T) {
	c := nodetest.Start(t, nodetest.Options{Shards: 1})
	c.CreateAccount(t, "alice", "secret")
	u := login(t, c.Client(t), "alice")
	events := make(chan uint64, 1000)
	for range 3 {
		defer c.Client(t).Session("alice").Watch(0, func(ev *pb.WatchResponse, err error) {
			if err != nil {
				t.Errorf("watch: %v", err)
			}
			events <- ev.GetModSeq()
		})()
	}
	told := func(want uint64) {
		t.Helper()
		limit := time.After(20 * time.Second)
		for n := 0; n < 3; {
			select {
			case got := <-events:
				if got == want {
					n++
				}
			case <-limit:
				t.Fatalf("only %d of 3 watches were told of modseq %d", n, want)
			}
		}
	}
	for range 2 {
		told(u.do(appendEntry(message("x"))).GetModSeq())
		name := c.KillLeader(t, "alice")
		told(u.do(appendEntry(message("y"))).GetModSeq())
		c.Restart(t, name)
	}
}

// A node that was away for longer than the log reaches back is brought up to
// date with a snapshot.
func TestLaggingNodeCatchesUpBySnapshot(t *testing.T) {
	c := nodetest.Start(t, nodetest.Options{Shards: 1, Adjust: func(cfg *node.Config) {
		cfg.Limits = shard.Limits{SnapshotBytes: 64 << 10, TrailingBytes: 1, TrailingLogs: 8}
	}})
	c.CreateAccount(t, "alice", "secret")
	u := login(t, c.Client(t), "alice")
	leader := c.Leader(t, "alice")
	away := ""
	for _, name := range c.Nodes() {
		if name != leader {
			away = name
		}
	}
	c.Kill(t, away)
	for i := range 200 {
		u.append(fmt.Sprintf("%d %s", i, strings.Repeat("x", 1000)))
	}
	c.Restart(t, away)
	c.HashesEqual(t)
	u.append("after")
	c.HashesEqual(t)
}
