package client

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"time"

	"google.golang.org/grpc"

	pb "github.com/quorumail/quorumail/proto/quorumail/v1"
)

// Pauses between attempts start at backoffMin, double, and end at backoffMax:
// well below an election, so that a new leader is found soon after it is there.
const (
	backoffMin = 10 * time.Millisecond
	backoffMax = 500 * time.Millisecond
)

// attempt is one try of a request at one replica.
type attempt struct {
	ctx   context.Context
	addr  string // the replica's node
	store pb.StoreServiceClient
	route *pb.Route
	dog   *watchdog
	// progress: something has come that need not come again.
	progress bool
}

// level returns how fresh a read of a session must be.
func (a *attempt) level(s *Session, linearizable bool) *pb.ReadLevel {
	// A session that has seen nothing, or only another shard, has no token yet: a
	// replica could be as far behind as it likes.
	index := s.seen(a.route.GetShard())
	// What its owner has taken from an actor must not be read again, wherever the
	// owner's session was told so.
	linearizable = linearizable || index == 0 || s.actor != ""
	return &pb.ReadLevel{Linearizable: linearizable, MinIndex: index}
}

// callerError is an error of the caller's own function: it ends the request.
type callerError struct{ err error }

func (e callerError) Error() string { return e.err.Error() }

// kind says how a request is to be routed and how long to wait for it.
type kind int

const (
	// atLeader: only the leader can answer.
	atLeader kind = iota
	// anywhere: any replica can answer that has caught up; the leader is asked
	// first.
	anywhere
	// lengthy: as anywhere, and the work itself may take long: a replica is not
	// given up as long as its node answers something else.
	lengthy
)

// do makes attempts of a request at replicas of the session's shard until one
// succeeds, or fails for good, or ctx ends.
func (c *Client) do(ctx context.Context, s *Session, op string, k kind, f func(*attempt) error) error {
	ctx, done := c.bound(ctx)
	defer done()
	var (
		failed  string
		last    error
		pause   = backoffMin
		patient = c.cfg.AttemptTimeout
		hops    int       // hints followed without a pause
		full    time.Time // when a leader first refused for want of disk space
	)
	for {
		shard, epoch, err := c.routes.find(ctx, s.slot)
		if err != nil {
			return unavailable(ctx, op, c.lastMapError())
		}
		node, addr, ok := c.routes.pick(shard, failed)
		var v verdict
		if !ok {
			v.refresh = true // a map without addresses: another will come
		} else {
			route := &pb.Route{Account: s.account, Shard: shard, Epoch: epoch, Actor: s.actor}
			progress, err := c.attempt(ctx, addr, route, patient, k, f)
			if progress {
				pause, patient = backoffMin, c.cfg.AttemptTimeout
			}
			if err == nil {
				c.routes.trust(node)
				if k == atLeader {
					c.routes.lead(shard, node)
				}
				return nil
			}
			var ce callerError
			if errors.As(err, &ce) {
				return ce.err
			}
			if ctx.Err() != nil {
				if errors.Is(err, errStalled) || last == nil {
					last = err
				}
				return unavailable(ctx, op, last)
			}
			last = err
			if errors.Is(err, errStalled) {
				// A replica that is merely slow may need longer than a dead one is
				// waited for.
				patient = min(2*patient, 8*c.cfg.AttemptTimeout)
			}
			v = judge(err, epoch)
		}
		if v.final != nil {
			if !v.detailed {
				c.log.Warn("request failed", "op", op, "node", node, "error", v.final)
			}
			return s.masked(v.final)
		}
		if v.readOnly {
			// That lasts: the caller is told soon. But a node that fills up also hands
			// its leaderships over.
			if full.IsZero() {
				full = time.Now()
			}
			if time.Since(full) > c.cfg.AttemptTimeout {
				return fmt.Errorf("%s: %w: %w", op, ErrUnavailable, last)
			}
		}
		if v.refresh {
			c.refresh(ctx, addr)
		}
		news := false
		if !v.keep {
			failed = node
			c.routes.unlead(shard, node)
			switch {
			case v.suspect:
				c.routes.suspectFor(node, time.Second)
			case v.leader != "":
				news = c.routes.lead(shard, v.leader) && v.leader != node
			}
		}
		if news && hops < 2 {
			hops++
			continue
		}
		hops = 0
		if !sleep(ctx, jitter(pause)) {
			return unavailable(ctx, op, last)
		}
		pause = min(2*pause, backoffMax)
	}
}

// attempt runs f against the node at addr, cancelled when it shows no sign of
// life. It reports whether f got anywhere.
func (c *Client) attempt(ctx context.Context, addr string, route *pb.Route, patience time.Duration, k kind, f func(*attempt) error) (progress bool, err error) {
	cc, err := c.conns.get(addr)
	if err != nil {
		return false, callerError{err}
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	a := &attempt{ctx: ctx, addr: addr, store: pb.NewStoreServiceClient(cc), route: route}
	a.dog = newWatchdog(patience, func() bool {
		if k == lengthy && alive(ctx, cc) {
			return true
		}
		cancel(errStalled)
		return false
	})
	defer a.dog.pause()
	err = f(a)
	var ce callerError
	if err != nil && !errors.As(err, &ce) && context.Cause(ctx) == errStalled {
		err = errStalled
	}
	return a.progress, err
}

// bound returns ctx with the client's default timeout if it has none, ended
// also by Close.
func (c *Client) bound(ctx context.Context) (context.Context, func()) {
	ctx, cancel := context.WithCancelCause(ctx)
	stop := context.AfterFunc(c.ctx, func() { cancel(ErrClosed) })
	if _, ok := ctx.Deadline(); ok {
		return ctx, func() { stop(); cancel(nil) }
	}
	ctx, timeout := context.WithTimeout(ctx, c.cfg.RequestTimeout)
	return ctx, func() { stop(); timeout(); cancel(nil) }
}

// jitter returns a random part of d, at least half: clients that failed together
// do not come back together.
func jitter(d time.Duration) time.Duration {
	return d/2 + rand.N(d/2+1)
}

// sleep waits, and reports false if ctx ended first.
func sleep(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// alive asks a node for something that it can answer at once.
func alive(ctx context.Context, cc *grpc.ClientConn) bool {
	ctx, cancel := context.WithTimeout(ctx, time.Second)
	defer cancel()
	_, err := pb.NewAdminServiceClient(cc).NodeStatus(ctx, &pb.NodeStatusRequest{})
	return err == nil
}

// watchdog calls bite once nothing has happened for its time, and again as long
// as bite returns true. It starts awake.
type watchdog struct {
	d time.Duration
	t *time.Timer

	mu struct {
		sync.Mutex
		awake bool
	}
}

func newWatchdog(d time.Duration, bite func() (again bool)) *watchdog {
	w := &watchdog{d: d}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.mu.awake = true
	w.t = time.AfterFunc(d, func() {
		if !bite() {
			return
		}
		w.mu.Lock()
		defer w.mu.Unlock()
		if w.mu.awake {
			w.t.Reset(d)
		}
	})
	return w
}

// kick says that something has happened, or that waiting begins again.
func (w *watchdog) kick() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.mu.awake = true
	w.t.Reset(w.d)
}

// pause says that nobody waits for the other side now.
func (w *watchdog) pause() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.mu.awake = false
	w.t.Stop()
}
