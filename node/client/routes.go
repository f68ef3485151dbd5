package client

import (
	"context"
	"slices"
	"sync"
	"time"

	"github.com/quorumail/quorumail/proto/imapnum"
	pb "github.com/quorumail/quorumail/proto/quorumail/v1"
)

// routes knows where each account is: the newest map that any node told, and
// for each shard who is believed to lead it. Safe for concurrent use.
type routes struct {
	mu struct {
		sync.Mutex
		m       *pb.ClusterMap // nil before the first
		addrs   map[string]string
		slots   []uint32 // shard of each slot; 0: none
		shards  map[uint32]*shardRoute
		suspect map[string]time.Time // node: not to be tried first before then
		newMap  chan struct{}        // closed at the next map
	}
}

type shardRoute struct {
	replicas []string
	leader   string // believed; empty: not known
	moved    chan struct{}
}

func newRoutes() *routes {
	r := &routes{}
	r.mu.newMap = make(chan struct{})
	r.mu.shards = make(map[uint32]*shardRoute)
	r.mu.suspect = make(map[string]time.Time)
	return r
}

// clusterID returns that of the map, nothing before the first.
func (r *routes) clusterID() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.mu.m.GetClusterId()
}

// epoch returns the epoch of the map, 0 before the first.
func (r *routes) epoch() uint64 {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.mu.m.GetEpoch()
}

// update takes a map, if it is newer than what is known and of the same
// cluster, and reports whether it did.
func (r *routes) update(m *pb.ClusterMap) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if m.GetEpoch() <= r.mu.m.GetEpoch() {
		return false
	}
	if r.mu.m != nil && r.mu.m.GetClusterId() != m.GetClusterId() {
		return false // an address has gone to another cluster
	}
	r.mu.m = m
	r.mu.addrs = make(map[string]string, len(m.GetNodes()))
	for _, n := range m.GetNodes() {
		r.mu.addrs[n.GetId()] = n.GetAddress()
	}
	r.mu.slots = make([]uint32, imapnum.Slots)
	shards := make(map[uint32]*shardRoute, len(m.GetShards()))
	for _, s := range m.GetShards() {
		for _, sr := range s.GetSlots() {
			for slot := sr.GetFirst(); slot <= sr.GetLast() && slot < imapnum.Slots; slot++ {
				r.mu.slots[slot] = s.GetId()
			}
		}
		route, ok := r.mu.shards[s.GetId()]
		if !ok {
			route = &shardRoute{moved: make(chan struct{})}
		}
		route.replicas = s.GetReplicas()
		if !slices.Contains(route.replicas, route.leader) {
			route.leader = ""
		}
		shards[s.GetId()] = route
	}
	r.mu.shards = shards
	close(r.mu.newMap)
	r.mu.newMap = make(chan struct{})
	return true
}

// addresses returns the addresses of all nodes on the map.
func (r *routes) addresses() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	var addrs []string
	for _, n := range r.mu.m.GetNodes() {
		addrs = append(addrs, n.GetAddress())
	}
	return addrs
}

// shardIDs returns the shards on the map, and one slot of each that has any.
func (r *routes) shardIDs() map[uint32]bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	ids := make(map[uint32]bool)
	for _, s := range r.mu.m.GetShards() {
		if len(s.GetSlots()) > 0 {
			ids[s.GetId()] = true
		}
	}
	return ids
}

// shardOf returns the shard of a slot, if there is a map.
func (r *routes) shardOf(slot imapnum.Slot) (shard uint32, known bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.mu.m != nil {
		shard = r.mu.slots[slot]
	}
	return shard, shard != 0
}

// find returns the shard of a slot and the map's epoch, waiting for the first
// map.
func (r *routes) find(ctx context.Context, slot imapnum.Slot) (shard uint32, epoch uint64, err error) {
	for {
		r.mu.Lock()
		if r.mu.m != nil {
			shard, epoch = r.mu.slots[slot], r.mu.m.GetEpoch()
		}
		wait := r.mu.newMap
		r.mu.Unlock()
		if shard != 0 {
			return shard, epoch, nil
		}
		select {
		case <-wait:
		case <-ctx.Done():
			return 0, 0, context.Cause(ctx)
		}
	}
}

// pick chooses the replica of a shard to ask: the believed leader, unless it is
// the one that has just failed; else the next in turn after that one, passing
// over those that do not answer if there are others.
func (r *routes) pick(shard uint32, failed string) (node, addr string, ok bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	s, ok := r.mu.shards[shard]
	if !ok || len(s.replicas) == 0 {
		return "", "", false
	}
	if s.leader != "" && s.leader != failed {
		addr, ok = r.mu.addrs[s.leader]
		return s.leader, addr, ok
	}
	start := slices.Index(s.replicas, failed) + 1
	now := time.Now()
	for i := range s.replicas {
		n := s.replicas[(start+i)%len(s.replicas)]
		if n != failed && !now.Before(r.mu.suspect[n]) {
			node = n
			break
		}
	}
	if node == "" {
		node = s.replicas[start%len(s.replicas)]
	}
	addr, ok = r.mu.addrs[node]
	return node, addr, ok
}

// lead notes that a node is said to lead a shard. It reports whether that was
// news.
func (r *routes) lead(shard uint32, node string) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	s, ok := r.mu.shards[shard]
	if !ok || s.leader == node || !slices.Contains(s.replicas, node) {
		return false
	}
	s.leader = node
	close(s.moved)
	s.moved = make(chan struct{})
	return true
}

// unlead forgets that a node leads a shard, if that was believed.
func (r *routes) unlead(shard uint32, node string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if s, ok := r.mu.shards[shard]; ok && s.leader == node {
		s.leader = ""
	}
}

// leader returns who is believed to lead a shard, and a channel that is closed
// when another one is.
func (r *routes) leader(shard uint32) (string, <-chan struct{}) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if s, ok := r.mu.shards[shard]; ok {
		return s.leader, s.moved
	}
	return "", nil
}

// suspectFor keeps a node from being tried first for a while.
func (r *routes) suspectFor(node string, d time.Duration) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.mu.suspect[node] = time.Now().Add(d)
}

// trust ends the suspicion of a node that has answered.
func (r *routes) trust(node string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.mu.suspect, node)
}

// trusted reports whether a node is not under suspicion.
func (r *routes) trusted(node string) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return !time.Now().Before(r.mu.suspect[node])
}
