package shard

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/hashicorp/raft"

	"github.com/quorumail/quorumail/node/transport"
)

// readyPoll is how often a new leader looks whether it is ready.
const readyPoll = 2 * time.Millisecond

// lead follows this replica's leadership: as a new leader it waits until an
// entry of its own term is applied, notes that it is ready, and then has
// LeaderWork done until it leads no more.
func (r *Replica) lead(notify <-chan bool) {
	tenure := func() {}
	defer func() { tenure() }()
	for {
		select {
		case <-r.ctx.Done():
			return
		case leads := <-notify:
			tenure()
			if leads {
				tenure = r.reign()
			} else {
				tenure = func() {}
			}
		}
	}
}

// reign is the tenure of a leader. It returns what ends it.
func (r *Replica) reign() (end func()) {
	ctx, cancel := context.WithCancel(r.ctx)
	var work sync.WaitGroup
	work.Go(func() {
		if r.becomeReady(ctx) && r.cfg.LeaderWork != nil {
			r.work(ctx)
		}
	})
	return func() {
		cancel()
		work.Wait()
		r.setReady(0)
	}
}

func (r *Replica) setReady(term uint64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.mu.ready = term
	close(r.mu.changed)
	r.mu.changed = make(chan struct{})
}

// becomeReady returns true once all that was committed when this leader was
// elected is applied. It does not know what that is until an entry of its own
// term, the library's no-op, is committed (section 8 of the Raft paper).
//
// The library's Barrier would tell, for one more entry on everybody's disk; but
// its future is never resolved if the library is shut down at the wrong moment.
// So this looks, for the few milliseconds that it takes.
func (r *Replica) becomeReady(ctx context.Context) bool {
	t := time.NewTicker(readyPoll)
	defer t.Stop()
	for {
		term := r.raft.CurrentTerm()
		if index, ok := r.committedIn(term); ok {
			if r.applied.wait(ctx, index) != nil {
				return false
			}
			r.setReady(term)
			r.log.Info("leads", "term", term)
			return true
		}
		select {
		case <-t.C:
		case <-ctx.Done():
			return false
		}
	}
}

// committedIn returns what the state machine has to reach if an entry of the
// term is committed.
func (r *Replica) committedIn(term uint64) (uint64, bool) {
	commit := r.raft.CommitIndex()
	var l raft.Log
	if err := r.logs.GetLog(commit, &l); err != nil || l.Term != term {
		return 0, false
	}
	index, err := r.lastCommand(commit)
	return index, err == nil
}

// work does the leader's periodic work.
func (r *Replica) work(ctx context.Context) {
	every := r.cfg.LeaderWorkEvery
	if every <= 0 {
		every = time.Minute
	}
	t := time.NewTicker(every)
	defer t.Stop()
	for {
		r.cfg.LeaderWork(ctx, r)
		select {
		case <-t.C:
		case <-ctx.Done():
			return
		}
	}
}

// Leader returns the node id of the leader, as far as this replica knows.
func (r *Replica) Leader() (nodeID string, known bool) {
	_, id := r.raft.LeaderWithID()
	return transport.NodeOf(string(id)), id != ""
}

// IsLeader says whether this replica believes that it leads.
func (r *Replica) IsLeader() bool { return r.raft.State() == raft.Leader }

// Ready says whether this replica leads and has applied an entry of its own
// term: proposals and linearizable reads will be served without waiting for an
// election.
func (r *Replica) Ready() bool {
	_, err := r.readyTerm()
	return err == nil
}

