package node

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/cockroachdb/pebble/v2"
	"github.com/hashicorp/raft"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/experimental"
	"google.golang.org/grpc/keepalive"

	"github.com/quorumail/quorumail/node/directory"
	"github.com/quorumail/quorumail/node/raftlog"
	"github.com/quorumail/quorumail/node/service"
	"github.com/quorumail/quorumail/node/shard"
	"github.com/quorumail/quorumail/node/transport"
	"github.com/quorumail/quorumail/proto/framecodec"
	pb "github.com/quorumail/quorumail/proto/quorumail/v1"
	"github.com/quorumail/quorumail/raftfsm"
)

// Node is a running storage process. Safe for concurrent use.
type Node struct {
	cfg  Config
	log  *slog.Logger
	disk diskGuard

	identity identity
	serverID string                   // the node's server id; see transport.ServerID
	founders atomic.Pointer[[]string] // server ids; nil: no cluster is known yet
	peers    *peers

	listener  net.Listener
	raftlog   *raftlog.Store
	state     *pebble.DB
	indexes   *raftfsm.IndexCache
	flusher   *shard.Flusher
	mux       *transport.Mux
	directory *directory.Directory
	opened    atomic.Pointer[directory.Directory] // directory, for who may ask before it is open
	service   *service.Server
	server    *grpc.Server

	cancel context.CancelFunc // ends the goroutines of wg
	wg     sync.WaitGroup
	served chan struct{} // closed when the server has ended
	// suspicion: an answer said that the state could not be read
	suspicion chan struct{}
	fatal     sync.Once
	closed    sync.Once
	leaving   atomic.Bool // Close has begun
	result    error       // of Close

	mu struct {
		sync.Mutex
		shards map[uint32]*service.Shard
		killed bool
	}
}

// Open starts a node and returns when it listens; it does not wait for the
// rest of the cluster (see WaitReady). ctx bounds the start only.
func Open(ctx context.Context, cfg Config) (*Node, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	n := &Node{cfg: cfg.withDefaults(), served: make(chan struct{}), suspicion: make(chan struct{}, 1)}
	n.log = n.cfg.Log
	n.mu.shards = make(map[uint32]*service.Shard)
	if err := n.open(ctx); err != nil {
		n.release()
		return nil, fmt.Errorf("node %s: open: %w", cfg.ID, err)
	}
	return n, nil
}

// open starts one part after the other. What it has started when it fails is
// stopped by release.
func (n *Node) open(ctx context.Context) error {
	n.listener = n.cfg.Listener
	if n.listener == nil {
		l, err := (&net.ListenConfig{}).Listen(ctx, "tcp", n.cfg.Listen)
		if err != nil {
			return err
		}
		n.listener = l
	}
	creds := n.cfg.PeerTLS
	if creds == nil {
		creds = insecure.NewCredentials()
	}
	n.peers = &peers{self: n.cfg.ID, cluster: n.cfg.Cluster, resolve: n.resolve, creds: creds}
	if err := n.openData(ctx); err != nil {
		return err
	}
	if err := n.openTransport(); err != nil {
		return err
	}
	if err := n.openDirectory(); err != nil {
		return err
	}
	n.server = n.newServer()
	go func() {
		defer close(n.served)
		if err := n.server.Serve(n.listener); err != nil {
			n.log.Error("listener has failed", "error", err)
		}
	}()
	background, cancel := context.WithCancel(context.Background())
	n.cancel = cancel
	n.wg.Go(func() { n.join(background) })
	n.wg.Go(func() { n.followMap(background) })
	n.wg.Go(func() { n.keepTidy(background) })
	n.wg.Go(func() { n.scrub(background) })
	if n.cfg.Mend > 0 && len(n.cfg.Peers) > 1 {
		n.wg.Go(func() { n.mend(background) })
	}
	if n.cfg.Balance > 0 && len(n.cfg.Peers) > 1 {
		n.wg.Go(func() { n.balance(background) })
	}
	n.wg.Go(func() {
		// The others may have space.
		n.disk.run(background, n.cfg, func() { n.handOver(background) })
	})
	n.log.Info("node is up", "address", n.Addr(), "data", n.cfg.DataDir)
	return ctx.Err()
}

// openData opens what is on disk. What is found to be damaged is set aside, if the
// cluster can do without it, and the node begins anew.
func (n *Node) openData(ctx context.Context) error {
	if _, err := n.mendData(ctx); err != nil {
		return err
	}
	err := n.tryData()
	if !isDamage(err) {
		return err
	}
	if err := n.closeStores(); err != nil {
		n.log.Warn("damaged data", "error", err)
	}
	n.noteDamage(err)
	if done, err := n.mendData(ctx); err != nil || !done {
		return err
	}
	return n.tryData()
}

