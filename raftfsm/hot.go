package raftfsm

import (
	"container/list"

	"github.com/quorumail/quorumail/proto/imapnum"
)

const (
	// hotAccounts is how many accounts' records are held.
	hotAccounts = 256
	// hotMailboxes and hotSessions bound what is held of one account.
	hotMailboxes = 64
	hotSessions  = 64
)

// hot holds the records of accounts that were lately written to, with their
// mailboxes, names and sessions, as they are in the store: nearly every entry needs
// them, and to look up a key costs more than to write one. Nobody but Apply writes
// these records, so nobody else need be told. It is the apply goroutine's.
type hot struct {
	byName map[string]*list.Element // of *account
	lru    list.List                // most recent first
}

func newHot() *hot { return &hot{byName: make(map[string]*list.Element)} }

// get returns an account that no batch has to do with, nil if it is not held.
func (h *hot) get(name string) *account {
	e, ok := h.byName[name]
	if !ok {
		return nil
	}
	h.lru.MoveToFront(e)
	return e.Value.(*account)
}

// put keeps an account as a batch has left it, all of it written.
func (h *hot) put(a *account) {
	a.rest()
	if e, ok := h.byName[a.name]; ok {
		e.Value = a
		h.lru.MoveToFront(e)
		return
	}
	h.byName[a.name] = h.lru.PushFront(a)
	if h.lru.Len() > hotAccounts {
		last := h.lru.Back()
		h.lru.Remove(last)
		delete(h.byName, last.Value.(*account).name)
	}
}

// rest forgets what is one batch's.
func (a *account) rest() {
	a.actor, a.modSeq = "", 0
	a.list, a.metadata, a.touched, a.deleted = false, false, false, false
	clear(a.changed)
	if len(a.boxes) > hotMailboxes {
		clear(a.boxes)
	}
	if len(a.names) > hotMailboxes {
		clear(a.names)
	}
	if len(a.sessions) > hotSessions {
		clear(a.sessions)
	}
	for _, m := range a.boxes {
		if m != nil {
			m.index, m.own, m.changes = nil, false, 0
		}
	}
}

// forgetMailboxes forgets which mailboxes there are.
func (a *account) forgetMailboxes() {
	a.boxes, a.names = make(map[imapnum.MailboxID]*mailbox), make(map[string]imapnum.MailboxID)
}
