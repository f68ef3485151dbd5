package raftfsm

import (
	"fmt"
	"slices"

	"github.com/cockroachdb/pebble/v2"
	"google.golang.org/protobuf/proto"

	"github.com/quorumail/quorumail/proto/imapnum"
	pb "github.com/quorumail/quorumail/proto/quorumail/v1"
	"github.com/quorumail/quorumail/raftfsm/keys"
)

// tx is one ApplyBatch under way: a Pebble batch that reads see through, and
// the counters and mailbox records that it has opened, written once at the end.
type tx struct {
	f        *FSM
	b        *pebble.Batch
	applied  appliedRecord
	cache    *indexCache
	accounts map[string]*account
	// order is the accounts in the order in which they were opened: what is done
	// for each must not depend on the order of a map.
	order []*account
}

// account is an account that the batch has to do with.
type account struct {
	name   string
	space  keys.Space
	exists bool
	rec    accountRecord
	dirty  bool // rec is to be written
	// boxes are the mailboxes opened, nil for those known not to exist.
	boxes map[imapnum.MailboxID]*mailbox
	// names are those of mailboxes that were looked up, and sessions the last results
	// of sessions.
	names    map[string]imapnum.MailboxID
	sessions map[string]rememberedRecord
	// stages is how often it was asked whether a body is being staged, or stagesNothing.
	stages int32
	// actor is on whose behalf the current entry is; empty: the owner's.
	actor string
	// modSeq is what the current entry has taken, 0 if it has not yet.
	modSeq imapnum.ModSeq

	changed  map[imapnum.MailboxID]bool
	list     bool // the set of mailboxes or subscriptions changed
	metadata bool // annotations changed
	touched  bool // something worth telling changed
	deleted  bool
}

// mailbox is a mailbox that the batch has to do with.
type mailbox struct {
	id    imapnum.MailboxID
	info  *pb.MailboxInfo // subscribed is not kept here
	dirty bool
	index *index // nil while not needed and not cached
	own   bool   // index is a copy of the batch's own
	// changes is how many messages have come, gone or got other flags, about.
	changes int
}

func newTx(f *FSM) *tx {
	f.mu.RLock()
	defer f.mu.RUnlock()
	return &tx{
		f: f, b: f.db.NewIndexedBatch(), applied: f.mu.applied, cache: f.mu.cache, accounts: make(map[string]*account),
	}
}

// close gives the batch back, committed or not.
func (tx *tx) close() { _ = tx.b.Close() } // there is nothing to undo

func (tx *tx) set(key, value []byte) error { return tx.b.Set(key, value, nil) }
func (tx *tx) del(key []byte) error        { return tx.b.Delete(key, nil) }

// delRange removes what is in [start, end).
func (tx *tx) delRange(start, end []byte) error { return tx.b.DeleteRange(start, end, nil) }

// scan calls fn for each key in [start, end) until it returns false. fn must
// not write: it sees the batch as it was.
func (tx *tx) scan(start, end []byte, fn func(key, value []byte) (bool, error)) error {
	return scan(tx.b, start, end, fn)
}

func scan(r pebble.Reader, start, end []byte, fn func(key, value []byte) (bool, error)) error {
	it, err := r.NewIter(&pebble.IterOptions{LowerBound: start, UpperBound: end})
	if err != nil {
		return err
	}
	for ok := it.First(); ok; ok = it.Next() {
		value, err := it.ValueAndErr()
		if err != nil {
			_ = it.Close() // err tells more
			return err
		}
		more, err := fn(it.Key(), value)
		if err != nil {
			_ = it.Close() // err tells more
			return err
		}
		if !more {
			break
		}
	}
	if err := it.Error(); err != nil {
		_ = it.Close() // err tells more
		return err
	}
	return it.Close()
}

// scanKeys does the same as scan without reading the values.
func scanKeys(r pebble.Reader, start, end []byte, fn func(key []byte) (bool, error)) (err error) {
	it, err := r.NewIter(&pebble.IterOptions{LowerBound: start, UpperBound: end})
	if err != nil {
		return err
	}
	defer func() {
		if e := it.Close(); err == nil {
			err = e
		}
	}()
	for ok := it.First(); ok; ok = it.Next() {
		if more, err := fn(it.Key()); err != nil || !more {
			return err
		}
	}
	return it.Error()
}

// account opens an account; it may not exist.
func (tx *tx) account(name string) (*account, error) {
	if a, ok := tx.accounts[name]; ok {
		a.modSeq = 0
		return a, nil
	}
	if a := tx.f.hot.get(name); a != nil {
		tx.accounts[name] = a
		tx.order = append(tx.order, a)
		return a, nil
	}
	a := &account{
		name: name, space: keys.ForAccount(tx.f.cfg.Shard, name), rec: accountRecord{quota: &quotaRecord{}},
		changed: make(map[imapnum.MailboxID]bool), sessions: make(map[string]rememberedRecord),
	}
	a.forgetMailboxes()
	value, err := get(tx.b, a.space.Key(keys.Account))
	if err != nil {
		return nil, err
	}
	if value != nil {
		if a.rec, err = decodeAccount(value); err != nil {
			return nil, err
		}
		a.exists = !a.rec.deleted
	}
	if err := countUsage(tx.b, a.space, &a.rec); err != nil {
		return nil, err
	}
	tx.accounts[name] = a
	tx.order = append(tx.order, a)
	return a, nil
}

