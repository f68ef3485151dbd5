package fault

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// Cluster is three storage nodes and two frontends on loopback, each a process.
// It is for one goroutine.
type Cluster struct {
	bin, dir string
	flags    []string          // of nodes, beside those that all have
	addrs    map[string]string // of nodes, by id
	nodes    map[string]*Process
	fronts   []*Process
}

// stopWithin is how long a process may take to stop.
const stopWithin = 30 * time.Second

// Build compiles the binary into dir, and returns its path.
func Build(ctx context.Context, dir string) (string, error) {
	bin := filepath.Join(dir, "quorumail")
	cmd := exec.CommandContext(ctx, "go", "build", "-o", bin, "github.com/quorumail/quorumail/cmd/quorumail")
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("build: %w\n%s", err, out)
	}
	return bin, nil
}

// StartCluster starts nodes, waits until they serve, and starts frontends. Data
// and logs are in dir. Nodes get nodeFlags too, whenever they are started.
func StartCluster(ctx context.Context, bin, dir string, nodes, fronts int, nodeFlags ...string) (*Cluster, error) {
	c := &Cluster{bin: bin, dir: dir, flags: nodeFlags, addrs: make(map[string]string), nodes: make(map[string]*Process)}
	ports, err := freePorts(nodes)
	if err != nil {
		return nil, err
	}
	for i, port := range ports {
		c.addrs[fmt.Sprintf("n%d", i+1)] = fmt.Sprintf("127.0.0.1:%d", port)
	}
	for _, id := range c.Nodes() {
		if err := c.StartNode(ctx, id); err != nil {
			c.Close()
			return nil, err
		}
	}
	for i := range fronts {
		if err := c.startFront(ctx, i+1); err != nil {
			c.Close()
			return nil, err
		}
	}
	return c, nil
}

// Nodes get ports from here: below those that systems give to whoever listens on
// port 0 or connects (Linux: 32768 and up). A dead node's port must stay free until
// it is started again; another program's server on it would be taken for the node.
const firstPort, lastPort = 20000, 32000

// freePorts returns TCP ports that nobody listens on, and nobody is given by
// chance.
func freePorts(n int) ([]int, error) {
	var ports []int
	for tries := 0; len(ports) < n; tries++ {
		port := firstPort + rand.IntN(lastPort-firstPort)
		lis, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", port))
		if err != nil {
			if tries < 100 {
				continue // taken
			}
			return nil, err
		}
		defer lis.Close() // all are held until all are chosen
		ports = append(ports, port)
	}
	return ports, nil
}

// Nodes returns the ids of all nodes, running or not.
func (c *Cluster) Nodes() []string {
	var ids []string
	for id := range c.addrs {
		ids = append(ids, id)
	}
	slices.Sort(ids)
	return ids
}

// StartNode starts a node, anew or again on what it has on disk, and waits until
// it is ready.
func (c *Cluster) StartNode(ctx context.Context, id string) error {
	args := []string{"node", "--id", id, "--data", c.DataDir(id), "--listen", c.addrs[id]}
	for _, peer := range c.Nodes() {
		args = append(args, "--peer", peer+"="+c.addrs[peer])
	}
	p, err := start(c.dir, id, c.bin, append(args, c.flags...)...)
	if err != nil {
		return err
	}
	c.nodes[id] = p
	return p.WaitReady(ctx)
}

func (c *Cluster) startFront(ctx context.Context, n int) error {
	p, err := start(c.dir, fmt.Sprintf("front%d", n), c.bin,
		"front", "--nodes", c.nodeList(), "--imap", "127.0.0.1:0", "--lmtp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	c.fronts = append(c.fronts, p)
	return p.WaitReady(ctx)
}

func (c *Cluster) nodeList() string {
	var list []string
	for _, id := range c.Nodes() {
		list = append(list, c.addrs[id])
	}
	return strings.Join(list, ",")
}

// Node returns the last process of a node.
func (c *Cluster) Node(id string) *Process { return c.nodes[id] }

// Front returns a frontend, from 1.
func (c *Cluster) Front(n int) *Process { return c.fronts[n-1] }

// IMAP returns the address of a frontend, from 1.
func (c *Cluster) IMAP(n int) (string, error) { return c.fronts[n-1].Value("IMAP") }

// Admin runs "quorumail admin" and returns what it prints.
func (c *Cluster) Admin(ctx context.Context, stdin string, args ...string) ([]byte, error) {
	cmd := exec.CommandContext(ctx, c.bin, append([]string{"admin", "--nodes", c.nodeList()}, args...)...)
	cmd.Stdin = strings.NewReader(stdin)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		return out, fmt.Errorf("admin %s: %w: %s", strings.Join(args, " "), err, bytes.TrimSpace(stderr.Bytes()))
	}
	return out, nil
}

// AddUser creates an account.
func (c *Cluster) AddUser(ctx context.Context, name, password string) error {
	_, err := c.Admin(ctx, password+"\n", "user", "add", name, "--iterations", "4096")
	return err
}

// Leader returns the node that leads an account's shard, waiting for one that
// runs.
func (c *Cluster) Leader(ctx context.Context, account string) (string, error) {
	for {
		out, err := c.Admin(ctx, "", "locate", account, "--json")
		if err != nil {
			return "", err
		}
		var loc struct{ Leader string }
		if err := json.Unmarshal(out, &loc); err != nil {
			return "", fmt.Errorf("admin locate: %w", err)
		}
		if p := c.nodes[loc.Leader]; p != nil && p.Alive() {
			return loc.Leader, nil
		}
		if err := Pause(ctx, 100*time.Millisecond); err != nil {
			return "", fmt.Errorf("no leader of the shard of %s: %w", account, err)
		}
	}
}

// Replica is a replica as its node describes it. Shard 0 is the directory.
type Replica struct {
	Shard        uint32
	Role, Leader string
	AppliedIndex uint64 `json:"applied_index"`
}

// Replicas returns those of each node that answers, by the node's id.
func (c *Cluster) Replicas(ctx context.Context) (map[string][]Replica, error) {
	out, err := c.Admin(ctx, "", "status", "--json")
	if err != nil {
		return nil, err
	}
	var st struct {
		Nodes []struct {
			ID, Error string
			Replicas  []Replica
		}
	}
	if err := json.Unmarshal(out, &st); err != nil {
		return nil, fmt.Errorf("admin status: %w", err)
	}
	replicas := make(map[string][]Replica)
	for _, n := range st.Nodes {
		if n.Error == "" {
			replicas[n.ID] = n.Replicas
		}
	}
	return replicas, nil
}

// DataDir is where a node keeps everything.
func (c *Cluster) DataDir(id string) string { return filepath.Join(c.dir, id) }

// Verify compares the replicas of all shards.
func (c *Cluster) Verify(ctx context.Context) error {
	_, err := c.Admin(ctx, "", "verify", "--timeout", "60s")
	return err
}

// Pause waits for d, or until ctx ends: then the error is its cause.
func Pause(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// Close stops all processes and reports those that did not stop as they should.
func (c *Cluster) Close() error {
	var errs []error
	for _, p := range c.fronts {
		errs = append(errs, stopIfAlive(p))
	}
	// Together, else each hands its leaderships to one that is about to stop too.
	ended := make(chan error, len(c.nodes))
	for _, p := range c.nodes {
		go func() { ended <- stopIfAlive(p) }()
	}
	for range c.nodes {
		errs = append(errs, <-ended)
	}
	return errors.Join(errs...)
}

func stopIfAlive(p *Process) error {
	if !p.Alive() {
		return nil
	}
	return p.Stop(stopWithin)
}
