package nodetest

import (
	"context"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/quorumail/quorumail/node"
	"github.com/quorumail/quorumail/node/client"
	"github.com/quorumail/quorumail/node/shard"
	"github.com/quorumail/quorumail/node/transport"
	"github.com/quorumail/quorumail/proto/imapnum"
	pb "github.com/quorumail/quorumail/proto/quorumail/v1"
)

// patience is how long a cluster in a test may take for anything.
const patience = 30 * time.Second

// Options say what a cluster is to be. The zero value is three nodes with two
// shards, each on all nodes, on disks in memory.
type Options struct {
	// Nodes; default 3.
	Nodes int
	// Shards; default 2, or 1 for a single node.
	Shards int
	// Replicas of each shard; default all nodes, at most 3.
	Replicas int
	// Dir holds the nodes' data on the real file system; empty: in memory, where a
	// killed node loses what was not synced.
	Dir string
	// Adjust changes the configuration of each node before each of its starts.
	Adjust func(*node.Config)
	// Log; nil: discarded, unless the environment has NODETEST_LOG.
	Log *slog.Logger
}

// Cluster is a running cluster. Nodes are named "n1", "n2" and so on. Safe for
// concurrent use, but for Stop, Kill and Restart of one and the same node.
type Cluster struct {
	t       testing.TB
	opts    Options
	faults  *transport.Faults
	client  *client.Client // the cluster's own
	members []*member
	wg      sync.WaitGroup // killed nodes that are being freed
}

// member is a node's place: its address and its disk, whether it runs or not.
type member struct {
	name string
	port *port
	dir  string

	mu   sync.Mutex
	fs   vfs.FS
	mem  *vfs.MemFS // fs, if it is in memory
	node *node.Node // nil: down
	life *life      // of node
}

// life is from a start to an end of a node.
type life struct{ over atomic.Bool }

// Start starts a cluster and returns when all shards have leaders. The cluster
// ends with the test.
func Start(t testing.TB, o Options) *Cluster {
	t.Helper()
	if o.Nodes == 0 {
		o.Nodes = 3
	}
	if o.Shards == 0 {
		o.Shards = min(2, o.Nodes)
	}
	if o.Replicas == 0 {
		o.Replicas = min(3, o.Nodes)
	}
	if o.Log == nil && os.Getenv("NODETEST_LOG") != "" {
		o.Log = slog.New(slog.NewTextHandler(os.Stderr, nil))
	}
	c := &Cluster{t: t, opts: o, faults: &transport.Faults{}}
	t.Cleanup(func() { c.close(t) })
	for i := range o.Nodes {
		p, err := newPort()
		if err != nil {
			t.Fatal(err)
		}
		m := &member{name: fmt.Sprintf("n%d", i+1), port: p, fs: vfs.Default}
		m.dir = filepath.Join(o.Dir, m.name)
		if o.Dir == "" {
			m.mem = vfs.NewCrashableMem()
			m.fs = m.mem
		}
		c.members = append(c.members, m)
	}
	for _, m := range c.members {
		if err := c.start(m); err != nil {
			t.Fatal(err)
		}
	}
	c.client = c.Client(t)
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	if err := c.client.WaitReady(ctx); err != nil {
		t.Fatalf("cluster does not come up: %v", err)
	}
	return c
}

// timing is fast; alone a node has nobody to wait for.
func (c *Cluster) timing() shard.Timing {
	if c.opts.Nodes == 1 {
		return shard.Timing{
			Heartbeat: 5 * time.Millisecond, Election: 5 * time.Millisecond,
			Lease: 5 * time.Millisecond, Commit: 5 * time.Millisecond,
		}
	}
	return shard.Timing{
		Heartbeat: 300 * time.Millisecond, Election: 300 * time.Millisecond,
		Lease: 200 * time.Millisecond, Commit: 20 * time.Millisecond,
	}
}

