package transport

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"

	"github.com/quorumail/quorumail/proto/framecodec"
	pb "github.com/quorumail/quorumail/proto/quorumail/v1"
)

// Errors of a request that got no reply.
var (
	// ErrUnreachable: the peer could not be connected to, or the connection broke.
	ErrUnreachable = errors.New("transport: peer is unreachable")
	// ErrTimeout: no reply in time.
	ErrTimeout = errors.New("transport: no reply in time")
	// ErrClosed: the Mux, the group or the pipeline was closed.
	ErrClosed = errors.New("transport: closed")
)

// Config says who a node is and how it reaches others.
type Config struct {
	// NodeID is this node's server id (see ServerID). It is also its raft.ServerID
	// and raft.ServerAddress.
	NodeID string
	// ClusterID must be the same on both sides. It may be empty.
	ClusterID string
	// Resolve returns the address (host:port) of the gRPC listener of a server's
	// node. It is asked before each connection, from several goroutines.
	Resolve func(serverID string) (addr string, ok bool)
	// DialOptions are for connections to other nodes. With none, connections are
	// in the clear.
	DialOptions []grpc.DialOption
	// RPCTimeout bounds an append, with more time for a large one; default 5 s.
	RPCTimeout time.Duration
	// HeartbeatTimeout bounds a heartbeat, a vote and a confirmation; default 1 s.
	// A link that is silent for three of them although it has something to answer
	// is opened anew: after a partition TCP may take minutes to notice.
	HeartbeatTimeout time.Duration
	// Linger is how long a heartbeat, or an append without entries, may wait for
	// others to the same node and go with them: a message costs two system calls and
	// wakes some goroutines at either end, whatever is in it. With many groups it is
	// most of what an idle node does. It should be small beside the time between two
	// heartbeats; default 0: they don't wait.
	Linger time.Duration
	// SnapshotTimeout bounds the time that a snapshot makes no progress; default
	// 5 min, which includes taking it in at the other side.
	SnapshotTimeout time.Duration
	// Faults are for tests; nil in production.
	Faults *Faults
	// Log; nil: discarded.
	Log *slog.Logger
}

// Mux is a node's end of all Raft traffic. Safe for concurrent use.
type Mux struct {
	cfg    Config
	ctx    context.Context
	cancel context.CancelFunc
	wg     sync.WaitGroup

	mu struct {
		sync.Mutex
		closed  bool
		links   map[linkKey]*link
		groups  map[uint32]*Group
		streams int // inbound
	}
}

// New returns a Mux. Nothing is dialled before it is needed.
func New(cfg Config) (*Mux, error) {
	if cfg.NodeID == "" || cfg.Resolve == nil {
		return nil, errors.New("transport: config: NodeID and Resolve are needed")
	}
	if cfg.RPCTimeout <= 0 {
		cfg.RPCTimeout = 5 * time.Second
	}
	if cfg.HeartbeatTimeout <= 0 {
		cfg.HeartbeatTimeout = time.Second
	}
	if cfg.SnapshotTimeout <= 0 {
		cfg.SnapshotTimeout = 5 * time.Minute
	}
	if len(cfg.DialOptions) == 0 {
		cfg.DialOptions = []grpc.DialOption{grpc.WithTransportCredentials(insecure.NewCredentials())}
	}
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	m := &Mux{cfg: cfg}
	m.ctx, m.cancel = context.WithCancel(context.Background())
	m.mu.links = make(map[linkKey]*link)
	m.mu.groups = make(map[uint32]*Group)
	return m, nil
}

// Register adds the service that other nodes call to a gRPC server. It is to be
// called before the server serves.
func (m *Mux) Register(r grpc.ServiceRegistrar) {
	pb.RegisterRaftTransportServiceServer(r, &server{m: m})
}

// Group returns the transport of a group; calls with the same id return the
// same one until it is closed. Requests for a group that has none are refused.
func (m *Mux) Group(id uint32) *Group {
	m.mu.Lock()
	defer m.mu.Unlock()
	g, ok := m.mu.groups[id]
	if !ok {
		g = newGroup(m, id)
		m.mu.groups[id] = g
	}
	return g
}

func (m *Mux) group(id uint32) *Group {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.mu.groups[id]
}

func (m *Mux) forget(g *Group) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.mu.groups[g.id] == g {
		delete(m.mu.groups, g.id)
	}
}

// link returns the link to a peer, starting it if there is none.
func (m *Mux) link(peer string, bulk bool) (*link, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.mu.closed {
		return nil, ErrClosed
	}
	k := linkKey{peer, bulk}
	l, ok := m.mu.links[k]
	if !ok {
		l = newLink(m, k)
		m.mu.links[k] = l
		m.wg.Go(l.run)
	}
	return l, nil
}

// goOwned runs f in a goroutine that Close waits for, unless the Mux is closed.
func (m *Mux) goOwned(f func()) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.mu.closed {
		return false
	}
	m.wg.Go(f)
	return true
}

// Close ends all streams and fails all requests, then waits for its goroutines.
// Close the replicas before, and stop the gRPC server after.
func (m *Mux) Close() error {
	m.mu.Lock()
	m.mu.closed = true
	groups := make([]*Group, 0, len(m.mu.groups))
	for _, g := range m.mu.groups {
		groups = append(groups, g)
	}
	m.mu.Unlock()
	m.cancel()
	for _, g := range groups {
		_ = g.Close()
	}
	m.wg.Wait()
	return nil
}

// dial connects to a peer. The address is passed as it is: it is looked up anew
// at each connection.
func (m *Mux) dial(peer string) (*grpc.ClientConn, error) {
	addr, ok := m.cfg.Resolve(peer)
	if !ok {
		return nil, errors.New("address not known")
	}
	// Requests are marshalled by the link.
	codec := grpc.WithDefaultCallOptions(grpc.ForceCodecV2(framecodec.Codec{}))
	return grpc.NewClient("passthrough:///"+addr, append([]grpc.DialOption{codec}, m.cfg.DialOptions...)...)
}
