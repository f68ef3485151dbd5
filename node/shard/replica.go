// Package shard hosts one replica of one Raft group.
package shard

import (
	"context"

	"github.com/cockroachdb/pebble/v2"
	"github.com/hashicorp/raft"

	pb "github.com/quorumail/quorumail/proto/quorumail/v1"
)

// Flusher makes the state store durable, for all replicas of a node at once.
type Flusher struct{}

// NewFlusher returns the flusher of a state store.
func NewFlusher(db *pebble.DB) *Flusher { return &Flusher{} }

// Replica is this node's member of one Raft group. Safe for concurrent use.
type Replica struct{}

// Open starts a replica from what is on disk. A replica that has never been
// started, and is no member of a group yet, waits: for Bootstrap, or to be
// added by a leader.
func Open(cfg Config) (*Replica, error) { return &Replica{}, nil }

// Close stops the replica and waits for its goroutines. It does not hand
// leadership over (see TransferLeadership).
func (r *Replica) Close() error { return nil }

// Bootstrap founds the group with these nodes as its voters. Every founder may
// call it, with the same list. On a replica that has a state it does nothing.
func (r *Replica) Bootstrap(nodes []string) error { return nil }

// Propose has a command replicated and applied, and returns its result and the
// index at which reads see it. Leader only. Errors: *[NotLeaderError],
// [ErrOverloaded], [ErrUncertain], [ErrStopped], [ErrTooLarge], or the
// context's, if it ended before the command was proposed.
func (r *Replica) Propose(ctx context.Context, e *pb.Entry) (*pb.Result, uint64, error) {
	return nil, 0, ErrStopped
}

// ProposeRaw has data replicated as one log entry, and returns what the state
// machine made of it. For state machines that do not take a pb.EntryBatch.
func (r *Replica) ProposeRaw(ctx context.Context, data []byte) (any, uint64, error) {
	return nil, 0, ErrStopped
}

// ReadIndex returns an index such that a read at it, or above, is linearizable:
// it sees everything that had been acknowledged, by any replica, when ReadIndex
// was called. Leader only. The caller waits for it with WaitApplied. Errors:
// *[NotLeaderError], [ErrNotReady], [ErrStopped], or the context's.
func (r *Replica) ReadIndex(ctx context.Context) (uint64, error) { return 0, ErrStopped }

// WaitApplied returns when the state machine has applied the command at index,
// or a later one. Errors: [ErrStopped], or the context's.
func (r *Replica) WaitApplied(ctx context.Context, index uint64) error { return ErrStopped }

// Applied returns the state machine's applied index: a token for later reads.
func (r *Replica) Applied() uint64 { return 0 }

// Leader returns the node id of the leader, as far as this replica knows.
func (r *Replica) Leader() (nodeID string, known bool) { return "", false }

// IsLeader says whether this replica believes that it leads.
func (r *Replica) IsLeader() bool { return false }

// Ready says whether this replica leads and has applied an entry of its own
// term: proposals and linearizable reads will be served without waiting for an
// election.
func (r *Replica) Ready() bool { return false }

// TransferLeadership hands leadership to a node, or, if to is empty, to the
// most up-to-date one, and returns when this replica no longer leads.
func (r *Replica) TransferLeadership(ctx context.Context, to string) error { return ErrStopped }

// AddLearner, AddVoter and RemoveNode change the membership. Leader only.
func (r *Replica) AddLearner(ctx context.Context, nodeID string) error { return ErrStopped }

// AddVoter makes a learner, or a new node, a voter.
func (r *Replica) AddVoter(ctx context.Context, nodeID string) error { return ErrStopped }

// RemoveNode removes a node from the group.
func (r *Replica) RemoveNode(ctx context.Context, nodeID string) error { return ErrStopped }

// Members returns the group's servers as this replica knows them.
func (r *Replica) Members() []raft.Server { return nil }

// Snapshot makes the state durable and cuts the log, now.
func (r *Replica) Snapshot(ctx context.Context) error { return ErrStopped }

// Err returns why the replica stopped itself, or nil.
func (r *Replica) Err() error { return nil }

// Status describes the replica, for operators.
func (r *Replica) Status() *pb.ReplicaStatus { return &pb.ReplicaStatus{} }
