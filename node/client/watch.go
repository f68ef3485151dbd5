package client

import (
	"context"
	"errors"
	"sync"
	"time"

	pb "github.com/quorumail/quorumail/proto/quorumail/v1"
)

// Watch has fn called whenever the account has moved past what was last told,
// starting from since, until stop is called. Breaks are mended inside without
// missing or repeating a state. Before fn is called the session's token has been
// raised to the event's index. If the account is gone fn is called with
// ErrNoAccount, for the last time.
//
// A watch costs no goroutine: fn is called by the one that serves the whole
// shard, so it must return at once; waking somebody is what it is for. Calls
// never overlap, and there are none once stop has returned. fn must not call
// stop.
func (s *Session) Watch(since uint64, fn func(*pb.WatchResponse, error)) (stop func()) {
	w := &watch{s: s, fn: fn}
	w.mu.since, w.mu.pause = since, backoffMin
	shard, known := s.c.routes.shardOf(s.slot)
	if !known || !w.join(shard) {
		w.search(nil)
	}
	return w.stop
}

// watch is one call of Session.Watch: either it is of a shard's stream, or a
// goroutine looks for one, or it has ended.
type watch struct {
	s  *Session
	fn func(*pb.WatchResponse, error)

	// Never taken by one who holds the client's or a stream's lock.
	mu struct {
		sync.Mutex
		since  uint64 // account modseq up to which fn has been told
		ended  bool
		shard  uint32             // of whose stream it is; 0: none
		cancel context.CancelFunc // ends the search for one; nil: there is none
		pause  time.Duration      // before the next search, since nothing has come
	}
}

// since is from where a stream has to go on.
func (w *watch) since() uint64 {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.mu.since
}

// put tells of an event. Events at or below what has been told are dropped: a
// replica that is behind may tell of the past.
func (w *watch) put(shard uint32, ev *pb.WatchResponse) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.mu.ended || ev.GetModSeq() <= w.mu.since {
		return
	}
	w.mu.since, w.mu.pause = ev.GetModSeq(), backoffMin
	w.s.raise(shard, ev.GetAppliedIndex())
	w.fn(ev, nil)
}

// fail takes the watch off its stream, which has no more to tell of it.
func (w *watch) fail(err error) {
	w.mu.Lock()
	shard := w.mu.shard
	w.mu.shard = 0
	w.mu.Unlock()
	if shard == 0 {
		return
	}
	w.s.c.leave(shard, w)
	if errors.Is(err, ErrInvalid) {
		w.end(err)
		return
	}
	w.search(err)
}

// end tells of an error, for the last time.
func (w *watch) end(err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if !w.mu.ended {
		w.mu.ended = true
		w.fn(nil, err)
	}
}

// stop ends the watch.
func (w *watch) stop() {
	w.mu.Lock()
	shard := w.mu.shard
	w.mu.ended, w.mu.shard = true, 0
	if w.mu.cancel != nil {
		w.mu.cancel()
	}
	w.mu.Unlock()
	if shard != 0 {
		w.s.c.leave(shard, w)
	}
}

// join makes the watch one of a shard's stream. It reports whether no more is to
// be done, which is also so if nobody wants it any more.
func (w *watch) join(shard uint32) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.mu.ended {
		return true
	}
	if !w.s.c.join(shard, w) {
		return false
	}
	w.mu.shard = shard
	return true
}

// search looks for the account's shard, in a goroutine that ends once it is
// found; cause is why it is not where it was.
func (w *watch) search(cause error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.mu.ended {
		return
	}
	ctx, cancel := context.WithCancel(w.s.c.ctx)
	pause := w.mu.pause
	w.mu.pause = min(2*pause, backoffMax)
	started := w.s.c.goroutine(func() {
		defer cancel()
		w.find(ctx, cause, pause)
	})
	if !started {
		cancel() // the client is closed, and nothing more will come
		return
	}
	w.mu.cancel = cancel
}

func (w *watch) find(ctx context.Context, cause error, pause time.Duration) {
	for cause != nil {
		if !sleep(ctx, jitter(pause)) {
			return
		}
		if cause == errMoved {
			break // the map may lag behind the node that sent us away
		}
		// The replica may lag: it has not seen the account yet. If the leader has,
		// the session knows from when on.
		err := w.s.exists(ctx)
		if errors.Is(err, ErrNoAccount) || errors.Is(err, ErrNoMailbox) {
			w.end(ErrNoAccount)
			return
		}
		if err == nil {
			break
		}
		pause = min(2*pause, backoffMax)
	}
	// It fails when the watch or the client has ended; and so does join.
	if shard, _, err := w.s.c.routes.find(ctx, w.s.slot); err == nil {
		w.join(shard)
	}
}

// exists asks the account's leader whether there is such an account: the error is
// ErrNoAccount if not, ErrNoMailbox for another's than the owner's session. The
// account's record is for its owner alone.
func (s *Session) exists(ctx context.Context) error {
	if s.actor == "" {
		_, err := s.GetAccount(ctx)
		return err
	}
	_, err := s.ListMailboxes(ctx)
	return err
}