// take gives the current entry its modseq: the same for all that it changes.
func (a *account) take() imapnum.ModSeq {
	if a.modSeq == 0 {
		a.rec.modSeq++
		a.modSeq = a.rec.modSeq
		a.dirty, a.touched = true, true
	}
	return a.modSeq
}

// mailboxByID opens a mailbox; nil if it does not exist.
func (tx *tx) mailboxByID(a *account, id imapnum.MailboxID) (*mailbox, error) {
	if m, ok := a.boxes[id]; ok {
		return m, nil
	}
	value, err := get(tx.b, a.space.ID(keys.Mailbox, uint64(id)))
	if err != nil {
		return nil, err
	}
	var m *mailbox
	if value != nil {
		m = &mailbox{id: id, info: &pb.MailboxInfo{}}
		if err := proto.Unmarshal(value, m.info); err != nil {
			return nil, fmt.Errorf("mailbox %d: %w", id, errCorrupt)
		}
	}
	a.boxes[id] = m
	return m, nil
}

// mailboxByName opens a mailbox; nil if it does not exist.
func (tx *tx) mailboxByName(a *account, name string) (*mailbox, error) {
	id, ok := a.names[name]
	if !ok {
		value, err := get(tx.b, a.space.Bytes(keys.Name, []byte(name)))
		if err != nil || value == nil {
			return nil, err
		}
		n, err := decodeUint(value)
		if err != nil {
			return nil, err
		}
		id = imapnum.MailboxID(n)
		a.names[name] = id
	}
	m, err := tx.mailboxByID(a, id)
	if err == nil && m == nil {
		err = fmt.Errorf("name %q of mailbox %d: %w", name, id, errCorrupt)
	}
	return m, err
}

// touch marks a mailbox as changed by the current entry and returns its modseq.
// The index, if there is one, becomes the batch's own.
func (tx *tx) touch(a *account, m *mailbox) imapnum.ModSeq {
	if m.index == nil {
		m.index = tx.cache.get(cacheKey{a.name, m.id}, imapnum.ModSeq(m.info.GetHighestModSeq()))
	}
	if m.index != nil && !m.own {
		m.index, m.own = m.index.clone(), true
	}
	modSeq := a.take()
	m.info.HighestModSeq = uint64(modSeq)
	m.dirty = true
	a.changed[m.id] = true
	return modSeq
}

// indexOf returns the index of a mailbox as the batch sees it, building it if it
// is not in memory.
func (tx *tx) indexOf(a *account, m *mailbox) (*index, error) {
	if m.index == nil {
		m.index = tx.cache.get(cacheKey{a.name, m.id}, imapnum.ModSeq(m.info.GetHighestModSeq()))
	}
	if m.index == nil {
		built, _, err := loadIndex(tx.b, tx.f.cfg.Shard, a.name, a.space, m.id, m.info)
		if err != nil {
			return nil, err
		}
		m.index, m.own = built, true
	}
	return m.index, nil
}

// commit writes everything at once and lets it be seen.
func (tx *tx) commit() error {
	for _, a := range tx.order {
		if err := tx.flush(a); err != nil {
			return err
		}
	}
	if err := tx.set(keys.Applied(tx.f.cfg.Shard), tx.applied.encode()); err != nil {
		return err
	}
	if err := tx.b.Commit(pebble.NoSync); err != nil {
		return err
	}
	for _, a := range tx.order {
		for id, m := range a.boxes {
			if m == nil {
				continue
			}
			key := cacheKey{a.name, id}
			if m.own {
				tx.cache.put(key, imapnum.ModSeq(m.info.GetHighestModSeq()), m.index)
			}
			if m.changes > 0 {
				tx.f.summaries.count(key, m.info.GetExists(), m.changes)
			}
		}
	}
	tx.f.mu.Lock()
	tx.f.mu.applied = tx.applied
	tx.f.mu.Unlock()
	tx.tell()
	for _, a := range tx.order {
		tx.f.hot.put(a)
	}
	return tx.f.checkAfter(tx)
}

// flush writes the counters and mailbox records of an account.
func (tx *tx) flush(a *account) error {
	if a.dirty {
		if err := tx.set(a.space.Key(keys.Account), a.rec.encode()); err != nil {
			return err
		}
		a.dirty = false
	}
	ids := make([]imapnum.MailboxID, 0, len(a.boxes))
	for id, m := range a.boxes {
		if m != nil && m.dirty {
			ids = append(ids, id)
		}
	}
	slices.Sort(ids)
	for _, id := range ids {
		value, err := marshal(a.boxes[id].info)
		if err != nil {
			return err
		}
		if err := tx.set(a.space.ID(keys.Mailbox, uint64(id)), value); err != nil {
			return err
		}
		a.boxes[id].dirty = false
	}
	return nil
}

// tell calls OnChange for each account that changed.
func (tx *tx) tell() {
	if tx.f.cfg.OnChange == nil {
		return
	}
	for _, a := range tx.order {
		if !a.touched {
			continue
		}
		c := Change{
			Account: a.name, AppliedIndex: tx.applied.index, ModSeq: a.rec.modSeq,
			MailboxList: a.list, Metadata: a.metadata, Deleted: a.deleted,
		}
		for id := range a.changed {
			c.Mailboxes = append(c.Mailboxes, id)
		}
		slices.Sort(c.Mailboxes)
		tx.f.cfg.OnChange(c)
	}
}
