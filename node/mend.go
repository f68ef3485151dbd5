package node

import (
	"context"
	"maps"
	"slices"
	"time"

	"github.com/hashicorp/raft"

	"github.com/quorumail/quorumail/node/shard"
	"github.com/quorumail/quorumail/node/transport"
	pb "github.com/quorumail/quorumail/proto/quorumail/v1"
)

// changeTime bounds one change of a membership.
const changeTime = 5 * time.Second

// mend takes nodes whose disk was replaced into the groups that this node leads,
// until ctx ends. A node at its address says by what server id it votes. If that is
// not the one that a group knows, then what the old one had voted for and acknowledged
// is lost: it is removed from the group, the new one is added as a learner, and becomes
// a voter when it has all. A node that says nothing may come back as it was, and is
// left alone.
func (n *Node) mend(ctx context.Context) {
	tick := time.NewTicker(n.cfg.Mend)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			n.mendOnce(ctx)
		case <-ctx.Done():
			return
		}
	}
}

func (n *Node) mendOnce(ctx context.Context) {
	// What is committed now a learner must have when it is asked after this.
	commits := make(map[*shard.Replica]uint64)
	groups := n.ledGroups()
	for _, g := range groups {
		commits[g.replica] = g.replica.CommitIndex()
	}
	if len(groups) == 0 {
		return
	}
	told := n.peers.ask(ctx, n.allNodes())
	told[n.cfg.ID] = &pb.NodeStatusResponse{NodeId: n.cfg.ID, ServerId: n.serverID}
	for _, g := range groups {
		m := g.replica.Membership()
		if m.Index == 0 {
			continue
		}
		s := nextStep(m.Servers, g.nodes, told, func(st *pb.NodeStatusResponse) bool {
			return hasLog(st, g.id, commits[g.replica])
		})
		if s.server == "" {
			continue
		}
		n.log.Info("membership changes", "shard", g.id, "change", s.kind, "server", s.server)
		ctx, cancel := context.WithTimeout(ctx, changeTime)
		if err := s.do(ctx, g.replica, m.Index); err != nil {
			n.log.Warn("membership not changed", "shard", g.id, "change", s.kind, "server", s.server, "error", err)
		}
		cancel()
	}
}

// group is a Raft group that this node leads.
type group struct {
	id      uint32
	replica *shard.Replica
	nodes   []string // that are to have it
}

func (n *Node) ledGroups() []group {
	var list []group
	if r := n.directory.Replica(); r.Ready() {
		list = append(list, group{0, r, n.allNodes()})
	}
	for _, info := range n.directory.Map().GetShards() {
		if sh := n.host().Shard(info.GetId()); sh != nil && sh.Replica.Ready() {
			list = append(list, group{info.GetId(), sh.Replica, info.GetReplicas()})
		}
	}
	return list
}

// allNodes are those of the configuration and of the map.
func (n *Node) allNodes() []string {
	all := maps.Clone(n.cfg.Peers)
	for _, info := range n.directory.Map().GetNodes() {
		all[info.GetId()] = info.GetAddress()
	}
	return slices.Sorted(maps.Keys(all))
}

// hasLog says whether a node's replica has the log up to index.
func hasLog(st *pb.NodeStatusResponse, group uint32, index uint64) bool {
	for _, r := range st.GetReplicas() {
		if r.GetShard() == group {
			return r.GetError() == "" && r.GetLastLogIndex() >= index
		}
	}
	return false
}

// step is a change of a membership; without a server: none.
type step struct {
	kind   string // "remove", "learn" or "vote"
	server string
}

func (s step) do(ctx context.Context, r *shard.Replica, prev uint64) error {
	switch s.kind {
	case "remove":
		return r.RemoveServer(ctx, s.server, prev)
	case "learn":
		return r.AddLearner(ctx, s.server, prev)
	default:
		return r.AddVoter(ctx, s.server, prev)
	}
}

// nextStep returns the next change that brings a group nearer to having the servers
// that its nodes say they are. It is a function of its arguments. One server is
// replaced at a time, and none is removed unless those that stay are there in a
// quorum.
func nextStep(servers []raft.Server, nodes []string, told map[string]*pb.NodeStatusResponse, caughtUp func(*pb.NodeStatusResponse) bool) step {
	is := func(s raft.Server) bool {
		return told[transport.NodeOf(string(s.ID))].GetServerId() == string(s.ID)
	}
	learning := false
	have := make(map[string]bool)
	for _, s := range servers {
		node := transport.NodeOf(string(s.ID))
		have[node] = true
		if s.Suffrage == raft.Nonvoter && is(s) {
			if slices.Contains(nodes, node) && caughtUp(told[node]) {
				return step{"vote", string(s.ID)}
			}
			learning = true
		}
	}
	if learning {
		return step{}
	}
	for _, node := range nodes {
		if st := told[node]; st != nil && !have[node] {
			return step{"learn", st.GetServerId()}
		}
	}
	for _, s := range servers {
		st := told[transport.NodeOf(string(s.ID))]
		if st != nil && !is(s) && quorumWithout(servers, s.ID, is) {
			return step{"remove", string(s.ID)}
		}
	}
	return step{}
}

// quorumWithout says whether a quorum of the voters but one is there.
func quorumWithout(servers []raft.Server, but raft.ServerID, there func(raft.Server) bool) bool {
	voters, present := 0, 0
	for _, s := range servers {
		if s.Suffrage == raft.Voter && s.ID != but {
			voters++
			if there(s) {
				present++
			}
		}
	}
	return present > voters/2
}