func (n *Node) tryData() (err error) {
	if n.identity, err = claim(n.cfg.FS, n.cfg.DataDir, n.cfg.ID, n.cfg.Cluster); err != nil {
		return fmt.Errorf("data directory: %w", err)
	}
	n.serverID = transport.ServerID(n.cfg.ID, n.identity.Incarnation)
	if err := n.loadFounders(); err != nil {
		return err
	}
	n.disk.check(n.cfg)
	return n.openStores()
}

func (n *Node) openStores() (err error) {
	n.raftlog, err = raftlog.Open(n.cfg.FS, n.path("raftlog"), raftlog.Options{
		CacheBytes: n.cfg.LogCache, OnFatal: n.fail, Log: n.log,
	})
	if err != nil {
		return err
	}
	n.indexes = raftfsm.NewIndexCache(n.cfg.IndexCache)
	n.state, err = openState(n.cfg, n.path("state"), n.fail)
	if err != nil {
		return err
	}
	n.flusher = shard.NewFlusher(n.state)
	return nil
}

func (n *Node) openTransport() (err error) {
	n.mux, err = transport.New(transport.Config{
		NodeID:    n.serverID,
		ClusterID: n.cfg.Cluster,
		Resolve:   n.resolve,
		DialOptions: []grpc.DialOption{
			grpc.WithTransportCredentials(n.peers.creds),
			grpc.WithStaticStreamWindowSize(streamWindow),
			grpc.WithStaticConnWindowSize(connWindow),
		},
		Linger: cmp.Or(n.cfg.Timing.Heartbeat, shard.DefaultTiming().Heartbeat) / 20,
		Faults: n.cfg.Faults,
		Log:    n.log,
	})
	return err
}

// resolve finds the address of a node, or of a server's node: in the configuration,
// or, for a node that has joined since, on the map.
func (n *Node) resolve(server string) (string, bool) {
	id := transport.NodeOf(server)
	if addr, ok := n.cfg.Peers[id]; ok {
		return addr, true
	}
	d := n.opened.Load()
	if d == nil {
		return "", false
	}
	for _, info := range d.Map().GetNodes() {
		if info.GetId() == id {
			return info.GetAddress(), true
		}
	}
	return "", false
}

const (
	// maxRequest bounds a message that comes in, maxResponse one that goes out; see
	// node/client for what makes them so large.
	maxRequest  = 16 << 20
	maxResponse = 64 << 20
	// writeBuffer is what is sent of a connection at once: a body's chunk whole.
	writeBuffer = 128 << 10
	// streamWorkers is how many requests are done at once without a new goroutine.
	streamWorkers = 64
	// streamWindow is how much of a stream may lie here unread, connWindow how much
	// may be on its way over one connection; see node/client for why they are fixed.
	streamWindow = 1 << 20
	connWindow   = 8 << 20
)

func (n *Node) newServer() *grpc.Server {
	creds := n.cfg.ServerTLS
	if creds == nil {
		creds = insecure.NewCredentials()
	}
	s := grpc.NewServer(
		grpc.Creds(creds),
		grpc.UnaryInterceptor(n.watchUnary),
		grpc.StreamInterceptor(n.watchStream),
		grpc.ForceServerCodecV2(framecodec.Codec{}),
		grpc.MaxRecvMsgSize(maxRequest),
		grpc.MaxSendMsgSize(maxResponse),
		grpc.WriteBufferSize(writeBuffer),
		experimental.BufferPool(framecodec.Buffers),
		grpc.StaticStreamWindowSize(streamWindow),
		grpc.StaticConnWindowSize(connWindow),
		grpc.MaxConcurrentStreams(50_000),
		// Requests are done by goroutines whose stacks have grown; those beyond, as by
		// streams that stay open, get one of their own.
		grpc.NumStreamWorkers(streamWorkers),
		// The stores are closed after the server: nobody may be reading then.
		grpc.WaitForHandlers(true),
		grpc.KeepaliveParams(keepalive.ServerParameters{Time: 30 * time.Second, Timeout: 10 * time.Second}),
		grpc.KeepaliveEnforcementPolicy(keepalive.EnforcementPolicy{MinTime: 5 * time.Second, PermitWithoutStream: true}),
	)
	n.service = service.New(service.Config{Host: n.host(), ReadWait: n.cfg.ReadWait, Log: n.log})
	n.service.Register(s)
	n.mux.Register(s)
	return s
}

func (n *Node) host() host { return host{n} }

func (n *Node) path(name string) string { return n.cfg.FS.PathJoin(n.cfg.DataDir, name) }

