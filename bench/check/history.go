package check

import (
	"cmp"
	"slices"
	"sync"
	"time"
)

// Never is the end of a command that was not answered.
const Never = time.Duration(1<<63 - 1)

// Span is when a command was under way: since some moment that all clients
// share, by a clock that does not go back.
type Span struct{ Start, End time.Duration }

// Acked reports whether the command was answered OK.
func (s Span) Acked() bool { return s.End != Never }

// Before reports whether s was over when t began.
func (s Span) Before(t Span) bool { return s.End < t.Start }

// Append is an APPEND, or a delivery, of one message.
type Append struct {
	Span
	MessageID string
	// UIDValidity and UID are those of APPENDUID; 0 if there was none.
	UIDValidity, UID uint32
}

// Store is a STORE of one flag on one message. For each flag of each message one
// client at a time may store.
type Store struct {
	Span
	UID  uint32
	Flag string
	Set  bool // +FLAGS, else -FLAGS
	// ModSeq is the one that was told; 0 if none was.
	ModSeq uint64
}

// Expunge is a UID EXPUNGE of messages that have \Deleted.
type Expunge struct {
	Span
	UIDs []uint32
}

// Numbers is what a client was told of a mailbox; 0 stands for what it was not.
type Numbers struct {
	Span
	// Conn names the connection.
	Conn string
	// Fresh: the answer of a SELECT or STATUS, which must know of everything that
	// anybody was told before it began.
	Fresh         bool
	UIDValidity   uint32
	UIDNext       uint32
	HighestModSeq uint64
}

// History is what clients did to one mailbox. Its Add methods may be called from
// several goroutines.
type History struct {
	mu       sync.Mutex
	appends  []Append
	stores   []Store
	expunges []Expunge
	numbers  []Numbers
}

// AddAppend adds what an append came to.
func (h *History) AddAppend(a Append) { add(h, &h.appends, a) }

// AddStore adds what a store came to.
func (h *History) AddStore(s Store) { add(h, &h.stores, s) }

// AddExpunge adds what an expunge came to.
func (h *History) AddExpunge(e Expunge) { add(h, &h.expunges, e) }

// AddNumbers adds what a client was told.
func (h *History) AddNumbers(n Numbers) { add(h, &h.numbers, n) }

func add[T any](h *History, list *[]T, v T) {
	h.mu.Lock()
	defer h.mu.Unlock()
	*list = append(*list, v)
}

// Counts tells how much a history holds: commands that were answered, and those
// that were not.
func (h *History) Counts() (acked, open int) {
	h.mu.Lock()
	defer h.mu.Unlock()
	count := func(s Span) {
		if s.Acked() {
			acked++
		} else {
			open++
		}
	}
	for _, a := range h.appends {
		count(a.Span)
	}
	for _, s := range h.stores {
		count(s.Span)
	}
	for _, e := range h.expunges {
		count(e.Span)
	}
	return acked, open
}

// Check judges the history by what the mailbox holds after it, Message-IDs
// included. No client may be at work meanwhile.
func (h *History) Check(final *Mailbox) []Violation {
	h.mu.Lock()
	defer h.mu.Unlock()
	return slices.Concat(
		h.checkNumbers(final),
		h.checkUIDs(final),
		h.checkAppends(final),
		h.checkExpunges(final),
		h.checkStores(final),
	)
}

// byStart returns a copy in order of the start of spans.
func byStart[T any](list []T, span func(T) Span) []T {
	sorted := slices.Clone(list)
	slices.SortStableFunc(sorted, func(a, b T) int { return cmp.Compare(span(a).Start, span(b).Start) })
	return sorted
}
