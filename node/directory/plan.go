package directory

import (
	"fmt"

	"github.com/quorumail/quorumail/proto/imapnum"
	pb "github.com/quorumail/quorumail/proto/quorumail/v1"
)

// Plan makes the first map of a cluster: shards 1 to shards, each on replicas
// of the nodes, slots in even, contiguous ranges, replicas and preferences for
// leadership spread evenly. It is a pure function of its arguments.
func Plan(clusterID string, nodes []*pb.NodeInfo, shards, replicas int) (*pb.ClusterMap, error) {
	switch {
	case shards < 1 || shards > imapnum.Slots:
		return nil, fmt.Errorf("%w: %d shards: want 1 to %d", ErrInvalid, shards, imapnum.Slots)
	case replicas < 1 || replicas > len(nodes):
		return nil, fmt.Errorf("%w: %d replicas on %d nodes", ErrInvalid, replicas, len(nodes))
	}
	m := &pb.ClusterMap{Epoch: 1, ClusterId: clusterID, Nodes: nodes}
	for i := range shards {
		s := &pb.ShardInfo{Id: uint32(i + 1), Slots: []*pb.SlotRange{{
			First: uint32(i * imapnum.Slots / shards),
			Last:  uint32((i+1)*imapnum.Slots/shards - 1),
		}}}
		for k := range replicas {
			s.Replicas = append(s.Replicas, nodes[(i+k)%len(nodes)].GetId())
		}
		m.Shards = append(m.Shards, s)
	}
	return m, Validate(m)
}

// Validate reports whether a map makes sense: known nodes, no slot twice or
// without a shard, no shard without replicas.
func Validate(m *pb.ClusterMap) error {
	if m.GetEpoch() == 0 || m.GetClusterId() == "" {
		return fmt.Errorf("%w: no epoch or no cluster id", ErrInvalid)
	}
	nodes := make(map[string]bool)
	for _, n := range m.GetNodes() {
		if n.GetId() == "" || n.GetAddress() == "" || nodes[n.GetId()] {
			return fmt.Errorf("%w: node %q is nameless, without address or there twice", ErrInvalid, n.GetId())
		}
		nodes[n.GetId()] = true
	}
	var owner [imapnum.Slots]uint32
	shards := make(map[uint32]bool)
	for _, s := range m.GetShards() {
		if s.GetId() == 0 || shards[s.GetId()] {
			return fmt.Errorf("%w: shard %d is the directory, or there twice", ErrInvalid, s.GetId())
		}
		shards[s.GetId()] = true
		if err := validateReplicas(s, nodes); err != nil {
			return err
		}
		for _, r := range s.GetSlots() {
			if r.GetFirst() > r.GetLast() || r.GetLast() >= imapnum.Slots {
				return fmt.Errorf("%w: shard %d has the slots %d to %d", ErrInvalid, s.GetId(), r.GetFirst(), r.GetLast())
			}
			for slot := r.GetFirst(); slot <= r.GetLast(); slot++ {
				if owner[slot] != 0 {
					return fmt.Errorf("%w: slot %d is in shards %d and %d", ErrInvalid, slot, owner[slot], s.GetId())
				}
				owner[slot] = s.GetId()
			}
		}
	}
	for slot, id := range owner {
		if id == 0 {
			return fmt.Errorf("%w: slot %d is in no shard", ErrInvalid, slot)
		}
	}
	return nil
}

func validateReplicas(s *pb.ShardInfo, nodes map[string]bool) error {
	if len(s.GetReplicas()) == 0 {
		return fmt.Errorf("%w: shard %d has no replicas", ErrInvalid, s.GetId())
	}
	seen := make(map[string]bool)
	for _, id := range s.GetReplicas() {
		if !nodes[id] || seen[id] {
			return fmt.Errorf("%w: shard %d: replica on node %q, which is unknown or named twice", ErrInvalid, s.GetId(), id)
		}
		seen[id] = true
	}
	return nil
}
