package raftfsm

import (
	"bytes"
	"errors"
	"fmt"

	"github.com/cockroachdb/pebble/v2"
	"google.golang.org/protobuf/proto"

	"github.com/quorumail/quorumail/proto/imapnum"
	pb "github.com/quorumail/quorumail/proto/quorumail/v1"
	"github.com/quorumail/quorumail/raftfsm/keys"
)

// ErrInvariant says that stored records contradict each other.
var ErrInvariant = errors.New("invariant broken")

// Check verifies the invariants of one account on a view of its own; see
// [View.Check].
func (f *FSM) Check(account string) error {
	v, err := f.View()
	if err != nil {
		return err
	}
	defer func() { _ = v.Close() }() // nothing was written
	return v.Check(account)
}

// Check verifies the invariants of one account: that each mailbox's counts, change
// index, expunge queue and bitmaps agree with its message records, that its quota's
// usage is the sum of what there is, and that each content record counts its
// references and has its whole body. What contradicts itself is ErrInvariant. It
// reads the whole account.
func (v *View) Check(account string) error {
	a, err := v.Account(account)
	if err != nil {
		return err
	}
	c := &checker{a: a, refs: make(map[uint64]uint64), threads: make(map[uint64]uint64)}
	if err := c.run(); err != nil {
		return fmt.Errorf("raftfsm: check: account %q: %w", account, err)
	}
	return nil
}

type checker struct {
	a    *Account
	refs map[uint64]uint64
	// threads are those that the records say of each email.
	threads map[uint64]uint64
}

func (c *checker) run() error {
	infos, _, err := c.a.Mailboxes()
	if err != nil {
		return err
	}
	if int(c.a.rec.mailboxes) != len(infos) {
		return fmt.Errorf("%w: %d mailboxes, counted %d", ErrInvariant, len(infos), c.a.rec.mailboxes)
	}
	for _, info := range infos {
		m, err := c.a.MailboxByID(imapnum.MailboxID(info.GetId()))
		if err != nil {
			return err
		}
		if err := c.mailbox(m); err != nil {
			return fmt.Errorf("mailbox %q: %w", info.GetName(), err)
		}
	}
	if err := c.quota(infos); err != nil {
		return err
	}
	if err := c.metadata(); err != nil {
		return err
	}
	if err := c.acls(); err != nil {
		return err
	}
	return c.references()
}

// mailbox checks the counts, the change index and the expunge queue.
func (c *checker) mailbox(m *Mailbox) error {
	space, snap := c.a.space, c.a.v.snap
	sum := &mailbox{info: &pb.MailboxInfo{RecentUid: m.info.GetRecentUid()}}
	modSeqs := make(map[imapnum.UID]imapnum.ModSeq)
	var uids imapnum.SetBuilder
	err := scanMessages(snap, space, keys.Message, m.id, imapnum.SetOfRange(1, 1<<32-1), func(msg message) (bool, error) {
		uids.Add(msg.uid)
		modSeqs[msg.uid] = msg.rec.modSeq
		sum.count(msg.uid, &msg.rec, 1)
		for _, k := range msg.rec.keywords {
			if int(k) >= len(m.info.GetKeywords()) {
				return false, fmt.Errorf("%w: keyword %d of message %d", ErrInvariant, k, msg.uid)
			}
		}
		return true, nil
	})
	if err != nil {
		return err
	}
	want := proto.CloneOf(m.info)
	want.Exists, want.Unseen, want.Deleted = sum.info.GetExists(), sum.info.GetUnseen(), sum.info.GetDeleted()
	want.Recent = sum.info.GetRecent()
	want.Size, want.DeletedSize = sum.info.GetSize(), sum.info.GetDeletedSize()
	set := uids.Set()
	switch {
	case !proto.Equal(want, m.info):
		return fmt.Errorf("%w: counts are %v, should be %v", ErrInvariant, m.info, want)
	case m.info.GetHighestModSeq() == 0 || m.info.GetHighestModSeq() > uint64(c.a.rec.modSeq):
		return fmt.Errorf("%w: HIGHESTMODSEQ %d, account's clock %d", ErrInvariant, m.info.GetHighestModSeq(), c.a.rec.modSeq)
	case m.info.GetRecentUid() > m.info.GetUidNext():
		return fmt.Errorf("%w: messages from UID %d on are recent, UIDNEXT %d", ErrInvariant, m.info.GetRecentUid(), m.info.GetUidNext())
	case uint32(set.Max()) >= m.info.GetUidNext():
		return fmt.Errorf("%w: UID %d, UIDNEXT %d", ErrInvariant, set.Max(), m.info.GetUidNext())
	}
	if err := c.bitmaps(m); err != nil {
		return err
	}
	return c.history(m, set, modSeqs)
}

