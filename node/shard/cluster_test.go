package shard

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net"
	"os"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"
	"go.uber.org/goleak"
	"google.golang.org/grpc"

	"github.com/quorumail/quorumail/node/raftlog"
	"github.com/quorumail/quorumail/node/transport"
	pb "github.com/quorumail/quorumail/proto/quorumail/v1"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// cluster is one group on a few nodes in this process, over loopback, on file
// systems that can crash.
type cluster struct {
	t      *testing.T
	faults transport.Faults
	change func(*Config)                     // of each replica's configuration
	alone  bool                              // one node, which has nobody to wait for
	wrap   func(id string, fs vfs.FS) vfs.FS // what a node has for its disk; nil: the disk

	mu    sync.Mutex
	addrs map[string]string
	nodes map[string]*testNode
}

type testNode struct {
	id      string
	fs      *vfs.MemFS
	store   *raftlog.Store
	db      *pebble.DB
	flusher *Flusher
	mux     *transport.Mux
	srv     *grpc.Server
	served  chan struct{}
	toy     *toy
	failed  chan error
	*Replica
}

// fast finds a dead leader in half a second: on a busy machine, under the race
// detector, shorter times would find live ones dead.
func fast() Timing {
	return Timing{Heartbeat: 300 * time.Millisecond, Election: 300 * time.Millisecond, Lease: 200 * time.Millisecond, Commit: 20 * time.Millisecond}
}

func newCluster(t *testing.T, change func(*Config), ids ...string) *cluster {
	t.Helper()
	c := &cluster{t: t, change: change, alone: len(ids) == 1, addrs: map[string]string{}, nodes: map[string]*testNode{}}
	t.Cleanup(func() {
		for _, n := range c.running() {
			c.stop(n)
		}
	})
	for _, id := range ids {
		n := c.start(id, vfs.NewCrashableMem())
		if err := n.Bootstrap(ids); err != nil {
			t.Fatal(err)
		}
	}
	return c
}

func (c *cluster) resolve(id string) (string, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	a, ok := c.addrs[id]
	return a, ok
}

func (c *cluster) node(id string) *testNode {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.nodes[id]
}

func (c *cluster) running() []*testNode {
	c.mu.Lock()
	defer c.mu.Unlock()
	var out []*testNode
	for _, n := range c.nodes {
		out = append(out, n)
	}
	slices.SortFunc(out, func(a, b *testNode) int { return slices.Compare([]byte(a.id), []byte(b.id)) })
	return out
}

// start starts a node from what is on its file system.
func (c *cluster) start(id string, fs *vfs.MemFS) *testNode {
	c.t.Helper()
	n, err := c.tryStart(id, fs)
	if err != nil {
		c.t.Fatal(err)
	}
	return n
}

func (c *cluster) tryStart(id string, fs *vfs.MemFS) (_ *testNode, err error) {
	n := &testNode{id: id, fs: fs, failed: make(chan error, 1), served: make(chan struct{})}
	log := slog.New(slog.DiscardHandler)
	if os.Getenv("SHARD_TEST_LOG") != "" {
		log = slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelDebug})).With("node", id)
	}
	fatal := func(err error) { c.t.Errorf("%s: %v", id, err) }
	var disk vfs.FS = fs
	if c.wrap != nil {
		disk = c.wrap(id, fs)
	}
	if n.store, err = raftlog.Open(disk, "raftlog", raftlog.Options{OnFatal: fatal, SegmentBytes: 4 << 10}); err != nil {
		return nil, err
	}
	if n.db, err = pebble.Open("state", &pebble.Options{FS: disk, DisableWAL: true, FormatMajorVersion: pebble.FormatNewest, Logger: quietPebble{c.t}}); err != nil {
		return nil, errors.Join(err, n.store.Close())
	}
	n.flusher = NewFlusher(n.db)
	n.mux, err = transport.New(transport.Config{
		NodeID: id, Resolve: c.resolve, Faults: &c.faults, HeartbeatTimeout: 500 * time.Millisecond, RPCTimeout: 500 * time.Millisecond, Log: log,
	})
	if err != nil {
		return nil, err
	}
	lis, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	n.srv = grpc.NewServer()
	n.mux.Register(n.srv)
	go func() {
		defer close(n.served)
		_ = n.srv.Serve(lis)
	}()
	c.mu.Lock()
	c.addrs[id] = lis.Addr().String()
	c.mu.Unlock()
	if n.toy, err = openToy(n.db, 1); err == nil {
		cfg := Config{
			Shard: 1, NodeID: id, Log: n.store, Transport: n.mux, State: n.toy, Flusher: n.flusher, FS: disk, Dir: "received",
			Timing: fast(), Logger: log, OnFail: func(_ uint32, err error) { n.failed <- err },
		}
		if c.alone {
			cfg.Timing = Timing{Heartbeat: 20 * time.Millisecond, Election: 20 * time.Millisecond, Lease: 20 * time.Millisecond, Commit: 20 * time.Millisecond}
		}
		if c.change != nil {
			c.change(&cfg)
		}
		n.Replica, err = Open(cfg)
	}
	if err != nil {
		n.close(c.t)
		return nil, err
	}
	c.mu.Lock()
	c.nodes[id] = n
	c.mu.Unlock()
	return n, nil
}

