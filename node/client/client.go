package client

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"

	"github.com/quorumail/quorumail/proto/imapnum"
	pb "github.com/quorumail/quorumail/proto/quorumail/v1"
)

// Config says how to reach a cluster.
type Config struct {
	// Nodes are addresses (host:port) of storage nodes to learn the map from. At
	// least one; not all need to answer.
	Nodes []string
	// RequestTimeout bounds a request whose context has no deadline; default
	// 60 s, which outlives an election by far.
	RequestTimeout time.Duration
	// AttemptTimeout is how long one replica may give no sign before another is
	// asked; default 3 s. It is doubled each time, up to 8 times.
	AttemptTimeout time.Duration
	// WatchPing is how often a watch's replica is asked if it is alive; default
	// 1 s. One that says nothing for three of them is left.
	WatchPing time.Duration
	// TLS secures the connections to nodes; nil: none.
	TLS credentials.TransportCredentials
	// Log; nil: discarded.
	Log *slog.Logger
}

// Client is a frontend's access to the cluster. It is safe for concurrent use.
type Client struct {
	cfg    Config
	log    *slog.Logger
	conns  *conns
	routes *routes
	ctx    context.Context // ends with Close
	cancel context.CancelFunc
	wg     sync.WaitGroup

	mu struct {
		sync.Mutex
		closed  bool
		mapErr  error // why there is no map yet
		watches map[uint32]*shardWatch
	}
}

// New starts a client. It does not wait for the cluster to answer.
func New(cfg Config) (*Client, error) {
	if len(cfg.Nodes) == 0 {
		return nil, errors.New("client: config: no nodes given")
	}
	if cfg.RequestTimeout <= 0 {
		cfg.RequestTimeout = time.Minute
	}
	if cfg.AttemptTimeout <= 0 {
		cfg.AttemptTimeout = 3 * time.Second
	}
	if cfg.WatchPing <= 0 {
		cfg.WatchPing = time.Second
	}
	if cfg.TLS == nil {
		cfg.TLS = insecure.NewCredentials()
	}
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	c := &Client{cfg: cfg, log: cfg.Log, conns: newConns(cfg.TLS), routes: newRoutes()}
	c.ctx, c.cancel = context.WithCancel(context.Background())
	c.mu.watches = make(map[uint32]*shardWatch)
	c.wg.Go(c.followMap)
	return c, nil
}

// ClusterID returns what was drawn when the cluster was founded: it is the same for
// all its clients, and told to nobody else. It is empty until there has been an
// answer from the cluster.
func (c *Client) ClusterID() string { return c.routes.clusterID() }

// Session starts a session for an account, whose name is normalised already.
func (c *Client) Session(account string) *Session { return c.SessionFor(account, "") }

// SessionFor starts a session for an account on behalf of another one, which may
// do there what the owner has granted it. An empty actor is the owner.
func (c *Client) SessionFor(account, actor string) *Session {
	if actor == account {
		actor = ""
	}
	s := &Session{c: c, account: account, actor: actor, slot: imapnum.SlotOf(account)}
	rand.Read(s.id[:])
	return s
}

// WaitReady returns when the map is known and every shard has a leader that
// answers, or with the reason why not when ctx ends.
func (c *Client) WaitReady(ctx context.Context) error {
	if _, _, err := c.routes.find(ctx, 0); err != nil {
		return fmt.Errorf("wait ready: no map: %w", unavailable(ctx, "get map", c.lastMapError()))
	}
	// A linearizable read of an account that need not exist goes all the way that
	// a real request goes. Names are tried until there is one in each shard.
	missing := c.routes.shardIDs()
	for i := 0; len(missing) > 0 && i < 100*imapnum.Slots; i++ {
		s := c.Session(fmt.Sprintf("ready-%d", i))
		shard, _, err := c.routes.find(ctx, s.slot)
		if err != nil {
			return fmt.Errorf("wait ready: %w", err)
		}
		if !missing[shard] {
			continue
		}
		if _, err := s.GetAccount(ctx); err != nil && !errors.Is(err, ErrNoAccount) {
			return fmt.Errorf("wait ready: shard %d: %w", shard, err)
		}
		delete(missing, shard)
	}
	return nil
}

// Close ends all connections. Requests under way fail with ErrClosed.
func (c *Client) Close() error {
	c.mu.Lock()
	c.mu.closed = true
	c.mu.Unlock()
	c.cancel()
	err := c.conns.close()
	c.wg.Wait()
	return err
}

// followMap keeps the map up to date until the client is closed. While one node
// tells of changes, the others are not asked.
func (c *Client) followMap() {
	pause := backoffMin
	for n := 0; ; n++ {
		addrs := append(c.routes.addresses(), c.cfg.Nodes...)
		got, err := c.watchMap(addrs[n%len(addrs)])
		if c.ctx.Err() != nil {
			return
		}
		if got {
			pause = backoffMin
		}
		c.mu.Lock()
		c.mu.mapErr = err
		c.mu.Unlock()
		if !sleep(c.ctx, jitter(pause)) {
			return
		}
		pause = min(2*pause, backoffMax)
	}
}

// watchMap follows the map as one node knows it, and reports whether that node
// has a map at all.
func (c *Client) watchMap(addr string) (got bool, err error) {
	if err := c.fetchMap(c.ctx, addr); err != nil {
		return false, err
	}
	cc, err := c.conns.get(addr)
	if err != nil {
		return true, err
	}
	stream, err := pb.NewDirectoryServiceClient(cc).WatchMap(c.ctx, &pb.WatchMapRequest{AfterEpoch: c.routes.epoch()})
	if err != nil {
		return true, err
	}
	for {
		resp, err := stream.Recv()
		if err != nil {
			return true, err
		}
		c.takeMap(resp.GetMap())
	}
}

// fetchMap asks one node for its map.
func (c *Client) fetchMap(ctx context.Context, addr string) error {
	cc, err := c.conns.get(addr)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, c.cfg.AttemptTimeout)
	defer cancel()
	resp, err := pb.NewDirectoryServiceClient(cc).GetMap(ctx, &pb.GetMapRequest{})
	if err != nil {
		return fmt.Errorf("%s: %w", addr, err)
	}
	c.takeMap(resp.GetMap())
	return nil
}

// refresh asks a node that says its map is newer. That it may fail is no
// matter: the map is watched too.
func (c *Client) refresh(ctx context.Context, addr string) {
	if err := c.fetchMap(ctx, addr); err != nil {
		c.log.Debug("map not refreshed", "error", err)
	}
}

func (c *Client) takeMap(m *pb.ClusterMap) {
	if !c.routes.update(m) {
		return
	}
	c.log.Info("cluster map", "epoch", m.GetEpoch(), "nodes", len(m.GetNodes()), "shards", len(m.GetShards()))
	keep := make(map[string]bool)
	for _, addr := range append(c.routes.addresses(), c.cfg.Nodes...) {
		keep[addr] = true
	}
	c.conns.retain(keep)
}

// lastMapError is why there is no map, for people.
func (c *Client) lastMapError() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.mu.mapErr
}
