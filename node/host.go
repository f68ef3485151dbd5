package node

import (
	"context"
	"slices"

	"github.com/quorumail/quorumail/node/service"
	"github.com/quorumail/quorumail/node/shard"
	pb "github.com/quorumail/quorumail/proto/quorumail/v1"
)

var _ service.Host = (*host)(nil)

// host is the node as its services see it.
type host struct{ n *Node }

// NodeID implements service.Host.
func (h host) NodeID() string { return h.n.cfg.ID }

// Server implements service.Host.
func (h host) Server() (id, cluster string, founders []string, rejoins bool) {
	return h.n.serverID, h.n.cfg.Cluster, h.n.knownFounders(), h.n.identity.Rejoins
}

// Map implements service.Host.
func (h host) Map() *pb.ClusterMap { return h.n.directory.Map() }

// WatchMap implements service.Host.
func (h host) WatchMap(ctx context.Context, after uint64) (*pb.ClusterMap, error) {
	return h.n.directory.Watch(ctx, after)
}

// Shard implements service.Host.
func (h host) Shard(id uint32) *service.Shard {
	h.n.mu.Lock()
	defer h.n.mu.Unlock()
	return h.n.mu.shards[id]
}

// Replica implements service.Host.
func (h host) Replica(group uint32) *shard.Replica {
	if group == 0 {
		return h.n.directory.Replica()
	}
	if sh := h.Shard(group); sh != nil {
		return sh.Replica
	}
	return nil
}

// Statuses implements service.Host.
func (h host) Statuses() []*pb.ReplicaStatus {
	list := []*pb.ReplicaStatus{h.n.directory.Replica().Status()}
	for _, sh := range h.n.shards() {
		list = append(list, sh.Replica.Status())
	}
	return list
}

// ReadOnly implements service.Host.
func (h host) ReadOnly() string { return h.n.disk.reason() }

// Unwilling implements service.Host.
func (h host) Unwilling() string {
	if h.n.leaving.Load() {
		return "node stops"
	}
	return h.ReadOnly()
}

// shards returns what the node hosts, by shard.
func (n *Node) shards() []*service.Shard {
	n.mu.Lock()
	defer n.mu.Unlock()
	list := make([]*service.Shard, 0, len(n.mu.shards))
	for _, sh := range n.mu.shards {
		list = append(list, sh)
	}
	slices.SortFunc(list, func(a, b *service.Shard) int { return int(a.ID) - int(b.ID) })
	return list
}