// bitmaps checks the index that is held, and what the stored summary makes of it.
func (c *checker) bitmaps(m *Mailbox) error {
	v := c.a.v
	built, err := buildIndex(v.snap, c.a.space, m.id)
	if err != nil {
		return err
	}
	loaded, _, err := loadIndex(v.snap, v.f.cfg.Shard, c.a.name, c.a.space, m.id, m.info)
	if err != nil {
		return err
	}
	if what := loaded.differs(built); what != "" {
		return fmt.Errorf("%w: %s, of the stored summary", ErrInvariant, what)
	}
	if held := v.cache.get(cacheKey{c.a.name, m.id}, imapnum.ModSeq(m.info.GetHighestModSeq())); held != nil {
		if what := held.differs(built); what != "" {
			return fmt.Errorf("%w: %s", ErrInvariant, what)
		}
	}
	return nil
}

// differs names a bitmap that is another than in y; empty if none is.
func (x *index) differs(y *index) string {
	if !x.uids.Equals(y.uids) {
		return "UID bitmap"
	}
	if !x.all().Equal(y.all()) {
		return "ranges of UIDs"
	}
	for i := range max(len(x.words), len(y.words)) {
		if !x.word(i).Equals(y.word(i)) {
			return fmt.Sprintf("bitmap of keyword %d", i)
		}
	}
	for i := range x.flags {
		if !x.flags[i].Equals(y.flags[i]) {
			return fmt.Sprintf("bitmap of flag %d", i)
		}
	}
	return ""
}

// history checks that each message stands once in the change index, and that
// each UID that was given and is gone can be told to a client that knows it.
func (c *checker) history(m *Mailbox, uids imapnum.Set, modSeqs map[imapnum.UID]imapnum.ModSeq) error {
	space := c.a.space
	start, end := space.Mailbox(keys.Change, m.id)
	entries := 0
	err := scan(c.a.v.snap, start, end, func(key, _ []byte) (bool, error) {
		entries++
		_, modSeq, uid, err := keys.ParseChange(space.Rest(key))
		if err == nil && modSeqs[uid] != modSeq {
			err = fmt.Errorf("%w: change index has message %d at %d, its record %d", ErrInvariant, uid, modSeq, modSeqs[uid])
		}
		return true, err
	})
	if err != nil {
		return err
	}
	if entries != len(modSeqs) {
		return fmt.Errorf("%w: %d messages, %d in the change index", ErrInvariant, len(modSeqs), entries)
	}
	gone, err := m.vanished(Since{ModSeq: imapnum.ModSeq(m.info.GetExpungeFloor())})
	if err != nil {
		return err
	}
	if both := gone.Intersect(uids); !both.Empty() {
		return fmt.Errorf("%w: %v are there and in the expunge queue", ErrInvariant, both)
	}
	all := imapnum.SetOfRange(1, imapnum.UID(m.info.GetUidNext()-1))
	if lost := all.Subtract(uids).Subtract(gone); m.info.GetExpungeFloor() == 0 && !lost.Empty() {
		return fmt.Errorf("%w: %v are neither there nor in the expunge queue", ErrInvariant, lost)
	}
	return nil
}