// readyTerm returns the term in which this replica leads and knows what has been
// committed.
func (r *Replica) readyTerm() (uint64, error) {
	if err := r.checkLeader(); err != nil {
		return 0, err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.mu.ready == 0 || r.mu.ready != r.raft.CurrentTerm() {
		return 0, fmt.Errorf("%w: leadership is new", ErrNotReady)
	}
	return r.mu.ready, nil
}

// checkLeader returns why this replica cannot take a proposal, or nil.
func (r *Replica) checkLeader() error {
	if err := r.Err(); err != nil {
		return fmt.Errorf("%w: %w", ErrStopped, err)
	}
	switch r.raft.State() {
	case raft.Leader:
		return nil
	case raft.Shutdown:
		return ErrStopped
	}
	return &NotLeaderError{Leader: r.otherLeader()}
}

// otherLeader returns who leads instead of this replica, or "".
func (r *Replica) otherLeader() string {
	leader, _ := r.Leader()
	if leader == transport.NodeOf(r.cfg.NodeID) {
		return "" // it was this one
	}
	return leader
}

// ReadIndex returns an index such that a read at it, or above, is linearizable:
// it sees everything that had been acknowledged, by any replica, when ReadIndex
// was called. Leader only. The caller waits for it with WaitApplied. Errors:
// *[NotLeaderError], [ErrNotReady], [ErrStopped], or the context's.
//
// A leader that is new waits until it is ready, which takes one round trip and
// an fsync.
func (r *Replica) ReadIndex(ctx context.Context) (uint64, error) {
	for {
		r.mu.Lock()
		changed := r.mu.changed
		r.mu.Unlock()
		_, err := r.readyTerm()
		if err == nil {
			return r.reads.join(ctx)
		}
		if !errors.Is(err, ErrNotReady) {
			return 0, err
		}
		select {
		case <-changed:
		case <-time.After(r.cfg.Timing.Election):
			return 0, err // no quorum, it seems
		case <-ctx.Done():
			return 0, ctx.Err()
		}
	}
}

// readRound confirms the leadership once, for all who wait. The commit index is
// taken first: when the quorum then says that no later term had begun, this
// replica was the leader at that moment, and nothing could have been
// acknowledged that it had not committed.
func (r *Replica) readRound(ctx context.Context) (uint64, error) {
	term, err := r.readyTerm()
	if err != nil {
		return 0, err
	}
	commit := r.raft.CommitIndex()
	future := r.raft.GetConfiguration()
	if err := future.Error(); err != nil {
		return 0, fmt.Errorf("%w: %w", ErrNotReady, err)
	}
	var voters []raft.ServerID
	for _, s := range future.Configuration().Servers {
		if s.Suffrage == raft.Voter {
			voters = append(voters, s.ID)
		}
	}
	switch err := r.group.Confirm(ctx, term, voters); {
	case errors.Is(err, transport.ErrDeposed):
		return 0, &NotLeaderError{}
	case err != nil:
		return 0, fmt.Errorf("%w: %w", ErrNotReady, err)
	}
	if now, err := r.readyTerm(); err != nil {
		return 0, err
	} else if now != term {
		return 0, fmt.Errorf("%w: leadership is new", ErrNotReady)
	}
	return r.lastCommand(commit)
}

// lastCommand returns the highest index up to commit that the state machine gets
// to see, or has passed already.
func (r *Replica) lastCommand(commit uint64) (uint64, error) {
	for i := commit; i > r.applied.get(); i-- {
		var l raft.Log
		err := r.logs.GetLog(i, &l)
		if errors.Is(err, raft.ErrLogNotFound) {
			break // cut after a snapshot: what it covers is applied
		}
		if err != nil {
			return 0, fmt.Errorf("%w: %w", ErrNotReady, err)
		}
		if l.Type == raft.LogCommand {
			return i, nil
		}
	}
	return r.applied.get(), nil
}

// TransferLeadership hands leadership to a node, or, if to is empty, to the
// most up-to-date one, and returns when this replica no longer leads.
func (r *Replica) TransferLeadership(ctx context.Context, to string) error {
	if err := r.checkLeader(); err != nil {
		return err
	}
	return r.await(ctx, func() error {
		if to == "" {
			return r.raft.LeadershipTransfer().Error()
		}
		for _, s := range r.Members() {
			if transport.NodeOf(string(s.ID)) == to {
				return r.raft.LeadershipTransferToServer(s.ID, s.Address).Error()
			}
		}
		return fmt.Errorf("node %q is no member of the group", to)
	})
}

// await runs a call of the library that takes no context. Its goroutine ends
// when the library answers, which it may fail to do when it is shut down: some
// of its futures are then never resolved. So Close does not wait for it.
func (r *Replica) await(ctx context.Context, call func() error) error {
	done := make(chan error, 1)
	go func() { done <- call() }()
	select {
	case err := <-done:
		return err
	case <-ctx.Done():
		return ctx.Err()
	case <-r.ctx.Done():
		return ErrStopped
	}
}