func (c *Cluster) start(m *member) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.node != nil {
		return fmt.Errorf("node %s runs already", m.name)
	}
	l := &life{}
	cfg := node.Config{
		ID: m.name, DataDir: m.dir, FS: m.fs,
		Listener: m.port.listen(), Peers: make(map[string]string),
		Shards: c.opts.Shards, Replicas: c.opts.Replicas,
		Timing:     c.timing(),
		ReadWait:   500 * time.Millisecond,
		BlockCache: 8 << 20, MemTable: 4 << 20, LogCache: 8 << 20,
		MinFree: -1, Upkeep: -1, Mend: 100 * time.Millisecond, Balance: -1,
		OnFatal: func(err error) {
			// What a node that was killed finds while it is being freed is nobody's.
			if !l.over.Load() {
				c.t.Errorf("node %s: disk has failed: %v", m.name, err)
			}
		},
		Faults: c.faults,
		Log:    c.opts.Log,
	}
	for _, other := range c.members {
		cfg.Peers[other.name] = other.port.addr()
	}
	if c.opts.Adjust != nil {
		c.opts.Adjust(&cfg)
	}
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	n, err := node.Open(ctx, cfg)
	m.node, m.life = n, l
	return err
}

// close ends what runs; without handing anything over, since there is nobody to
// hand it to.
func (c *Cluster) close(t testing.TB) {
	for _, m := range c.members {
		m.port.thaw()
		m.mu.Lock()
		if n := m.node; n != nil {
			m.node = nil
			m.life.over.Store(true)
			c.wg.Go(func() {
				n.Kill()
				if err := n.Close(context.Background()); err != nil {
					t.Errorf("close %s: %v", m.name, err)
				}
			})
		}
		m.mu.Unlock()
	}
	c.wg.Wait()
	for _, m := range c.members {
		m.port.close()
	}
}

// Client returns a new client of the cluster, which ends with the test.
func (c *Cluster) Client(t testing.TB) *client.Client {
	t.Helper()
	cl, err := client.New(client.Config{
		Nodes: c.Addrs(), AttemptTimeout: time.Second, WatchPing: 200 * time.Millisecond,
		RequestTimeout: patience, Log: c.opts.Log,
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := cl.Close(); err != nil {
			t.Error(err)
		}
	})
	return cl
}

// Addrs returns the addresses of the nodes, for client.Config.Nodes.
func (c *Cluster) Addrs() []string {
	var addrs []string
	for _, m := range c.members {
		addrs = append(addrs, m.port.addr())
	}
	return addrs
}

// Nodes returns the names of all nodes, running or not.
func (c *Cluster) Nodes() []string {
	var names []string
	for _, m := range c.members {
		names = append(names, m.name)
	}
	return names
}

// Node returns a running node, nil if it does not run.
func (c *Cluster) Node(name string) *node.Node {
	for _, m := range c.members {
		if m.name == name {
			m.mu.Lock()
			defer m.mu.Unlock()
			return m.node
		}
	}
	return nil
}

func (c *Cluster) member(t testing.TB, name string) *member {
	t.Helper()
	for _, m := range c.members {
		if m.name == name {
			return m
		}
	}
	t.Fatalf("no node %q", name)
	return nil
}

// CreateAccount creates an account with a password, with the fewest SCRAM
// iterations that are allowed.
func (c *Cluster) CreateAccount(t testing.TB, name, password string) {
	t.Helper()
	name, err := imapnum.AccountName(name)
	if err != nil {
		t.Fatal(err)
	}
	cr, err := client.NewCredentials(password, 4096)
	if err != nil {
		t.Fatal(err)
	}
	res, err := c.client.Session(name).Propose(context.Background(), &pb.Entry{
		Op: &pb.Entry_CreateAccount{CreateAccount: &pb.CreateAccountOp{
			Credentials: cr, UidValiditySeed: uint32(time.Now().Unix()),
		}},
	})
	if err != nil {
		t.Fatalf("create account %s: %v", name, err)
	}
	if res.GetCode() != pb.Code_CODE_OK {
		t.Fatalf("create account %s: %v", name, res)
	}
}

// Stop closes a node properly.
func (c *Cluster) Stop(t testing.TB, name string) {
	t.Helper()
	m := c.member(t, name)
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.node == nil {
		t.Fatalf("node %s does not run", name)
	}
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	if err := m.node.Close(ctx); err != nil {
		t.Errorf("stop %s: %v", name, err)
	}
	m.node = nil
}

