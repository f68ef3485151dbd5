package node

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/quorumail/quorumail/node/directory"
	"github.com/quorumail/quorumail/node/service"
	"github.com/quorumail/quorumail/node/shard"
	pb "github.com/quorumail/quorumail/proto/quorumail/v1"
	"github.com/quorumail/quorumail/raftfsm"
)

// replicaConfig is what all replicas of the node have in common.
func (n *Node) replicaConfig() shard.Config {
	return shard.Config{
		NodeID:    n.serverID,
		Log:       n.raftlog,
		Transport: n.mux,
		Flusher:   n.flusher,
		FS:        n.cfg.FS,
		Dir:       n.path("received"),
		Timing:    n.cfg.Timing,
		Limits:    n.cfg.Limits,
		OnFail: func(group uint32, err error) {
			n.log.Error("replica has stopped: its state is not known", "shard", group, "error", err)
			if isDamage(err) || shard.IsDiskError(err) {
				n.fail(err)
			}
		},
		Logger: n.log,
	}
}

// openDirectory starts group 0 and founds it, if need be.
func (n *Node) openDirectory() error {
	cfg := n.replicaConfig()
	cfg.Preferred = n.peerIDs()[0] == n.cfg.ID
	opened := make(chan struct{})
	cfg.LeaderWorkEvery = time.Second
	cfg.LeaderWork = func(ctx context.Context, _ *shard.Replica) {
		select {
		case <-opened:
		case <-ctx.Done():
			return
		}
		if err := n.keepMap(ctx, n.opened.Load()); err != nil && ctx.Err() == nil {
			n.log.Warn("map could not be changed", "error", err)
		}
	}
	dir, err := directory.Open(n.state, cfg)
	if err != nil {
		if isDamage(err) {
			n.noteDamage(err)
		}
		return fmt.Errorf("directory: %w", err)
	}
	n.directory = dir
	n.opened.Store(dir)
	close(opened)
	founders := n.knownFounders()
	if !slices.Contains(founders, n.serverID) {
		return nil // there is none yet, or a leader is to take this server in
	}
	if err := dir.Replica().Bootstrap(founders); err != nil {
		return fmt.Errorf("directory: found: %w", err)
	}
	return nil
}

// followMap opens the replicas that each new map gives to this node, until ctx
// ends.
func (n *Node) followMap(ctx context.Context) {
	var epoch uint64
	for {
		m, err := n.directory.Watch(ctx, epoch)
		if err != nil {
			if ctx.Err() == nil {
				n.log.Error("map is not followed any more", "error", err)
			}
			return
		}
		epoch = m.GetEpoch()
		n.log.Info("cluster map", "epoch", epoch, "shards", len(m.GetShards()))
		for _, sh := range m.GetShards() {
			if !slices.Contains(sh.GetReplicas(), n.cfg.ID) || n.host().Shard(sh.GetId()) != nil {
				continue
			}
			if err := n.openShard(sh); err != nil {
				n.log.Error("replica cannot be started", "shard", sh.GetId(), "error", err)
				if isDamage(err) || shard.IsDiskError(err) {
					n.fail(err)
				}
			}
		}
		// Now it is durable that the map is what it is. A node that starts again
		// has it at once, and need not wait for the directory to elect a leader
		// before its shards can.
		if err := n.flusher.Flush(ctx); err != nil && ctx.Err() == nil {
			n.log.Warn("map is not durable yet", "error", err)
		}
	}
}

// openShard starts the replica of a shard, and founds its group if need be: the
// map is the same for all founders.
func (n *Node) openShard(info *pb.ShardInfo) error {
	hub, marks := service.NewHub(), &service.Marks{}
	fsm, err := raftfsm.Open(raftfsm.Config{
		DB: n.state, FS: n.cfg.FS, Dir: n.path("import"), Shard: info.GetId(),
		OnChange: hub.Changed, OnMark: marks.Capture, Indexes: n.indexes, Log: n.log,
	})
	if err != nil {
		return err
	}
	cfg := n.replicaConfig()
	cfg.Shard = info.GetId()
	cfg.State = machine{fsm, hub}
	cfg.Preferred = info.GetReplicas()[0] == n.cfg.ID
	if n.cfg.Upkeep > 0 {
		cfg.LeaderWork = newUpkeep(n, fsm).run
		cfg.LeaderWorkEvery = n.cfg.Upkeep
	}
	r, err := shard.Open(cfg)
	if err != nil {
		marks.Close()
		_ = fsm.Close() // err tells more
		return err
	}
	// A server that is none of the founders is taken in by the group's leader.
	if founders := shardFounders(info); slices.Contains(founders, n.serverID) {
		if err := r.Bootstrap(founders); err != nil {
			_ = r.Close() // err tells more
			_ = fsm.Close()
			marks.Close()
			return err
		}
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	n.mu.shards[info.GetId()] = &service.Shard{ID: info.GetId(), Replica: r, State: fsm, Hub: hub, Marks: marks}
	return nil
}
