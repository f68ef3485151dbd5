// Package transport carries the Raft RPCs of all groups of a node over a pair
// of gRPC streams to each other node.
package transport

import (
	"context"
	"log/slog"
	"time"

	"github.com/hashicorp/raft"
	"google.golang.org/grpc"
)

// Config says who a node is and how it reaches others.
type Config struct {
	// NodeID is this node's id. It is also its raft.ServerID and
	// raft.ServerAddress, so that addresses may change without a membership
	// change.
	NodeID string
	// ClusterID is checked by the other side. May be empty in tests.
	ClusterID string
	// Resolve returns the address (host:port) of a node's gRPC listener. It is
	// asked before each connection.
	Resolve func(nodeID string) (addr string, ok bool)
	// DialOptions are for connections to other nodes; without credentials among
	// them connections are in the clear.
	DialOptions []grpc.DialOption
	// RPCTimeout bounds a request but for heartbeats and snapshots; default 5 s.
	RPCTimeout time.Duration
	// HeartbeatTimeout bounds a heartbeat, a vote and a confirmation; default 1 s.
	HeartbeatTimeout time.Duration
	// Faults are for tests; nil in production.
	Faults *Faults
	// Log; nil: discarded.
	Log *slog.Logger
}

// Mux is a node's end of all Raft traffic.
type Mux struct{}

// New returns a Mux. Nothing is dialled before it is needed.
func New(cfg Config) (*Mux, error) { return &Mux{}, nil }

// Register adds the service that other nodes call to a gRPC server. It is to be
// called before the server serves.
func (m *Mux) Register(r grpc.ServiceRegistrar) {}

// Group returns the transport of a group; calls with the same id return the
// same one until it is closed.
func (m *Mux) Group(id uint32) *Group { return &Group{} }

// Close ends all streams and fails all requests. It is to be called before the
// gRPC server is stopped, and after the groups' replicas are closed.
func (m *Mux) Close() error { return nil }

// Group is the raft.Transport of one group, pre-vote included.
type Group struct{ raft.Transport }

// Confirm asks the other nodes in which term their replica of the group is, and
// returns nil when a quorum of voters, this node counted if it is one of them,
// has answered with a term not above term: then no leader of a later term had
// been elected when Confirm was called.
func (g *Group) Confirm(ctx context.Context, term uint64, voters []raft.ServerID) error { return nil }

// Faults cuts and delays what nodes of a test send to each other. One Faults is
// shared by all of them. The zero value has none. Safe for concurrent use.
type Faults struct{}

// Cut drops all that from sends to to. The connection stays: nobody is told.
func (f *Faults) Cut(from, to string) {}

// Isolate cuts a node from all others, both ways.
func (f *Faults) Isolate(node string) {}

// Heal ends all cuts and delays.
func (f *Faults) Heal() {}

// Delay holds back all that from sends to to; 0 ends it.
func (f *Faults) Delay(from, to string, d time.Duration) {}
