package shard

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/hashicorp/raft"

	"github.com/quorumail/quorumail/node/raftlog"
	"github.com/quorumail/quorumail/node/transport"
	pb "github.com/quorumail/quorumail/proto/quorumail/v1"
)

// Replica is this node's member of one Raft group. Safe for concurrent use.
//
// Its own goroutines, besides the library's: those of the proposer and of the
// reads; lead, which follows the leadership; keep, which takes snapshots; and
// stop, once it has failed.
type Replica struct {
	cfg      Config
	log      *slog.Logger
	raft     *raft.Raft
	logs     *raftlog.Group
	paced    *paced // logs as the library has it; nil until there is one
	group    *transport.Group
	machine  *machine
	snaps    *snapshots
	applied  *appliedWaiter
	proposer *proposer
	reads    *rounds[uint64]

	ctx     context.Context // ends when the replica is closed
	cancel  context.CancelFunc
	wg      sync.WaitGroup
	started chan struct{} // closed when Open is about to return
	closed  sync.Once

	reloading sync.Mutex // held while the library's configuration changes

	mu struct {
		sync.Mutex
		ready   uint64        // the term in which this replica leads and has applied; 0: none
		changed chan struct{} // closed when ready changes
		err     error         // why the replica has stopped itself
		stopped bool          // wg takes no more goroutines
	}
}

// Open starts a replica from what is on disk. A replica that has never been
// started, and is no member of a group yet, waits: for Bootstrap, or to be
// added by a leader.
func Open(cfg Config) (*Replica, error) {
	cfg.setDefaults()
	r := &Replica{cfg: cfg, log: cfg.Logger.With("shard", cfg.Shard), applied: &appliedWaiter{}, started: make(chan struct{})}
	r.ctx, r.cancel = context.WithCancel(context.Background())
	r.mu.changed = make(chan struct{})
	err := r.open()
	close(r.started)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("shard %d: open: %w", cfg.Shard, err), r.Close())
	}
	return r, nil
}

