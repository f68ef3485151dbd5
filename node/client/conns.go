package client

import (
	"errors"
	"sync"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/backoff"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/experimental"
	"google.golang.org/grpc/keepalive"

	"github.com/quorumail/quorumail/proto/framecodec"
)

const (
	// maxAnswer bounds a response message. The largest is the UID set of a mailbox
	// with every other of some millions of messages gone.
	maxAnswer = 64 << 20
	// maxRequest bounds a request message: an APPEND with its body inline, or a set
	// of UIDs.
	maxRequest = 16 << 20
	// readBuffer is what is read of a connection at once: a response with a body's
	// chunk costs one system call. It is held only while there is something to read.
	readBuffer = 128 << 10
	// streamWindow is how far a stream may run ahead of who reads it, and so what a
	// client that reads slowly has in memory; connWindow bounds all of a connection.
	// They do not adapt: to learn the connection's capacity gRPC sends a ping when data
	// come and none is under way, and the peer answers it: with small messages that is as
	// many system calls again.
	streamWindow, connWindow = 512 << 10, 8 << 20
)

// conns holds one connection to each node, by address, and the lane for commands on
// it. Safe for concurrent use.
type conns struct {
	creds credentials.TransportCredentials

	mu struct {
		sync.Mutex
		closed bool
		byAddr map[string]*grpc.ClientConn
		lanes  map[string]*lane // of those that a command has gone to
	}
}

func newConns(creds credentials.TransportCredentials) *conns {
	c := &conns{creds: creds}
	c.mu.byAddr = make(map[string]*grpc.ClientConn)
	c.mu.lanes = make(map[string]*lane)
	return c
}

// get returns the connection to an address. It does not wait for it to stand.
func (c *conns) get(addr string) (*grpc.ClientConn, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.getLocked(addr)
}

// lane returns the lane to an address.
func (c *conns) lane(addr string) (*lane, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if l, ok := c.mu.lanes[addr]; ok {
		return l, nil
	}
	cc, err := c.getLocked(addr)
	if err != nil {
		return nil, err
	}
	l := newLane(cc)
	c.mu.lanes[addr] = l
	return l, nil
}

func (c *conns) getLocked(addr string) (*grpc.ClientConn, error) {
	if c.mu.closed {
		return nil, ErrClosed
	}
	if cc, ok := c.mu.byAddr[addr]; ok {
		return cc, nil
	}
	cc, err := grpc.NewClient("passthrough:///"+addr,
		grpc.WithTransportCredentials(c.creds),
		grpc.WithDisableServiceConfig(),
		// A node that restarts is to be found soon: the retries here have a backoff
		// of their own.
		grpc.WithConnectParams(grpc.ConnectParams{
			Backoff: backoff.Config{
				BaseDelay: 50 * time.Millisecond, Multiplier: 1.6, Jitter: 0.2, MaxDelay: time.Second,
			},
			MinConnectTimeout: 3 * time.Second,
		}),
		// 10 s is the least that the library sends. Attempts have their own timeout;
		// this only frees what hangs on a connection that is gone.
		grpc.WithKeepaliveParams(keepalive.ClientParameters{Time: 10 * time.Second, Timeout: 5 * time.Second}),
		grpc.WithStaticStreamWindowSize(streamWindow),
		grpc.WithStaticConnWindowSize(connWindow),
		grpc.WithDefaultCallOptions(
			grpc.ForceCodecV2(framecodec.Codec{}),
			grpc.MaxCallRecvMsgSize(maxAnswer),
			grpc.MaxCallSendMsgSize(maxRequest),
		),
		grpc.WithReadBufferSize(readBuffer),
		experimental.WithBufferPool(framecodec.Buffers),
	)
	if err != nil {
		return nil, err
	}
	c.mu.byAddr[addr] = cc
	return cc, nil
}

// retain closes the connections to all but the given addresses.
func (c *conns) retain(addrs map[string]bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for addr, cc := range c.mu.byAddr {
		if !addrs[addr] {
			delete(c.mu.byAddr, addr)
			if l, ok := c.mu.lanes[addr]; ok {
				delete(c.mu.lanes, addr)
				l.close()
			}
			_ = cc.Close()
		}
	}
}

func (c *conns) close() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.mu.closed = true
	for _, l := range c.mu.lanes {
		l.close()
	}
	var errs []error
	for _, cc := range c.mu.byAddr {
		errs = append(errs, cc.Close())
	}
	c.mu.byAddr, c.mu.lanes = nil, nil
	return errors.Join(errs...)
}
