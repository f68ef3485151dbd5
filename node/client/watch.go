package client

import (
	"context"
	"sync"

	pb "github.com/quorumail/quorumail/proto/quorumail/v1"
)

// Watch calls fn, from one goroutine, whenever the account has moved past what
// was last told, starting from since. It returns when ctx ends or the account
// is gone. Breaks are mended inside without missing or repeating a state. Before
// fn is called the session's token has been raised to the event's index.
//
// While fn runs, events are merged into one: the highest numbers, the union of
// mailboxes.
func (s *Session) Watch(ctx context.Context, since uint64, fn func(*pb.WatchResponse)) error {
	w := &watch{s: s, wake: make(chan struct{}, 1)}
	w.mu.since = since
	pause := backoffMin
	for {
		shard, _, err := s.c.routes.find(ctx, s.slot)
		if err != nil {
			return unavailable(ctx, "watch", s.c.lastMapError())
		}
		switch err = s.c.watchIn(ctx, shard, w, fn); err {
		case errMoved:
			// The map may lag behind the node that sent us away.
		case ErrNoAccount:
			// The replica may lag: it has not seen the account yet. If the leader
			// has, the session knows from when on.
			if _, err := s.GetAccount(ctx); err != nil {
				return err
			}
		default:
			return err
		}
		if !sleep(ctx, jitter(pause)) {
			return unavailable(ctx, "watch", err)
		}
		pause = min(2*pause, backoffMax)
	}
}

// watchIn watches over a shard's stream until the watch ends or moves.
func (c *Client) watchIn(ctx context.Context, shard uint32, w *watch, fn func(*pb.WatchResponse)) error {
	if err := c.join(shard, w); err != nil {
		return err
	}
	defer c.leave(shard, w)
	for {
		select {
		case <-w.wake:
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-c.ctx.Done():
			return ErrClosed
		}
		ev, err := w.take()
		if ev != nil {
			w.s.raise(shard, ev.GetAppliedIndex())
			fn(ev)
		}
		if err != nil {
			return err
		}
	}
}

// watch is one call of Session.Watch.
type watch struct {
	s    *Session
	wake chan struct{} // has an element when there is something to take

	mu struct {
		sync.Mutex
		since   uint64            // account modseq up to which pending, and fn, have been told
		pending *pb.WatchResponse // merged; nil: nothing
		err     error             // why the watch ends
	}
}

// since is from where a stream has to go on.
func (w *watch) since() uint64 {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.mu.since
}

// put merges an event into what is pending. Events at or below what has been
// told are dropped: a replica that is behind may tell of the past.
func (w *watch) put(ev *pb.WatchResponse) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if ev.GetModSeq() <= w.mu.since {
		return
	}
	w.mu.since = ev.GetModSeq()
	if p := w.mu.pending; p == nil {
		w.mu.pending = ev
	} else {
		p.ModSeq = ev.GetModSeq()
		p.AppliedIndex = max(p.GetAppliedIndex(), ev.GetAppliedIndex())
		p.MailboxList = p.GetMailboxList() || ev.GetMailboxList()
		p.Metadata = p.GetMetadata() || ev.GetMetadata()
		p.MailboxIds = union(p.GetMailboxIds(), ev.GetMailboxIds())
	}
	w.signal()
}

// fail ends the watch.
func (w *watch) fail(err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.mu.err = err
	w.signal()
}

func (w *watch) signal() {
	select {
	case w.wake <- struct{}{}:
	default:
	}
}

func (w *watch) take() (*pb.WatchResponse, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	ev, err := w.mu.pending, w.mu.err
	w.mu.pending, w.mu.err = nil, nil
	return ev, err
}

// union adds the ids of b to a that it has not. An account has few mailboxes
// that change between two looks.
func union(a, b []uint64) []uint64 {
	seen := make(map[uint64]bool, len(a))
	for _, id := range a {
		seen[id] = true
	}
	for _, id := range b {
		if !seen[id] {
			seen[id] = true
			a = append(a, id)
		}
	}
	return a
}