// setDefaults fills in what is not set.
func (c *Config) setDefaults() {
	t, l := DefaultTiming(), DefaultLimits()
	for _, f := range []struct{ have, def *time.Duration }{
		{&c.Timing.Heartbeat, &t.Heartbeat}, {&c.Timing.Election, &t.Election}, {&c.Timing.Lease, &t.Lease},
		{&c.Timing.Commit, &t.Commit}, {&c.Limits.SnapshotEvery, &l.SnapshotEvery},
	} {
		if *f.have == 0 {
			*f.have = *f.def
		}
	}
	for _, f := range []struct{ have, def *int }{
		{&c.Limits.QueueOps, &l.QueueOps}, {&c.Limits.BatchOps, &l.BatchOps}, {&c.Limits.BatchBytes, &l.BatchBytes},
		{&c.Limits.MaxEntry, &l.MaxEntry}, {&c.Limits.InFlight, &l.InFlight},
	} {
		if *f.have == 0 {
			*f.have = *f.def
		}
	}
	for _, f := range []struct{ have, def *int64 }{
		{&c.Limits.QueueBytes, &l.QueueBytes}, {&c.Limits.SnapshotBytes, &l.SnapshotBytes}, {&c.Limits.TrailingBytes, &l.TrailingBytes},
		{&c.Limits.BacklogBytes, &l.BacklogBytes},
	} {
		if *f.have == 0 {
			*f.have = *f.def
		}
	}
	if c.Limits.TrailingLogs == 0 {
		c.Limits.TrailingLogs = l.TrailingLogs
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
}

func (r *Replica) open() (err error) {
	if r.logs, err = r.cfg.Log.Group(r.cfg.Shard); err != nil {
		return err
	}
	r.snaps = &snapshots{
		shard: r.cfg.Shard, log: r.logs, state: r.cfg.State, flusher: r.cfg.Flusher,
		fs: r.cfg.FS, dir: r.cfg.Dir, members: &members{}, ctx: r.ctx,
		fail: func(err error) { _ = r.machine.broken(err) },
	}
	if err := r.snaps.load(); err != nil {
		return err
	}
	r.machine = &machine{state: r.cfg.State, store: r.snaps, applied: r.applied, fail: r.fail, aligned: r.settle}
	if err := r.finishReceived(); err != nil {
		return err
	}
	index, _ := r.cfg.State.Applied()
	if err := checkStart(r.snaps.newest(), index, r.logs); err != nil {
		return err
	}
	if _, err := alignLog(r.snaps.newest(), r.logs); err != nil {
		return err
	}
	r.applied.advance(index)
	notify := make(chan bool, 16)
	r.group = r.cfg.Transport.Group(r.cfg.Shard)
	r.group.SetAppends(func(req *raft.AppendEntriesRequest) { bound(req, r.snaps.newest()) })
	r.paced = &paced{Group: r.logs, r: r}
	r.raft, err = raft.NewRaft(r.raftConfig(notify), r.machine, r.paced, r.logs, r.snaps, r.group)
	if err != nil {
		r.raft = nil
		return errors.Join(err, r.group.Close())
	}
	r.group.SetTerm(r.raft.CurrentTerm)
	r.group.SetFollows(func(term uint64) bool { return r.raft.State() == raft.Follower && r.raft.CurrentTerm() == term })
	r.proposer = newProposer(r.cfg.Limits, r.raft, r.otherLeader)
	r.reads = newRounds(r.readRound)
	r.wg.Go(func() { r.lead(notify) })
	r.wg.Go(r.keep)
	if r.cfg.Preferred {
		r.wg.Go(r.settleIn)
	}
	return nil
}

// raftConfig is the library's configuration. Snapshots are this package's own
// business: the library counts entries, which say nothing of their size.
func (r *Replica) raftConfig(notify chan<- bool) *raft.Config {
	c := raft.DefaultConfig()
	c.LocalID = raft.ServerID(r.cfg.NodeID)
	c.HeartbeatTimeout, c.ElectionTimeout = r.cfg.Timing.Heartbeat, r.cfg.Timing.Election
	c.LeaderLeaseTimeout, c.CommitTimeout = r.cfg.Timing.Lease, r.cfg.Timing.Commit
	if r.cfg.Preferred {
		c.HeartbeatTimeout = r.cfg.Timing.Lease // until settleIn
	}
	c.SnapshotInterval, c.SnapshotThreshold = never, 1<<62
	c.TrailingLogs = r.cfg.Limits.TrailingLogs
	c.NoSnapshotRestoreOnStart = true // the state is the snapshot; see checkStart
	c.NoLegacyTelemetry = true
	c.NotifyCh = notify
	c.Logger = newRaftLogger(r.log)
	return c
}

// never is as good as that for a timer.
const never = 10 * 365 * 24 * time.Hour

// settleIn gives a preferred replica, which stands for election early when the
// group starts, the patience of the others once there is a leader.
func (r *Replica) settleIn() {
	seen := make(chan raft.Observation, 1)
	obs := raft.NewObserver(seen, false, func(o *raft.Observation) bool {
		l, ok := o.Data.(raft.LeaderObservation)
		return ok && l.LeaderID != ""
	})
	r.raft.RegisterObserver(obs)
	defer r.raft.DeregisterObserver(obs)
	if _, known := r.Leader(); !known {
		select {
		case <-seen:
		case <-r.ctx.Done():
			return
		}
	}
	r.reload(func(c *raft.ReloadableConfig) { c.HeartbeatTimeout = r.cfg.Timing.Heartbeat })
}

// reload changes the library's configuration.
func (r *Replica) reload(change func(*raft.ReloadableConfig)) {
	r.reloading.Lock()
	defer r.reloading.Unlock()
	c := r.raft.ReloadableConfig()
	change(&c)
	if err := r.raft.ReloadConfig(c); err != nil {
		r.log.Warn("configuration cannot be changed", "error", err)
	}
}

// fail stops the replica: its state is not known any more. It is called by the
// library's goroutines, so the stop itself is left to another.
func (r *Replica) fail(err error) {
	r.mu.Lock()
	first := r.mu.err == nil
	if first {
		r.mu.err = err
	}
	r.mu.Unlock()
	if !first {
		return
	}
	r.log.Error("replica stops itself", "error", err)
	r.applied.stop(fmt.Errorf("%w: %w", ErrStopped, err))
	r.goOwned(func() {
		<-r.started
		if r.raft == nil {
			return // Open returns the error
		}
		if r.raft.State() == raft.Leader {
			// Others can go on at once; if not, they will when they hear nothing.
			if err := r.await(r.ctx, func() error { return r.raft.LeadershipTransfer().Error() }); err != nil {
				r.log.Warn("leadership could not be handed over", "error", err)
			}
		}
		r.halt()
		if r.cfg.OnFail != nil {
			r.cfg.OnFail(r.cfg.Shard, err)
		}
	})
}

// goOwned runs f in a goroutine that Close waits for, unless that has begun to.
func (r *Replica) goOwned(f func()) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.mu.stopped {
		return false
	}
	r.wg.Go(f)
	return true
}

