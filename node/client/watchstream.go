package client

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	pb "github.com/quorumail/quorumail/proto/quorumail/v1"
)

// shardWatch serves all watches of one shard over one stream: it runs as long
// as there is one.
type shardWatch struct {
	c      *Client
	shard  uint32
	cancel context.CancelFunc

	mu struct {
		sync.Mutex
		nextID  uint64
		watches map[uint64]*watch
		ids     map[*watch]uint64
		changes []uint64 // ids that came or went since the stream was last told
	}
	told chan struct{} // has an element when changes has
}

// join adds a watch to its shard's stream, starting the stream if need be. It
// does nothing once the client is closed.
func (c *Client) join(shard uint32, w *watch) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.mu.closed {
		return false
	}
	sw, ok := c.mu.watches[shard]
	if !ok {
		ctx, cancel := context.WithCancel(c.ctx)
		sw = &shardWatch{c: c, shard: shard, cancel: cancel, told: make(chan struct{}, 1)}
		sw.mu.watches = make(map[uint64]*watch)
		sw.mu.ids = make(map[*watch]uint64)
		c.mu.watches[shard] = sw
		c.wg.Go(func() { sw.run(ctx) })
	}
	sw.mu.Lock()
	defer sw.mu.Unlock()
	sw.mu.nextID++
	sw.mu.watches[sw.mu.nextID] = w
	sw.mu.ids[w] = sw.mu.nextID
	sw.changedLocked(sw.mu.nextID)
	return true
}

// goroutine starts one that Close waits for, unless the client is closed.
func (c *Client) goroutine(f func()) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.mu.closed {
		c.wg.Go(f)
	}
	return !c.mu.closed
}

// leave takes a watch off its stream, and ends the stream with the last.
func (c *Client) leave(shard uint32, w *watch) {
	c.mu.Lock()
	defer c.mu.Unlock()
	sw := c.mu.watches[shard]
	sw.mu.Lock()
	defer sw.mu.Unlock()
	id := sw.mu.ids[w]
	delete(sw.mu.ids, w)
	delete(sw.mu.watches, id)
	if len(sw.mu.watches) == 0 {
		delete(c.mu.watches, shard)
		sw.cancel()
		return
	}
	sw.changedLocked(id)
}

func (sw *shardWatch) changedLocked(id uint64) {
	sw.mu.changes = append(sw.mu.changes, id)
	select {
	case sw.told <- struct{}{}:
	default:
	}
}

func (sw *shardWatch) watch(id uint64) *watch {
	sw.mu.Lock()
	defer sw.mu.Unlock()
	return sw.mu.watches[id]
}

// run keeps a stream open until ctx ends.
func (sw *shardWatch) run(ctx context.Context) {
	defer sw.cancel()
	pause := backoffMin
	failed := ""
	for {
		node, addr, ok := sw.c.routes.pick(sw.shard, failed)
		var err error
		if ok {
			var lived bool
			lived, err = sw.stream(ctx, node, addr)
			if lived {
				pause = backoffMin
			}
		}
		if ctx.Err() != nil {
			return
		}
		if errors.Is(err, errLeaderMoved) {
			failed = ""
			if !sleep(ctx, jitter(backoffMin)) {
				return
			}
			continue
		}
		sw.c.log.Debug("watch stream ended", "shard", sw.shard, "node", node, "error", err)
		failed = node
		sw.c.routes.unlead(sw.shard, node)
		sw.c.routes.suspectFor(node, time.Second)
		if !sleep(ctx, jitter(pause)) {
			return
		}
		pause = min(2*pause, backoffMax)
	}
}

// errLeaderMoved ends a stream that is better opened to the new leader: it
// learns first what is committed.
var errLeaderMoved = errors.New("another node leads")

// stream serves one stream to one node until it breaks, and reports whether it
// has ever said anything.
func (sw *shardWatch) stream(ctx context.Context, node, addr string) (lived bool, err error) {
	cc, err := sw.c.conns.get(addr)
	if err != nil {
		return false, err
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	dog := newWatchdog(3*sw.c.cfg.WatchPing, func() bool {
		cancel(errStalled)
		return false
	})
	defer dog.pause()
	stream, err := pb.NewStoreServiceClient(cc).Watch(ctx)
	if err != nil {
		return false, err
	}
	ended := make(chan error, 1)
	alive := make(chan struct{})
	sw.c.wg.Go(func() { ended <- sw.receive(stream.Recv, dog, alive) })

	err = sw.send(ctx, node, stream, ended)
	if context.Cause(ctx) == errStalled {
		err = errStalled
	}
	cancel(err)
	select {
	case <-alive:
		lived = true
	default:
	}
	return lived, err
}

// receive hands events to their watches until the stream ends.
func (sw *shardWatch) receive(recv func() (*pb.WatchResponse, error), dog *watchdog, alive chan struct{}) error {
	for first := true; ; first = false {
		ev, err := recv()
		if err != nil {
			return err
		}
		dog.kick()
		if first {
			close(alive)
		}
		if ev.GetWatchId() == 0 {
			if l := ev.GetError().GetLeader(); l != "" {
				sw.c.routes.lead(sw.shard, l)
			}
			continue
		}
		w := sw.watch(ev.GetWatchId())
		if w == nil {
			continue // has left; the node does not know yet
		}
		d := ev.GetError()
		if d == nil {
			w.put(sw.shard, ev)
			continue
		}
		switch d.GetKind() {
		case pb.ErrorDetail_KIND_NO_ACCOUNT:
			w.fail(ErrNoAccount)
		case pb.ErrorDetail_KIND_WRONG_SHARD:
			w.fail(errMoved)
		case pb.ErrorDetail_KIND_INVALID:
			w.fail(ErrInvalid)
		default:
			return fmt.Errorf("watch: node answers %v", d.GetKind())
		}
	}
}

// send subscribes all watches, then those that come, and pings.
func (sw *shardWatch) send(ctx context.Context, node string, stream pb.StoreService_WatchClient, ended <-chan error) error {
	sw.mu.Lock()
	sw.mu.changes = nil
	for id := range sw.mu.watches {
		sw.mu.changes = append(sw.mu.changes, id)
	}
	sw.mu.Unlock()
	ping := time.NewTicker(sw.c.cfg.WatchPing)
	defer ping.Stop()
	if err := stream.Send(&pb.WatchRequest{}); err != nil {
		return <-ended
	}
	for {
		if err := sw.subscribe(stream); err != nil {
			return <-ended // it has the reason
		}
		leader, moved := sw.c.routes.leader(sw.shard)
		if leader != "" && leader != node && sw.c.routes.trusted(leader) {
			return errLeaderMoved
		}
		select {
		case <-sw.told:
		case <-ping.C:
			if err := stream.Send(&pb.WatchRequest{}); err != nil {
				return <-ended
			}
		case <-moved:
		case err := <-ended:
			return err
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// subscribe tells the node which watches have come and gone.
func (sw *shardWatch) subscribe(stream pb.StoreService_WatchClient) error {
	sw.mu.Lock()
	changes := sw.mu.changes
	sw.mu.changes = nil
	sw.mu.Unlock()
	epoch := sw.c.routes.epoch()
	for _, id := range changes {
		req := &pb.WatchRequest{WatchId: id}
		if w := sw.watch(id); w != nil {
			req.Route = &pb.Route{Account: w.s.account, Shard: sw.shard, Epoch: epoch, Actor: w.s.actor}
			req.SinceModSeq, req.MinIndex = w.since(), w.s.seen(sw.shard)
		}
		if err := stream.Send(req); err != nil {
			return err
		}
	}
	return nil
}