func (n *Node) peerIDs() []string { return slices.Sorted(maps.Keys(n.cfg.Peers)) }

// fail tells that what is on disk is not known any more.
func (n *Node) fail(err error) {
	n.fatal.Do(func() {
		n.log.Error("disk has failed; this node must end", "error", err)
		if isDamage(err) {
			n.noteDamage(err)
		}
		n.cfg.OnFatal(err)
	})
}

// Addr is the address that the node listens on.
func (n *Node) Addr() string { return n.listener.Addr().String() }

// Status describes the node's replicas, by shard; 0 is the directory.
func (n *Node) Status() []*pb.ReplicaStatus { return n.host().Statuses() }

// Close hands the leaderships of this node over to others, as far as that is
// possible until ctx ends, then stops everything and waits for it.
func (n *Node) Close(ctx context.Context) error {
	n.closed.Do(func() {
		n.mu.Lock()
		killed := n.mu.killed
		n.mu.Unlock()
		if !killed {
			n.leaving.Store(true)
			n.handOver(ctx)
		}
		n.result = n.release()
		n.log.Info("node is down")
	})
	return n.result
}

// handOver gives up all leaderships, so that nobody has to wait for an
// election.
func (n *Node) handOver(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	replicas := []*shard.Replica{n.directory.Replica()}
	for _, sh := range n.shards() {
		replicas = append(replicas, sh.Replica)
	}
	var wg sync.WaitGroup
	for _, r := range replicas {
		if !r.IsLeader() || len(r.Members()) < 2 {
			continue
		}
		wg.Go(func() {
			if err := r.TransferLeadership(ctx, ""); err != nil {
				n.log.Debug("leadership not handed over", "error", err)
			}
		})
	}
	wg.Wait()
}

// release stops what has been started, in the order in which one part uses the
// other.
func (n *Node) release() error {
	var errs []error
	if n.cancel != nil {
		n.cancel() // no replica is started from now on
		n.wg.Wait()
	}
	var stopped chan struct{}
	if n.server != nil {
		n.service.Close()
		stopped = make(chan struct{})
		go func() {
			defer close(stopped)
			n.server.GracefulStop() // nothing new; what waits for a replica ends with it
		}()
	} else if n.listener != nil {
		errs = append(errs, n.listener.Close())
	}
	for _, sh := range n.shards() {
		errs = append(errs, sh.Replica.Close(), sh.State.Close())
	}
	if n.directory != nil {
		errs = append(errs, n.directory.Close())
	}
	if n.mux != nil {
		errs = append(errs, n.mux.Close())
	}
	if n.server != nil {
		select {
		case <-stopped:
		case <-time.After(time.Second):
			// Some client does not take its answer.
			n.server.Stop()
			<-stopped
		}
		<-n.served
		n.service.Wait()
	}
	for _, sh := range n.shards() {
		sh.Marks.Close()
	}
	if n.flusher != nil {
		n.flusher.Close()
	}
	if n.peers != nil {
		n.peers.close()
	}
	errs = append(errs, n.closeStores())
	if err := errors.Join(errs...); err != nil {
		return fmt.Errorf("node %s: close: %w", n.cfg.ID, err)
	}
	return nil
}

func (n *Node) closeStores() error {
	var errs []error
	if n.state != nil {
		// What is flushed need not be replayed at the next start.
		errs = append(errs, n.state.Flush(), n.state.Close())
	}
	if n.raftlog != nil {
		errs = append(errs, n.raftlog.Close())
	}
	n.state, n.raftlog = nil, nil
	return errors.Join(errs...)
}

// Kill stops the node as a crash would, as seen from outside: it says nothing
// more to anybody. What is on its disk is what had been synced before. For
// tests; Close must still be called to free what the node holds.
func (n *Node) Kill() {
	n.mu.Lock()
	n.mu.killed = true
	n.mu.Unlock()
	n.server.Stop()
	_ = n.mux.Close() // it only ends connections
}

// ServerID is the id by which the node votes: its own, and which of its disks it has
// now.
func (n *Node) ServerID() string { return n.serverID }

// Voters returns the server ids of those who vote in a group, as this node's replica
// of it knows them; nil if it has none.
func (n *Node) Voters(group uint32) []string {
	r := n.host().Replica(group)
	if r == nil {
		return nil
	}
	var list []string
	for _, s := range r.Members() {
		if s.Suffrage == raft.Voter {
			list = append(list, string(s.ID))
		}
	}
	return list
}

// Map is the newest map that the node knows, nil before the first. It is
// shared: callers must not change it.
func (n *Node) Map() *pb.ClusterMap { return n.directory.Map() }