// halt stops the library and what depends on it, once.
func (r *Replica) halt() {
	r.closed.Do(func() {
		if r.raft == nil {
			r.cancel()
			return
		}
		r.proposer.close()
		r.cancel()
		down := r.raft.Shutdown()
		// The library waits for its RPCs; a snapshot may take minutes.
		_ = r.group.Close() // it never fails
		if err := down.Error(); err != nil {
			r.log.Warn("raft did not shut down cleanly", "error", err)
		}
		r.proposer.abandon()
		r.reads.close()
	})
}

// Close stops the replica and waits for its goroutines. It does not hand
// leadership over (see TransferLeadership).
func (r *Replica) Close() error {
	r.halt()
	r.applied.stop(ErrStopped)
	r.mu.Lock()
	r.mu.stopped = true
	r.mu.Unlock()
	r.wg.Wait()
	return nil
}

// Bootstrap founds the group with these nodes as its voters. Every founder may
// call it, with the same list. On a replica that has a state it does nothing.
func (r *Replica) Bootstrap(nodes []string) error {
	var conf raft.Configuration
	for _, id := range nodes {
		conf.Servers = append(conf.Servers, raft.Server{ID: raft.ServerID(id), Address: raft.ServerAddress(id)})
	}
	err := r.raft.BootstrapCluster(conf).Error()
	if errors.Is(err, raft.ErrCantBootstrap) {
		return nil
	}
	return err
}

// WaitApplied returns when the state machine has applied the command at index,
// or a later one. Errors: [ErrStopped], or the context's.
func (r *Replica) WaitApplied(ctx context.Context, index uint64) error {
	return r.applied.wait(ctx, index)
}

// Applied returns the state machine's applied index: a token for later reads.
func (r *Replica) Applied() uint64 { return r.applied.get() }

// Err returns why the replica stopped itself, or nil.
func (r *Replica) Err() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.mu.err
}

// Status describes the replica, for operators.
func (r *Replica) Status() *pb.ReplicaStatus {
	leader, _ := r.Leader()
	s := &pb.ReplicaStatus{
		Shard: r.cfg.Shard, Term: r.raft.CurrentTerm(), AppliedIndex: r.Applied(), LastLogIndex: r.raft.LastIndex(), Leader: leader,
	}
	switch r.raft.State() {
	case raft.Leader:
		s.Role = "leader"
	case raft.Candidate:
		s.Role = "candidate"
	case raft.Shutdown:
		s.Role = "stopped"
	default:
		s.Role = "follower"
	}
	if err := r.Err(); err != nil {
		s.Role, s.Error = "stopped", err.Error()
	}
	return s
}
