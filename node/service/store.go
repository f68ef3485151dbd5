package service

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"

	"github.com/quorumail/quorumail/node/shard"
	"github.com/quorumail/quorumail/proto/imapnum"
	pb "github.com/quorumail/quorumail/proto/quorumail/v1"
	"github.com/quorumail/quorumail/raftfsm"
)

// Shard is what a node hosts of one shard.
type Shard struct {
	ID      uint32
	Replica *shard.Replica
	State   *raftfsm.FSM
	Hub     *Hub
	Marks   *Marks
}

// Host is the node that requests come to. Its methods are called from any
// goroutine and do not wait.
type Host interface {
	// NodeID is the node's id.
	NodeID() string
	// Server is what NodeStatus says of the node: by what id it votes, the cluster's
	// name, the servers that it was founded with, none if it is not known, and
	// whether the node's data was lost.
	Server() (id, cluster string, founders []string, rejoins bool)
	// Map is the newest map that the node knows; nil before the first.
	Map() *pb.ClusterMap
	// WatchMap returns the map once its epoch is above after.
	WatchMap(ctx context.Context, after uint64) (*pb.ClusterMap, error)
	// Shard returns what the node hosts of a shard, nil if it does not.
	Shard(id uint32) *Shard
	// Replica returns the replica of a group; 0 is the directory.
	Replica(group uint32) *shard.Replica
	// Statuses describes all replicas.
	Statuses() []*pb.ReplicaStatus
	// ReadOnly says why the node accepts no writes, or nothing if it does.
	ReadOnly() string
	// Unwilling says why the node is not to be given the lead of a group, or nothing.
	Unwilling() string
}

// Config makes a [Server].
type Config struct {
	Host Host
	// ReadWait bounds how long a read waits for the state to reach what its
	// session has seen.
	ReadWait time.Duration
	// Log; nil: discarded.
	Log *slog.Logger
}

// Server serves the services of a node.
type Server struct {
	store     storeServer
	admin     adminServer
	directory directoryServer
	closing   chan struct{}
	once      sync.Once
	receivers sync.WaitGroup
}

// New returns a server.
func New(cfg Config) *Server {
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	s := &Server{closing: make(chan struct{})}
	s.store = storeServer{cfg: cfg, host: cfg.Host, slots: &slotTable{}, closing: s.closing, receivers: &s.receivers,
		searches: make(chan struct{}, maxSearches())}
	s.admin = adminServer{host: cfg.Host}
	s.directory = directoryServer{host: cfg.Host, closing: s.closing}
	return s
}

// Register adds the services to a gRPC server.
func (s *Server) Register(r grpc.ServiceRegistrar) {
	pb.RegisterStoreServiceServer(r, &s.store)
	pb.RegisterAdminServiceServer(r, &s.admin)
	pb.RegisterDirectoryServiceServer(r, &s.directory)
}

// Close ends the streams that would go on for ever, so that the gRPC server can
// be stopped gracefully.
func (s *Server) Close() { s.once.Do(func() { close(s.closing) }) }

// Wait returns when nothing of the server reads the state any more. The gRPC
// server must have stopped, and waited for its handlers.
func (s *Server) Wait() { s.receivers.Wait() }

// storeServer serves StoreService.
type storeServer struct {
	pb.UnimplementedStoreServiceServer
	cfg     Config
	host    Host
	slots   *slotTable
	closing <-chan struct{}
	// receivers are goroutines that may outlive their handler by a moment.
	receivers *sync.WaitGroup
	searches  chan struct{} // has an element for each search that runs
}

// route finds the shard that a request is for, or says where else to go.
func (s *storeServer) route(r *pb.Route) (*Shard, error) {
	if name, err := imapnum.AccountName(r.GetAccount()); err != nil || name != r.GetAccount() {
		return nil, invalid("route without a normalised account name")
	}
	if name, err := imapnum.AccountName(r.GetActor()); r.GetActor() != "" && (err != nil || name != r.GetActor()) {
		return nil, invalid("route without a normalised actor")
	}
	m := s.host.Map()
	if m == nil {
		return nil, notReady("", "no map yet")
	}
	here := s.slots.shardOf(m, imapnum.SlotOf(r.GetAccount()))
	if here != r.GetShard() {
		if m.GetEpoch() < r.GetEpoch() {
			return nil, notReady("", "the map here is older than the sender's")
		}
		return nil, failure(codes.FailedPrecondition,
			&pb.ErrorDetail{Kind: pb.ErrorDetail_KIND_WRONG_SHARD, Epoch: m.GetEpoch()}, "the account is in another shard")
	}
	if sh := s.host.Shard(r.GetShard()); sh != nil {
		return sh, nil
	}
	if m.GetEpoch() < r.GetEpoch() || hosts(m, r.GetShard(), s.host.NodeID()) {
		return nil, notReady("", "the replica is not started yet")
	}
	return nil, failure(codes.FailedPrecondition,
		&pb.ErrorDetail{Kind: pb.ErrorDetail_KIND_WRONG_SHARD, Epoch: m.GetEpoch()}, "the shard is not on this node")
}

// hosts reports whether a map gives a shard to a node.
func hosts(m *pb.ClusterMap, id uint32, node string) bool {
	for _, sh := range m.GetShards() {
		if sh.GetId() != id {
			continue
		}
		for _, r := range sh.GetReplicas() {
			if r == node {
				return true
			}
		}
	}
	return false
}

// slotTable is the slots of the newest map, spread out.
type slotTable struct {
	mu    sync.Mutex
	m     *pb.ClusterMap // maps are never changed: the pointer names it
	table []uint32
}

func (t *slotTable) shardOf(m *pb.ClusterMap, slot imapnum.Slot) uint32 {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.m != m {
		t.m, t.table = m, make([]uint32, imapnum.Slots)
		for _, sh := range m.GetShards() {
			for _, r := range sh.GetSlots() {
				for n := r.GetFirst(); n <= r.GetLast() && n < imapnum.Slots; n++ {
					t.table[n] = sh.GetId()
				}
			}
		}
	}
	return t.table[slot]
}
