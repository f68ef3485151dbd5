package node

import (
	"context"
	"fmt"
	"slices"
	"time"
)

// WaitReady returns when the node knows the map and each shard of the cluster
// that it hosts has a leader that is known; or with the reason why not when ctx
// ends.
func (n *Node) WaitReady(ctx context.Context) error {
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for {
		why := n.unready()
		if why == "" {
			return nil
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return fmt.Errorf("node %s: not ready: %s: %w", n.cfg.ID, why, ctx.Err())
		}
	}
}

func (n *Node) unready() string {
	m := n.directory.Map()
	if m == nil {
		return "no map yet"
	}
	for _, info := range m.GetShards() {
		if !slices.Contains(info.GetReplicas(), n.cfg.ID) {
			continue
		}
		sh := n.host().Shard(info.GetId())
		if sh == nil {
			return fmt.Sprintf("shard %d is not started", info.GetId())
		}
		if _, known := sh.Replica.Leader(); !known {
			return fmt.Sprintf("shard %d has no leader", info.GetId())
		}
	}
	return ""
}