// Kill ends a node as SIGKILL and a power cut would.
func (c *Cluster) Kill(t testing.TB, name string) {
	t.Helper()
	m := c.member(t, name)
	m.mu.Lock()
	defer m.mu.Unlock()
	n := m.node
	if n == nil {
		t.Fatalf("node %s does not run", name)
	}
	m.node = nil
	m.life.over.Store(true)
	n.Kill()
	free := func() {
		if err := n.Close(context.Background()); err != nil {
			t.Logf("free %s: %v", name, err)
		}
	}
	if m.mem == nil {
		free() // its files are locked until then
		return
	}
	// All that it has told anybody was synced before; of the rest, some is there
	// and some is not.
	m.mem = m.mem.CrashClone(vfs.CrashCloneCfg{
		UnsyncedDataPercent: rand.IntN(101), RNG: rand.New(rand.NewPCG(rand.Uint64(), rand.Uint64())),
	})
	m.fs = m.mem
	c.wg.Go(free)
}

// Restart starts a stopped or killed node on what its disk holds, at its
// address from before.
func (c *Cluster) Restart(t testing.TB, name string) {
	t.Helper()
	if err := c.start(c.member(t, name)); err != nil {
		t.Fatalf("restart: %v", err)
	}
}

// Disk returns the file system of a node and the directory of its data there. A node
// whose data is changed must not run.
func (c *Cluster) Disk(t testing.TB, name string) (f vfs.FS, dir string) {
	t.Helper()
	m := c.member(t, name)
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.fs, m.dir
}

// Swap gives a node that does not run another disk, nil: an empty one, and returns the
// one that it had.
func (c *Cluster) Swap(t testing.TB, name string, disk *vfs.MemFS) (old *vfs.MemFS) {
	t.Helper()
	m := c.member(t, name)
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.node != nil || m.mem == nil {
		t.Fatalf("node %s runs, or its disk is not in memory", name)
	}
	if disk == nil {
		disk = vfs.NewCrashableMem()
	}
	old, m.mem, m.fs = m.mem, disk, disk
	return old
}

// Whole waits until every running node votes in every group, by the name of the disk
// that it has now, as the groups' leaders know it.
func (c *Cluster) Whole(t testing.TB) {
	t.Helper()
	eventually(t, "all nodes vote", c.Missing)
}

// Missing says which running node does not vote in which group, or nothing.
func (c *Cluster) Missing() string {
	for group := uint32(0); group <= uint32(c.opts.Shards); group++ {
		if missing := c.notVoting(group); missing != "" {
			return missing
		}
	}
	return ""
}

func (c *Cluster) notVoting(group uint32) string {
	var voters []string
	term := uint64(0)
	for _, name := range c.Nodes() {
		n := c.Node(name)
		if n == nil {
			continue
		}
		for _, st := range n.Status() {
			if st.GetShard() == group && st.GetRole() == "leader" && st.GetTerm() >= term {
				voters, term = n.Voters(group), st.GetTerm()
			}
		}
	}
	if len(voters) == 0 {
		return fmt.Sprintf("nobody leads group %d", group)
	}
	for _, name := range c.Nodes() {
		if n := c.Node(name); n != nil && !slices.Contains(voters, n.ServerID()) {
			return fmt.Sprintf("%s is not among the voters %v of group %d", n.ServerID(), voters, group)
		}
	}
	return ""
}

// TryRestart is Restart of a node that may refuse to start.
func (c *Cluster) TryRestart(t testing.TB, name string) error {
	t.Helper()
	return c.start(c.member(t, name))
}

// Freeze makes a node give no sign of life, as SIGSTOP does: its connections
// stay open. Thaw ends it, and all faults.
func (c *Cluster) Freeze(t testing.TB, name string) {
	t.Helper()
	c.member(t, name).port.freeze()
	c.faults.Isolate(name)
}

// Thaw ends the frost of all nodes, and all faults.
func (c *Cluster) Thaw() {
	for _, m := range c.members {
		m.port.thaw()
	}
	c.faults.Heal()
}
