package raftfsm

import (
	"container/list"
	"sync"

	"github.com/quorumail/quorumail/proto/imapnum"
)

// defaultIndexes is how many octets an [FSM] has for indexes that shares them with no
// other.
const defaultIndexes = 64 << 20

// IndexCache holds the indexes of mailboxes lately used, of all state machines that
// share it, within a number of octets. It is safe for concurrent use.
type IndexCache struct {
	max int64
	mu  struct {
		sync.Mutex
		size  int64
		eras  uint64
		byKey map[sharedKey]*list.Element // of *cached
		lru   list.List                   // most recent first
	}
}

// sharedKey is a mailbox of a state machine in one era.
type sharedKey struct {
	era uint64
	cacheKey
}

type cacheKey struct {
	account string
	mailbox imapnum.MailboxID
}

type cached struct {
	key    sharedKey
	modSeq imapnum.ModSeq
	index  *index
	size   int64
}

// NewIndexCache makes a cache of some octets, about. The one used last is held even if
// it is larger.
func NewIndexCache(octets int64) *IndexCache {
	c := &IndexCache{max: octets}
	c.mu.byKey = make(map[sharedKey]*list.Element)
	return c
}

// indexCache is the part of an IndexCache that one state machine has until an Import.
// An index is exact for one HIGHESTMODSEQ of its mailbox, since every change of a
// mailbox raises it: so a View finds the index of its own state, or none, and never
// another's.
type indexCache struct {
	shared *IndexCache
	era    uint64
}

// part returns a new part.
func (c *IndexCache) part() *indexCache {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.mu.eras++
	return &indexCache{c, c.mu.eras}
}

// get returns the index of a mailbox at a HIGHESTMODSEQ, nil if it is not held.
func (p *indexCache) get(key cacheKey, modSeq imapnum.ModSeq) *index {
	c := p.shared
	c.mu.Lock()
	defer c.mu.Unlock()
	e, ok := c.mu.byKey[sharedKey{p.era, key}]
	if !ok || e.Value.(*cached).modSeq != modSeq {
		return nil
	}
	c.mu.lru.MoveToFront(e)
	return e.Value.(*cached).index
}

// put keeps an index, unless one of a later state is held.
func (p *indexCache) put(key cacheKey, modSeq imapnum.ModSeq, x *index) {
	size := x.size()
	c := p.shared
	c.mu.Lock()
	defer c.mu.Unlock()
	shared := sharedKey{p.era, key}
	e, ok := c.mu.byKey[shared]
	if !ok {
		e = c.mu.lru.PushFront(&cached{key: shared})
		c.mu.byKey[shared] = e
	}
	if held := e.Value.(*cached); held.modSeq <= modSeq {
		c.mu.size += size - held.size
		held.modSeq, held.index, held.size = modSeq, x, size
	}
	c.mu.lru.MoveToFront(e)
	for c.mu.size > c.max && c.mu.lru.Len() > 1 {
		c.drop(c.mu.lru.Back())
	}
}

// drop forgets an index. The cache is locked.
func (c *IndexCache) drop(e *list.Element) {
	held := c.mu.lru.Remove(e).(*cached)
	delete(c.mu.byKey, held.key)
	c.mu.size -= held.size
}

// close forgets all of the part's indexes.
func (p *indexCache) close() {
	c := p.shared
	c.mu.Lock()
	defer c.mu.Unlock()
	for key, e := range c.mu.byKey {
		if key.era == p.era {
			c.drop(e)
		}
	}
}
