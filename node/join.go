package node

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/quorumail/quorumail/node/transport"
	pb "github.com/quorumail/quorumail/proto/quorumail/v1"
)

// joinEvery is how often a node without a cluster looks for one.
const joinEvery = 100 * time.Millisecond

// loadFounders finds out what this node's data knows of the cluster's founding.
func (n *Node) loadFounders() error {
	list, err := readFounders(n.cfg.FS, n.cfg.DataDir)
	switch {
	case err != nil:
		return err
	case list != nil:
	case n.identity.Incarnation == "":
		list = n.peerIDs() // as it was before servers had ids of their own
	case len(n.cfg.Peers) == 1 && !n.identity.Rejoins:
		list = []string{n.serverID}
		if err := writeJSON(n.cfg.FS, n.cfg.DataDir, foundersFile, founders{list}); err != nil {
			return err
		}
	}
	if list != nil {
		n.founders.Store(&list)
	}
	return nil
}

func (n *Node) knownFounders() []string {
	if list := n.founders.Load(); list != nil {
		return *list
	}
	return nil
}

// join finds the cluster of a node that knows of none, until ctx ends. A disk that is
// empty does not tell whether the cluster is yet to be founded or has lost this disk,
// and with it votes and acknowledged entries. So a cluster is founded only once all of
// its nodes are there, and none of them knows of one; the first of them decides who the
// founders are. In a cluster that is there, and was founded with another disk of this
// node, it waits to be taken in as a new server (see mend.go).
func (n *Node) join(ctx context.Context) {
	tick := time.NewTicker(joinEvery)
	defer tick.Stop()
	last := ""
	for n.knownFounders() == nil {
		list, why := n.findFounders(n.peers.ask(ctx, n.peerIDs()))
		if list != nil {
			if err := n.adopt(list); err != nil {
				n.fail(fmt.Errorf("found: %w", err))
			}
			return
		}
		if why != last {
			n.log.Info("no cluster yet", "waits", why)
			last = why
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
	}
}

// findFounders returns the founders of the cluster, or what is waited for.
func (n *Node) findFounders(told map[string]*pb.NodeStatusResponse) (list []string, waits string) {
	ids := n.peerIDs()
	for _, id := range ids {
		if f := told[id].GetFounders(); len(f) > 0 {
			return f, ""
		}
	}
	servers := []string{}
	for _, id := range ids {
		switch st := told[id]; {
		case id == n.cfg.ID:
			servers = append(servers, n.serverID)
			if n.identity.Rejoins {
				return nil, "for the nodes that have the data"
			}
		case st == nil:
			return nil, "for node " + id
		case st.GetRejoins():
			return nil, "for the nodes that have the data that " + id + " has lost"
		case st.GetServerId() == id:
			return nil, "for node " + id + ", which is of an older release"
		default:
			servers = append(servers, st.GetServerId())
		}
	}
	if ids[0] != n.cfg.ID {
		return nil, "for node " + ids[0] + " to found it"
	}
	return servers, ""
}

// adopt makes it durable who founded the cluster, and founds the directory if this
// server is one of them.
func (n *Node) adopt(list []string) error {
	if err := writeJSON(n.cfg.FS, n.cfg.DataDir, foundersFile, founders{list}); err != nil {
		return err
	}
	n.founders.Store(&list)
	if !slices.Contains(list, n.serverID) {
		n.log.Warn("the cluster was founded with another disk of this node: its votes and what it had acknowledged are not here. "+
			"This node takes no part until a leader has taken it in as a new server", "server", n.serverID, "founders", list)
		return nil
	}
	return n.directory.Replica().Bootstrap(list)
}

// shardFounders returns the servers that a shard's group was founded with.
func shardFounders(info *pb.ShardInfo) []string {
	if f := info.GetFounders(); len(f) > 0 {
		return f
	}
	return info.GetReplicas()
}

// withFounders writes into a new map which servers found each shard.
func withFounders(m *pb.ClusterMap, list []string) {
	for _, sh := range m.GetShards() {
		for _, node := range sh.GetReplicas() {
			i := slices.IndexFunc(list, func(s string) bool { return transport.NodeOf(s) == node })
			if i < 0 {
				sh.Founders = nil // the nodes' ids are those of their servers
				break
			}
			sh.Founders = append(sh.Founders, list[i])
		}
	}
}
