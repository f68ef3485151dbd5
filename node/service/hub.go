package service

import (
	"slices"
	"sync"

	pb "github.com/quorumail/quorumail/proto/quorumail/v1"
	"github.com/quorumail/quorumail/raftfsm"
)

// Hub tells the watches of a shard what its state machine has changed. Safe for
// concurrent use.
type Hub struct {
	mu struct {
		sync.Mutex
		byAccount map[string]map[*watch]struct{}
	}
}

// NewHub returns a hub without watches.
func NewHub() *Hub {
	h := &Hub{}
	h.mu.byAccount = make(map[string]map[*watch]struct{})
	return h
}

// Changed is for raftfsm.Config.OnChange: it does not wait for anybody.
func (h *Hub) Changed(c raftfsm.Change) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for w := range h.mu.byAccount[c.Account] {
		w.put(c)
	}
}

func (h *Hub) join(account string, w *watch) {
	h.mu.Lock()
	defer h.mu.Unlock()
	set, ok := h.mu.byAccount[account]
	if !ok {
		set = make(map[*watch]struct{})
		h.mu.byAccount[account] = set
	}
	set[w] = struct{}{}
}

func (h *Hub) leave(account string, w *watch) {
	h.mu.Lock()
	defer h.mu.Unlock()
	set := h.mu.byAccount[account]
	delete(set, w)
	if len(set) == 0 {
		delete(h.mu.byAccount, account)
	}
}

// watch is one account that a stream watches. Its fields are guarded by the
// stream's lock.
type watch struct {
	stream  *watchStream
	id      uint64
	account string
	hub     *Hub // of the receiving goroutine; nil: not joined

	told    uint64            // account modseq that the client has seen or is about to
	pending *pb.WatchResponse // merged; nil: nothing
	// opening: the state from which the watch starts has not been read yet. Until
	// then nothing is sent: an event raises told past what the state would tell.
	opening bool
}

// put merges a change into what the client has not been sent yet.
func (w *watch) put(c raftfsm.Change) {
	s := w.stream
	s.mu.Lock()
	defer s.mu.Unlock()
	w.mergeLocked(c)
}

// open merges the state that the watch starts from, which may be older than what
// the hub has told since it was joined, and lets the first event go. A state
// without a modseq has nothing new.
func (w *watch) open(c raftfsm.Change) {
	s := w.stream
	s.mu.Lock()
	defer s.mu.Unlock()
	w.mergeLocked(c)
	w.openLocked()
}

func (w *watch) openLocked() {
	if w.opening && w.pending != nil {
		w.readyLocked()
	}
	w.opening = false
}

func (w *watch) mergeLocked(c raftfsm.Change) {
	if c.Deleted {
		w.pendingLocked().Error = &pb.ErrorDetail{Kind: pb.ErrorDetail_KIND_NO_ACCOUNT}
		return
	}
	// A replica that is behind goes through a past that the client knows.
	if uint64(c.ModSeq) <= w.told || w.pending.GetError() != nil {
		return
	}
	p := w.pendingLocked()
	p.ModSeq = max(p.GetModSeq(), uint64(c.ModSeq))
	p.AppliedIndex = max(p.GetAppliedIndex(), c.AppliedIndex)
	p.MailboxList = p.GetMailboxList() || c.MailboxList
	p.Metadata = p.GetMetadata() || c.Metadata
	// At most as many as the account has mailboxes; sorted, to find them.
	for _, id := range c.Mailboxes {
		if at, found := slices.BinarySearch(p.MailboxIds, uint64(id)); !found {
			p.MailboxIds = slices.Insert(p.MailboxIds, at, uint64(id))
		}
	}
}

// fail makes an error the last event of the watch.
func (w *watch) fail(d *pb.ErrorDetail) {
	w.stream.mu.Lock()
	defer w.stream.mu.Unlock()
	w.pendingLocked().Error = d
	w.openLocked()
}

// leave ends what the hub tells the watch.
func (w *watch) leave() {
	if w.hub != nil {
		w.hub.leave(w.account, w)
		w.hub = nil
	}
}

func (w *watch) pendingLocked() *pb.WatchResponse {
	if w.pending == nil {
		w.pending = &pb.WatchResponse{WatchId: w.id}
		if !w.opening {
			w.readyLocked()
		}
	}
	return w.pending
}

func (w *watch) readyLocked() {
	w.stream.mu.ready = append(w.stream.mu.ready, w)
	w.stream.wakeLocked()
}

// Reset ends all watches, to be begun anew: the state has leapt.
func (h *Hub) Reset() {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, set := range h.mu.byAccount {
		for w := range set {
			w.fail(&pb.ErrorDetail{Kind: pb.ErrorDetail_KIND_NOT_READY})
		}
	}
}
