package shard

import (
	"context"

	"github.com/hashicorp/raft"
)

// Membership is who belongs to a group, as one replica knows it.
type Membership struct {
	Servers []raft.Server
	// Index at which the newest committed membership was set: what a change can be
	// made to depend on. 0: not known yet.
	Index uint64
}

// Membership returns the newest membership that this replica knows, committed or
// not. It is empty when the replica is stopped.
//
// The library does not tell at which index it was set. The index is that of the last
// one that was applied here: if there is a newer one, a change that depends on it is
// refused, and may be tried again.
func (r *Replica) Membership() Membership {
	index := r.snaps.members.newest()
	future := r.raft.GetConfiguration()
	if future.Error() != nil {
		return Membership{}
	}
	return Membership{Servers: future.Configuration().Servers, Index: index}
}

// Members returns the group's servers as this replica knows them.
func (r *Replica) Members() []raft.Server { return r.Membership().Servers }

// CommitIndex is up to where this replica knows the log to be committed.
func (r *Replica) CommitIndex() uint64 { return r.raft.CommitIndex() }

// AddLearner adds a server that gets the log but does not vote. Leader only. With
// prev not 0 the membership must still be the one that was set there; so too with
// the other changes.
func (r *Replica) AddLearner(ctx context.Context, serverID string, prev uint64) error {
	return r.change(ctx, func() raft.IndexFuture {
		return r.raft.AddNonvoter(raft.ServerID(serverID), raft.ServerAddress(serverID), prev, 0)
	})
}

// AddVoter makes a learner, or a new server, a voter. Leader only.
func (r *Replica) AddVoter(ctx context.Context, serverID string, prev uint64) error {
	return r.change(ctx, func() raft.IndexFuture {
		return r.raft.AddVoter(raft.ServerID(serverID), raft.ServerAddress(serverID), prev, 0)
	})
}

// RemoveServer removes a server from the group. Leader only.
func (r *Replica) RemoveServer(ctx context.Context, serverID string, prev uint64) error {
	return r.change(ctx, func() raft.IndexFuture { return r.raft.RemoveServer(raft.ServerID(serverID), prev, 0) })
}

// change changes the membership.
func (r *Replica) change(ctx context.Context, call func() raft.IndexFuture) error {
	if err := r.checkLeader(); err != nil {
		return err
	}
	return r.await(ctx, func() error { return call().Error() })
}
