package shard

import (
	"context"
	"log/slog"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/quorumail/quorumail/node/raftlog"
	"github.com/quorumail/quorumail/node/transport"
)

// Config makes a [Replica].
type Config struct {
	// Shard is the group's id; 0 is the directory.
	Shard uint32
	// NodeID is this node's server id (see transport.ServerID), its raft.ServerID.
	NodeID string
	// Log holds the group's log.
	Log *raftlog.Store
	// Transport reaches the other replicas.
	Transport *transport.Mux
	// State is what is replicated.
	State StateMachine
	// Flusher makes the state durable; one for all replicas of a node.
	Flusher *Flusher
	// FS and Dir are where a received snapshot is kept until it is taken in. Dir
	// is created if need be, and may be shared by all replicas.
	FS  vfs.FS
	Dir string
	// Timing; zero fields take the defaults of [DefaultTiming].
	Timing Timing
	// Limits; zero fields take the defaults of [DefaultLimits].
	Limits Limits
	// Preferred makes this replica the first to stand for election when the
	// group starts: set it on the first of a shard's replicas, so that leaders
	// come up quickly and spread.
	Preferred bool
	// OnFail is called, once, when the replica has stopped itself: its state is
	// no longer known. It must not call Close from its own goroutine.
	OnFail func(shard uint32, err error)
	// LeaderWork, if given, is run each LeaderWorkEvery while this replica leads
	// and is ready; its context ends with the leadership. It may Propose.
	LeaderWork      func(ctx context.Context, r *Replica)
	LeaderWorkEvery time.Duration
	// Logger; nil: discarded.
	Logger *slog.Logger
}

// Timing holds Raft's timeouts. Shorter ones find a dead leader sooner and cost
// more when idle.
type Timing struct {
	// Heartbeat: a follower that has heard nothing for this long, up to twice as
	// long, stands for election. Leaders send at a tenth to a fifth of it.
	Heartbeat time.Duration
	// Election: a candidate that has not won in this long, up to twice as long,
	// tries again.
	Election time.Duration
	// Lease: a leader that a quorum has not answered for this long steps down. At
	// most Heartbeat.
	Lease time.Duration
	// Commit: how long, up to twice as long, a follower may learn late what is
	// committed when nothing else is proposed.
	Commit time.Duration
}

// TimingOf is the timing with a heartbeat timeout, the one that says how soon a dead
// leader is found and how much an idle group costs; the others are in proportion to it.
//
// Commit is as long as the heartbeat timeout. The library sends an append without
// entries each time it passes, to each follower: with a tenth of it that was as
// much traffic as the heartbeats. What it would hasten is nothing that anybody waits
// for: clients are answered by the leader, and a follower that is elected learns what
// is committed by its own first entry.
func TimingOf(heartbeat time.Duration) Timing {
	return Timing{Heartbeat: heartbeat, Election: heartbeat, Lease: heartbeat / 2, Commit: heartbeat}
}

// DefaultTiming fails over in 1 to 3 seconds.
func DefaultTiming() Timing { return TimingOf(time.Second) }

// Limits bound what a replica holds.
type Limits struct {
	// QueueOps and QueueBytes bound what waits to be proposed.
	QueueOps   int
	QueueBytes int64
	// BatchOps and BatchBytes bound what is proposed as one log entry; a single
	// command may be larger, up to MaxEntry.
	BatchOps   int
	BatchBytes int
	// MaxEntry bounds a command, encoded.
	MaxEntry int
	// InFlight bounds the log entries proposed and not yet applied. All but the first
	// are full ones.
	InFlight int
	// SnapshotBytes of log since the last snapshot, or SnapshotEvery since then
	// if anything was applied, start the next one.
	SnapshotBytes int64
	SnapshotEvery time.Duration
	// TrailingBytes of log are kept behind a snapshot, but at least TrailingLogs
	// entries, so that a replica that was away for a while needs no snapshot.
	TrailingBytes int64
	TrailingLogs  uint64
	// BacklogBytes bounds what is committed and waits for the state machine.
	BacklogBytes int64
}

// DefaultLimits suit a shard among tens on a node.
func DefaultLimits() Limits {
	return Limits{
		QueueOps:      4096,
		QueueBytes:    32 << 20,
		BatchOps:      256,
		BatchBytes:    512 << 10,
		MaxEntry:      4 << 20,
		InFlight:      4,
		SnapshotBytes: 64 << 20,
		SnapshotEvery: 5 * time.Minute,
		TrailingBytes: 16 << 20,
		TrailingLogs:  128,
		BacklogBytes:  64 << 20,
	}
}
