package node

import (
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net"
	"os"
	"regexp"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"google.golang.org/grpc/credentials"

	"github.com/quorumail/quorumail/node/shard"
	"github.com/quorumail/quorumail/node/transport"
)

// Config says what a node is and where. ID, DataDir, Peers and one of Listen
// and Listener are needed; other zero fields take the defaults named here.
type Config struct {
	// ID names the node: 1 to 63 letters, digits, ".", "_" and "-". It is written
	// into DataDir, and a directory of another node is refused.
	ID string
	// Cluster names the cluster; default "quorumail". Nodes of another cluster are
	// refused.
	Cluster string
	// DataDir is created if need be. Two nodes never share one.
	DataDir string
	// FS is the file system that DataDir is in; default the operating system's.
	FS vfs.FS

	// Listen is the address (host:port) of the gRPC listener.
	Listen string
	// Listener is used instead of Listen if it is not nil. The node closes it.
	Listener net.Listener
	// Peers are the founding nodes of the cluster, this one among them: id to
	// host:port by which nodes and frontends reach it. The ids must be the same on
	// all nodes.
	Peers map[string]string
	// Shards is how many shards a new cluster gets; default 4. It means nothing
	// once the cluster has been founded.
	Shards int
	// Replicas is how many nodes hold each shard of a new cluster; default 3, or
	// the number of peers if there are fewer.
	Replicas int

	// ServerTLS and PeerTLS secure the listener, and connections to other nodes;
	// nil: in the clear.
	ServerTLS, PeerTLS credentials.TransportCredentials

	// Timing is Raft's; zero fields take shard.DefaultTiming.
	Timing shard.Timing
	// Limits bound each replica; zero fields take shard.DefaultLimits.
	Limits shard.Limits
	// ReadWait is how long a read waits for a replica to reach what the session
	// has seen; default 2 s.
	ReadWait time.Duration
	// BlockCache, MemTable, LogCache and IndexCache are memory in octets: of what is
	// read of the state, of what is not yet flushed of it, of recent log entries, and
	// of the UIDs and flags of mailboxes. Defaults 128, 16, 64 and 64 MiB.
	BlockCache, MemTable, LogCache, IndexCache int64
	// MinFree is the free space in octets, in DataDir's file system, below which
	// the node accepts no writes; default 512 MiB, negative: no guard. File systems
	// that cannot tell have no guard.
	MinFree int64
	// Upkeep is how often a leading replica looks for garbage and long expunge
	// queues; default 10 s, negative: never.
	Upkeep time.Duration
	// ExpungeHistory is how much is kept of what was expunged in each mailbox, in
	// ranges of UIDs: a client that was last here before is told what is gone by what
	// is there, which takes more octets (RFC 7162, 3.2.6). Default 100,000, some
	// hundred KiB; negative: everything is kept.
	ExpungeHistory int
	// Undelete is how long the content of expunged messages is kept; default 24 h.
	Undelete time.Duration

	// Mend is how often a node that leads groups looks whether a member's disk was
	// replaced, to take it in as a new one; default 2 s, negative: never.
	Mend time.Duration
	// Balance is how often a node looks whether it leads more groups than another, to
	// give it one; default 5 s, negative: never.
	Balance time.Duration
	// Scrub is how often a node reads all that it has, slowly, to find out whether it
	// still can; default a week, negative: only when a read for somebody has failed.
	Scrub time.Duration

	// OnFatal is called, once, when what is on disk is unknown: a failed write or
	// fsync. Nil: the process exits with status 1 after a log line.
	OnFatal func(error)
	// Faults are for tests.
	Faults *transport.Faults
	// Log; nil: discarded.
	Log *slog.Logger

	// blobAge is how old a file of bodies must be before it is written anew to get rid
	// of what was deleted; 0: 5 min, within which much of what is deleted at all is.
	blobAge time.Duration
}

var nodeID = regexp.MustCompile(`^[A-Za-z0-9._-]{1,63}$`)

// Validate says what is wrong with a configuration, or nil.
func (c *Config) Validate() error {
	var errs []error
	bad := func(format string, args ...any) { errs = append(errs, fmt.Errorf(format, args...)) }
	if !nodeID.MatchString(c.ID) {
		bad("id %q: want 1 to 63 letters, digits, \".\", \"_\" and \"-\"", c.ID)
	}
	if c.DataDir == "" {
		bad("data directory is not set")
	}
	if c.Listen == "" && c.Listener == nil {
		bad("listen address is not set")
	}
	if _, ok := c.Peers[c.ID]; !ok {
		bad("peers do not name this node, %q", c.ID)
	}
	for id, addr := range c.Peers {
		if !nodeID.MatchString(id) {
			bad("peer id %q: want 1 to 63 letters, digits, \".\", \"_\" and \"-\"", id)
		}
		if _, _, err := net.SplitHostPort(addr); err != nil {
			bad("peer %s: address %q: %v", id, addr, err)
		}
	}
	if c.Shards < 0 || c.Shards > maxShards {
		bad("%d shards: want 1 to %d", c.Shards, maxShards)
	}
	if c.Replicas < 0 || c.Replicas > len(c.Peers) {
		bad("%d replicas on %d nodes", c.Replicas, len(c.Peers))
	}
	if t := c.Timing; t.Lease > t.Heartbeat && t.Heartbeat != 0 {
		bad("timing: lease %v is longer than heartbeat %v", t.Lease, t.Heartbeat)
	}
	if len(errs) > 0 {
		return fmt.Errorf("node: config: %w", errors.Join(errs...))
	}
	return nil
}

// maxShards bounds the groups of a cluster: each costs goroutines and
// heartbeats.
const maxShards = 1024

// withDefaults returns c with its zero fields filled in.
func (c Config) withDefaults() Config {
	c.Peers = maps.Clone(c.Peers)
	setDefault(&c.Cluster, "quorumail")
	setDefault(&c.Shards, 4)
	setDefault(&c.Replicas, min(3, len(c.Peers)))
	setDefault(&c.ReadWait, 2*time.Second)
	setDefault(&c.BlockCache, 128<<20)
	setDefault(&c.MemTable, 16<<20)
	setDefault(&c.LogCache, 64<<20)
	setDefault(&c.IndexCache, 64<<20)
	setDefault(&c.MinFree, 512<<20)
	setDefault(&c.Upkeep, 10*time.Second)
	setDefault(&c.blobAge, 5*time.Minute)
	setDefault(&c.Mend, 2*time.Second)
	setDefault(&c.Balance, 5*time.Second)
	setDefault(&c.Scrub, 7*24*time.Hour)
	setDefault(&c.ExpungeHistory, 100_000)
	setDefault(&c.Undelete, 24*time.Hour)
	if c.FS == nil {
		c.FS = vfs.Default
	}
	if c.OnFatal == nil {
		c.OnFatal = func(error) { os.Exit(1) }
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	c.Log = c.Log.With("node", c.ID)
	return c
}

func setDefault[T comparable](field *T, value T) {
	var zero T
	if *field == zero {
		*field = value
	}
}
