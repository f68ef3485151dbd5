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
// usage is the sum of what there is, that each content record counts its references
// and has its whole body, that what is to be collected is in the queue for it, and that
// every key belongs to something that exists. What contradicts itself is ErrInvariant.
// It reads the whole account.
func (v *View) Check(account string) error {
	a, err := v.Account(account)
	if err != nil {
		return err
	}
	c := &checker{a: a, contents: make(map[uint64]content), boxes: make(map[imapnum.MailboxID]checkedBox)}
	if err := c.run(); err != nil {
		return fmt.Errorf("raftfsm: check: account %q: %w", account, err)
	}
	return nil
}

type checker struct {
	a *Account
	// contents are what the records of messages say of each content record.
	contents map[uint64]content
	boxes    map[imapnum.MailboxID]checkedBox
	chunks   uint64 // of bodies that belong to something
}

// content is what messages say of the content record that they refer to.
type content struct{ refs, thread, size uint64 }

// checkedBox is a mailbox that exists.
type checkedBox struct {
	info *pb.MailboxInfo
	uids imapnum.Set
}

func (c *checker) run() error {
	infos, _, err := c.a.Mailboxes()
	if err != nil {
		return fmt.Errorf("names of mailboxes: %w", err)
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
	for _, check := range []func() error{c.given, c.metadata, c.acls, c.references, c.retained, c.owned, c.uploads, c.remembered} {
		if err := check(); err != nil {
			return err
		}
	}
	return nil
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
		for i, k := range msg.rec.keywords {
			if int(k) >= len(m.info.GetKeywords()) || i > 0 && k <= msg.rec.keywords[i-1] {
				return false, fmt.Errorf("%w: keyword %d of message %d", ErrInvariant, k, msg.uid)
			}
		}
		if highest := m.info.GetHighestModSeq(); msg.rec.modSeq == 0 || uint64(msg.rec.modSeq) > highest {
			return false, fmt.Errorf("%w: message %d at %d, HIGHESTMODSEQ %d", ErrInvariant, msg.uid, msg.rec.modSeq, highest)
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
	c.boxes[m.id] = checkedBox{m.info, set}
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
	if err := c.queue(m); err != nil {
		return err
	}
	gone, err := m.vanished(Since{ModSeq: imapnum.ModSeq(m.info.GetExpungeFloor())})
	if err != nil {
		return err
	}
	if both := gone.Intersect(uids); !both.Empty() {
		return fmt.Errorf("%w: %s are there and in the expunge queue", ErrInvariant, brief(both))
	}
	all := imapnum.SetOfRange(1, imapnum.UID(m.info.GetUidNext()-1))
	if lost := all.Subtract(uids).Subtract(gone); m.info.GetExpungeFloor() == 0 && !lost.Empty() {
		return fmt.Errorf("%w: %s are neither there nor in the expunge queue", ErrInvariant, brief(lost))
	}
	return nil
}

// brief writes a set of UIDs, which may be of millions of ranges, in a few octets.
func brief(s imapnum.Set) string {
	if r := s.Ranges(); len(r) > 5 {
		return fmt.Sprintf("%d UIDs from %d to %d", s.Len(), s.Min(), s.Max())
	}
	return s.String()
}

// queue checks that what stands in the expunge queue can have been expunged: above the
// floor, to where the mailbox is now, of UIDs that were given.
func (c *checker) queue(m *Mailbox) error {
	start, end := c.a.space.Mailbox(keys.Expunge, m.id)
	return scan(c.a.v.snap, start, end, func(key, value []byte) (bool, error) {
		_, modSeq, err := keys.ParseExpunge(c.a.space.Rest(key))
		if err != nil {
			return false, err
		}
		set, err := decodeSet(value)
		if err == nil && (uint64(modSeq) <= m.info.GetExpungeFloor() || uint64(modSeq) > m.info.GetHighestModSeq() || set.Empty() || uint32(set.Max()) >= m.info.GetUidNext()) {
			err = fmt.Errorf("%w: expunge queue has %s at %d; floor %d, HIGHESTMODSEQ %d, UIDNEXT %d", ErrInvariant,
				brief(set), modSeq, m.info.GetExpungeFloor(), m.info.GetHighestModSeq(), m.info.GetUidNext())
		}
		return true, err
	})
}

// references counts all records that refer to contents: of messages, deleted
// mailboxes' included, and of expunged ones.
func (c *checker) references() error {
	space, snap := c.a.space, c.a.v.snap
	for _, kind := range []keys.Kind{keys.Message, keys.Retained} {
		start, end := space.Kind(kind)
		err := scan(snap, start, end, func(_, value []byte) (bool, error) {
			rec, err := decodeMessage(value)
			if err != nil {
				return false, err
			}
			known := c.contents[rec.emailID]
			switch {
			case known.refs > 0 && known.thread != rec.threadID:
				err = fmt.Errorf("%w: email %d is in the threads %d and %d", ErrInvariant, rec.emailID, known.thread, rec.threadID)
			case known.refs > 0 && known.size != rec.size:
				err = fmt.Errorf("%w: email %d has %d octets, and %d", ErrInvariant, rec.emailID, known.size, rec.size)
			}
			c.contents[rec.emailID] = content{known.refs + 1, rec.threadID, rec.size}
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
		if err == nil && n != c.contents[id].refs {
			err = fmt.Errorf("%w: email %d has %d references, counted %d", ErrInvariant, id, c.contents[id].refs, n)
		}
		return true, err
	})
	if err != nil {
		return err
	}
	if counted != len(c.contents) {
		return fmt.Errorf("%w: %d emails are referred to, %d counted", ErrInvariant, len(c.contents), counted)
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
		if said := c.contents[e.GetEmailId()]; said.refs > 0 && said.size != e.GetSize() {
			return false, fmt.Errorf("%w: email %d has %d octets, its records say %d", ErrInvariant, e.GetEmailId(), e.GetSize(), said.size)
		}
		if e.GetEmailId() > c.a.rec.lastEmail {
			return false, fmt.Errorf("%w: email %d, the last one given is %d", ErrInvariant, e.GetEmailId(), c.a.rec.lastEmail)
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
			c.chunks++
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
	if n != len(c.contents) {
		return fmt.Errorf("%w: %d emails, %d referred to", ErrInvariant, n, len(c.contents))
	}
	return c.threadIndex(indexed)
}

// thread checks that an email is in the index of threads, under each of its
// Message-IDs, and returns under how many.
func (c *checker) thread(e *pb.Email) (int, error) {
	id, thread := e.GetEmailId(), e.GetThreadId()
	if thread > id || thread != c.contents[id].thread {
		return 0, fmt.Errorf("%w: email %d is in thread %d, its records say %d", ErrInvariant, id, thread, c.contents[id].thread)
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
