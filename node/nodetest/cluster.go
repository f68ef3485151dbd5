package nodetest

import (
	"log/slog"
	"testing"

	"github.com/quorumail/quorumail/node"
	"github.com/quorumail/quorumail/node/client"
	"github.com/quorumail/quorumail/node/transport"
)

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
	// Log; nil: discarded.
	Log *slog.Logger
}

// Cluster is a running cluster. Nodes are named "n1", "n2" and so on. Safe for
// concurrent use, but for Stop, Kill and Restart of one and the same node.
type Cluster struct{}

// Start starts a cluster and returns when all shards have leaders. The cluster
// ends with the test.
func Start(t testing.TB, o Options) *Cluster { return &Cluster{} }

// Client returns a new client of the cluster, which ends with the test.
func (c *Cluster) Client(t testing.TB) *client.Client { return nil }

// Addrs returns the addresses of the nodes, for client.Config.Nodes.
func (c *Cluster) Addrs() []string { return nil }

// Nodes returns the names of all nodes, running or not.
func (c *Cluster) Nodes() []string { return nil }

// Node returns a running node, nil if it does not run.
func (c *Cluster) Node(name string) *node.Node { return nil }

// CreateAccount creates an account with a password.
func (c *Cluster) CreateAccount(t testing.TB, name, password string) {}

// Stop closes a node properly.
func (c *Cluster) Stop(t testing.TB, name string) {}

// Kill ends a node as SIGKILL and a power cut would.
func (c *Cluster) Kill(t testing.TB, name string) {}

// Restart starts a stopped or killed node on what its disk holds, at its
// address from before.
func (c *Cluster) Restart(t testing.TB, name string) {}

// Leader returns the node that leads the account's shard, waiting for one.
func (c *Cluster) Leader(t testing.TB, account string) string { return "" }

// KillLeader kills the node that leads the account's shard and returns its name.
func (c *Cluster) KillLeader(t testing.TB, account string) string { return "" }

// Faults cuts and delays what nodes send to each other.
func (c *Cluster) Faults() *transport.Faults { return nil }

// HashesEqual fails the test unless the running replicas of each shard come to
// hold equal keyspaces at an equal applied index. Writers must be quiet.
func (c *Cluster) HashesEqual(t testing.TB) {}