type quietPebble struct{ t *testing.T }

func (quietPebble) Infof(string, ...any)                {}
func (l quietPebble) Errorf(format string, args ...any) { l.t.Errorf(format, args...) }
func (l quietPebble) Fatalf(format string, args ...any) { l.t.Errorf(format, args...) }

func (n *testNode) close(t *testing.T) {
	if n.Replica != nil {
		if err := n.Replica.Close(); err != nil {
			t.Error(err)
		}
	}
	if err := n.mux.Close(); err != nil {
		t.Error(err)
	}
	n.srv.Stop()
	<-n.served
	n.flusher.Close()
	if err := errors.Join(n.db.Close(), n.store.Close()); err != nil {
		t.Error(err)
	}
}

// stop stops a node in good order.
func (c *cluster) stop(n *testNode) {
	c.t.Helper()
	c.mu.Lock()
	delete(c.nodes, n.id)
	c.mu.Unlock()
	n.close(c.t)
}

// crash ends a node at once, and returns what was on its disk: what was synced,
// and a random part of what was not.
func (c *cluster) crash(n *testNode, unsynced int, seed uint64) *vfs.MemFS {
	c.t.Helper()
	c.faults.Isolate(n.id) // from now on it tells nobody anything
	disk := n.fs.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: unsynced, RNG: rand.New(rand.NewPCG(seed, 1))})
	c.stop(n)
	c.faults.Heal()
	return disk
}

// leader waits until a node leads and is ready. Those named are not asked.
func (c *cluster) leader(but ...string) *testNode {
	c.t.Helper()
	deadline := time.Now().Add(20 * time.Second)
	for time.Now().Before(deadline) {
		for _, n := range c.running() {
			if !slices.Contains(but, n.id) && n.Ready() {
				return n
			}
		}
		time.Sleep(5 * time.Millisecond)
	}
	c.t.Fatal("no leader")
	return nil
}

// ask bounds a request.
func ask(t *testing.T) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	t.Cleanup(cancel)
	return ctx
}

// propose has an item added through whichever node leads, as a client would.
func (c *cluster) propose(item string) error {
	deadline := time.Now().Add(20 * time.Second)
	for {
		err := errors.New("no node is running")
		for _, n := range c.running() {
			if !n.IsLeader() {
				continue
			}
			ctx, cancel := context.WithTimeout(c.t.Context(), 2*time.Second)
			_, _, err = n.Propose(ctx, &pb.Entry{Version: 1, Account: item})
			cancel()
			if err == nil {
				return nil
			}
		}
		if time.Now().After(deadline) {
			return err
		}
		time.Sleep(5 * time.Millisecond)
	}
}

func (c *cluster) mustPropose(items ...string) {
	c.t.Helper()
	for _, i := range items {
		if err := c.propose(i); err != nil {
			c.t.Fatalf("propose %s: %v", i, err)
		}
	}
}

// read returns what a linearizable read at n sees.
func read(ctx context.Context, n *testNode) ([]string, error) {
	index, err := n.ReadIndex(ctx)
	if err != nil {
		return nil, err
	}
	if err := n.WaitApplied(ctx, index); err != nil {
		return nil, err
	}
	return n.toy.list(), nil
}

// converge waits until the named nodes, or all, have the same items, and returns
// them.
func (c *cluster) converge(ids ...string) []string {
	c.t.Helper()
	c.mustPropose("converge") // so that all that is older is committed
	var lists [][]string
	deadline := time.Now().Add(20 * time.Second)
	for time.Now().Before(deadline) {
		lists = nil
		for _, n := range c.running() {
			if len(ids) == 0 || slices.Contains(ids, n.id) {
				lists = append(lists, n.toy.list())
			}
		}
		same := true
		for _, l := range lists {
			same = same && slices.Equal(l, lists[0]) && slices.Contains(l, "converge")
		}
		if same {
			return lists[0]
		}
		time.Sleep(5 * time.Millisecond)
	}
	for i, l := range lists {
		c.t.Logf("list %d: %d items", i, len(l))
	}
	for _, n := range c.running() {
		first, _ := n.logs.FirstIndex()
		last, _ := n.logs.LastIndex()
		c.t.Logf("%s: %v, log %d to %d, received %v, newest %v, stats %v", n.id, n.Status(), first, last, n.snaps.received(), n.snaps.newest(), n.raft.Stats())
	}
	c.t.Fatal("replicas are not equal")
	return nil
}

func numbered(prefix string, n int) []string {
	var out []string
	for i := range n {
		out = append(out, fmt.Sprintf("%s%d", prefix, i))
	}
	return out
}

// wantAll checks that each item is in got.
func wantAll(t *testing.T, got, items []string) {
	t.Helper()
	have := make(map[string]bool)
	for _, g := range got {
		have[g] = true
	}
	for _, i := range items {
		if !have[i] {
			t.Errorf("%s is lost", i)
		}
	}
}
