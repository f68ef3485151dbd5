package node

import (
	"context"
	"time"

	"github.com/hashicorp/raft"

	"github.com/quorumail/quorumail/node/transport"
	pb "github.com/quorumail/quorumail/proto/quorumail/v1"
)

const (
	// settledLooks is at how many looks in a row a group must have been led by this
	// node, and another must have been there, before the one goes to the other: after a
	// failover, or while nodes are restarted one by one, all has its time to settle.
	settledLooks = 6
	// restLooks is for how many looks a group that was given away, and has come back, is
	// kept: a node that cannot hold what it is given is not given it again and again.
	restLooks = 120
)

// balance gives leaderships of groups to nodes that have fewer, until ctx ends. What a
// leader does more than its followers, reads and the answers to clients, is then done by
// all nodes. An election knows nothing of that: who stands first gets all that the node
// that died had led, and keeps it.
func (n *Node) balance(ctx context.Context) {
	var b balancer
	tick := time.NewTicker(n.cfg.Balance)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			n.balanceOnce(ctx, &b)
		case <-ctx.Done():
			return
		}
	}
}

func (n *Node) balanceOnce(ctx context.Context, b *balancer) {
	var leads []lead
	groups := n.ledGroups()
	for _, g := range groups {
		leads = append(leads, lead{g.id, g.replica.Members(), g.replica.CommitIndex()})
	}
	var told map[string]*pb.NodeStatusResponse
	if len(leads) > 1 { // with fewer, nobody is to have one of them
		told = n.peers.ask(ctx, n.allNodes())
	}
	group, to := b.look(leads, told)
	if to == "" {
		return
	}
	for _, g := range groups {
		if g.id != group {
			continue
		}
		ctx, cancel := context.WithTimeout(ctx, changeTime)
		err := g.replica.TransferLeadership(ctx, to)
		cancel()
		n.log.Info("leadership given to a node with fewer", "shard", group, "to", to, "error", err)
	}
}

// lead is a group that this node leads, and what it knows of it.
type lead struct {
	group   uint32
	servers []raft.Server
	commit  uint64
}

// balancer remembers what was seen at earlier looks, in numbers of them.
type balancer struct {
	led   map[uint32]int // in a row, at which this node has led the group
	there map[string]int // in a row, at which the node was there and would lead
	rest  map[uint32]int // that are left until a group may be given away again
}

// look takes the groups that this node leads, and what the other nodes say of
// themselves, and returns a group that is to be led by another node. That node leads at
// least two groups fewer, so it has no more afterwards, and nothing goes back and forth.
// Without such a node, to is empty.
func (b *balancer) look(leads []lead, told map[string]*pb.NodeStatusResponse) (group uint32, to string) {
	led := make(map[uint32]int)
	for _, l := range leads {
		led[l.group] = b.led[l.group] + 1
	}
	there, has := make(map[string]int), make(map[string]int)
	for node, st := range told {
		has[node] = leaderships(st)
		if st.GetUnwilling() == "" {
			there[node] = b.there[node] + 1
		}
	}
	rest := make(map[uint32]int)
	for g, left := range b.rest {
		if left > 1 {
			rest[g] = left - 1
		}
	}
	b.led, b.there, b.rest = led, there, rest

	fewest := len(leads) - 1
	for _, l := range leads {
		if led[l.group] < settledLooks || rest[l.group] > 0 {
			continue
		}
		for _, s := range l.servers {
			node := transport.NodeOf(string(s.ID))
			st := told[node]
			if s.Suffrage != raft.Voter || there[node] < settledLooks || st.GetServerId() != string(s.ID) || !hasLog(st, l.group, l.commit) {
				continue
			}
			if has[node] < fewest {
				fewest, group, to = has[node], l.group, node
			}
		}
	}
	if to != "" {
		rest[group] = restLooks
	}
	return group, to
}

// leaderships returns how many groups a node says that it leads.
func leaderships(st *pb.NodeStatusResponse) int {
	n := 0
	for _, r := range st.GetReplicas() {
		if r.GetRole() == "leader" {
			n++
		}
	}
	return n
}