// references counts all records that refer to contents: of messages, deleted
// mailboxes' included, and of expunged ones.
func (c *checker) references() error {
	space, snap := c.a.space, c.a.v.snap
	for _, kind := range []keys.Kind{keys.Message, keys.Retained} {
		start, end := space.Kind(kind)
		err := scan(snap, start, end, func(_, value []byte) (bool, error) {
			rec, err := decodeMessage(value)
			if err == nil && c.refs[rec.emailID] > 0 && c.threads[rec.emailID] != rec.threadID {
				err = fmt.Errorf("%w: email %d is in the threads %d and %d", ErrInvariant, rec.emailID, c.threads[rec.emailID], rec.threadID)
			}
			c.refs[rec.emailID]++
			c.threads[rec.emailID] = rec.threadID
			return true, err
		})
		if err != nil {
			return err
		}
	}
	start, end := space.Kind(keys.EmailRefs)
	counted := 0
	err := scan(snap, start, end, func(key, value []byte) (bool, error) {
		counted++
		id, err := keys.ParseID(space.Rest(key))
		if err != nil {
			return false, err
		}
		n, err := decodeUint(value)
		if err == nil && n != c.refs[id] {
			err = fmt.Errorf("%w: email %d has %d references, counted %d", ErrInvariant, id, c.refs[id], n)
		}
		return true, err
	})
	if err != nil {
		return err
	}
	if counted != len(c.refs) {
		return fmt.Errorf("%w: %d emails are referred to, %d counted", ErrInvariant, len(c.refs), counted)
	}
	return c.emails()
}

// emails checks that each content record is referred to and has its whole body.
func (c *checker) emails() error {
	space := c.a.space
	start, end := space.Kind(keys.Email)
	n, indexed := 0, 0
	err := scan(c.a.v.snap, start, end, func(key, value []byte) (bool, error) {
		n++
		var e pb.Email
		if proto.Unmarshal(value, &e) != nil {
			return false, errCorrupt
		}
		if !bytes.Equal(key, space.ID(keys.Email, e.GetEmailId())) {
			return false, fmt.Errorf("%w: email %d under another's key", ErrInvariant, e.GetEmailId())
		}
		own, err := c.thread(&e)
		if err != nil {
			return false, err
		}
		indexed += own
		var at uint64
		err = c.a.Chunks(e.GetBodyId(), 0, e.GetSize(), func(chunk *pb.BodyChunk) (bool, error) {
			if chunk.GetOffset() != at {
				return false, fmt.Errorf("%w: email %d: chunk at %d, want %d", ErrInvariant, e.GetEmailId(), chunk.GetOffset(), at)
			}
			at += uint64(chunk.GetRawSize())
			return true, nil
		})
		if err == nil && at != e.GetSize() {
			err = fmt.Errorf("%w: email %d: body of %d octets, want %d", ErrInvariant, e.GetEmailId(), at, e.GetSize())
		}
		return true, err
	})
	if err != nil {
		return err
	}
	if n != len(c.refs) {
		return fmt.Errorf("%w: %d emails, %d referred to", ErrInvariant, n, len(c.refs))
	}
	return c.threadIndex(indexed)
}

// thread checks that an email is in the index of threads, under each of its
// Message-IDs, and returns under how many.
func (c *checker) thread(e *pb.Email) (int, error) {
	id, thread := e.GetEmailId(), e.GetThreadId()
	if thread > id || thread != c.threads[id] {
		return 0, fmt.Errorf("%w: email %d is in thread %d, its records say %d", ErrInvariant, id, thread, c.threads[id])
	}
	if thread == 0 {
		return 0, nil // of before there were threads
	}
	hashes := threadIDs(e)
	for _, hash := range hashes {
		_, closer, err := c.a.v.snap.Get(c.a.space.Thread(hash, thread, id))
		if errors.Is(err, pebble.ErrNotFound) {
			return 0, fmt.Errorf("%w: email %d is not in the index of threads under %x", ErrInvariant, id, hash)
		}
		if err != nil {
			return 0, err
		}
		if err := closer.Close(); err != nil {
			return 0, err
		}
	}
	return len(hashes), nil
}

// threadIndex checks that the index of threads has no keys but the emails'.
func (c *checker) threadIndex(want int) error {
	start, end := c.a.space.Kind(keys.Thread)
	n := 0
	err := scan(c.a.v.snap, start, end, func(_, _ []byte) (bool, error) {
		n++
		return true, nil
	})
	if err == nil && n != want {
		err = fmt.Errorf("%w: %d keys in the index of threads, want %d", ErrInvariant, n, want)
	}
	return err
}
