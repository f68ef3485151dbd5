package session

import (
	"math"
	"slices"
	"sync"

	"github.com/quorumail/quorumail/proto/imapnum"
	pb "github.com/quorumail/quorumail/proto/quorumail/v1"
)

// watch is told by storage when there may be something new, and wakes the
// connection. It has no goroutine of its own.
type watch struct {
	stop func() // to be called once
	mu   struct {
		sync.Mutex
		news   bool
		modSeq uint64 // of the account, when it was last told of
	}
}

// watchFor starts a watch of an account for the events that are of concern.
func (c *Conn) watchFor(store Store, since uint64, concerns func(*pb.WatchResponse) bool) *watch {
	w := &watch{}
	log := c.log
	w.stop = store.Watch(since, func(e *pb.WatchResponse, err error) {
		modSeq := e.GetModSeq()
		switch {
		case err != nil:
			// The account is gone: what comes next will find that out.
			log.Warn("watch ended", "error", err)
			modSeq = math.MaxUint64
		case !concerns(e):
			return
		}
		w.mu.Lock()
		w.mu.news, w.mu.modSeq = true, max(w.mu.modSeq, modSeq)
		w.mu.Unlock()
		c.in.wake()
	})
	return w
}

// watchMailbox starts a watch of store's account for changes of a mailbox.
func (c *Conn) watchMailbox(store Store, mailboxID, since uint64) *watch {
	return c.watchFor(store, since, func(e *pb.WatchResponse) bool {
		// A change of the list may be that the mailbox has been deleted.
		return e.GetMailboxList() || slices.Contains(e.GetMailboxIds(), mailboxID)
	})
}

// news reports whether anything may have happened since it was last asked that is
// above what has been taken.
func (w *watch) news(taken imapnum.ModSeq) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	news := w.mu.news
	w.mu.news = false
	return news && w.mu.modSeq > uint64(taken)
}

// again notes that what was to be seen could not be.
func (w *watch) again() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.mu.news = true
}
