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

// pending reports what news would, and leaves it to be asked for.
func (w *watch) pending(taken imapnum.ModSeq) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.mu.news && w.mu.modSeq > uint64(taken)
}

// again notes that what was to be seen could not be.
func (w *watch) again() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.mu.news = true
}

// scope is which mailboxes of an account a watch is for: of another user's account
// most may be none of the client's. Safe for concurrent use.
type scope struct {
	annotated bool // their annotations are of concern, too; set before there are events
	mu        struct {
		sync.Mutex
		ids         []uint64 // ascending
		passed      uint64   // the highest modseq of an event that was of none of them
		annotations bool     // those that can be read may be others than before
	}
}

// concerns reports whether an event is of one of the mailboxes, or of which there
// are and what may be done with them, or of annotations.
func (s *scope) concerns(e *pb.WatchResponse) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	annotations := s.annotated && e.GetMetadata()
	s.mu.annotations = s.mu.annotations || annotations
	if e.GetMailboxList() || annotations {
		return true
	}
	for _, id := range e.GetMailboxIds() {
		if _, found := slices.BinarySearch(s.mu.ids, id); found {
			return true
		}
	}
	s.mu.passed = max(s.mu.passed, e.GetModSeq())
	return false
}

// set makes the scope the readable mailboxes of a listing. It reports whether an
// event was passed over that is later: it may have been of a mailbox that was not
// in the scope yet.
func (s *scope) set(l *listing) (missed bool) {
	ids := make([]uint64, 0, len(l.boxes))
	for i := range l.boxes {
		if !l.boxes[i].denied {
			ids = append(ids, l.boxes[i].id)
		}
	}
	slices.Sort(ids)
	s.mu.Lock()
	defer s.mu.Unlock()
	differ := !slices.Equal(ids, s.mu.ids)
	s.mu.ids = ids
	s.mu.annotations = s.mu.annotations || s.annotated && differ
	return s.mu.passed > l.modSeq && differ
}

// annotationsPending reports whether annotations are to be read.
func (s *scope) annotationsPending() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.mu.annotations
}

// setAnnotations notes that annotations are to be read, or that they are about to be.
func (s *scope) setAnnotations(pending bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.mu.annotations = pending
}
