package raftfsm

import (
	"slices"

	"github.com/RoaringBitmap/roaring/v2"
	"github.com/cockroachdb/pebble/v2"
	"google.golang.org/protobuf/proto"

	"github.com/quorumail/quorumail/proto/imapnum"
	pb "github.com/quorumail/quorumail/proto/quorumail/v1"
	"github.com/quorumail/quorumail/raftfsm/keys"
)

// Mailbox is one mailbox in a [View].
type Mailbox struct {
	a    *Account
	id   imapnum.MailboxID
	info *pb.MailboxInfo
}

// Info returns the mailbox's record. It must not be changed.
func (m *Mailbox) Info() *pb.MailboxInfo { return m.info }

// index returns the bitmaps of the mailbox at the view's index. Every change of
// a mailbox raises its HIGHESTMODSEQ, so that the cache can be asked for just
// that state; if it has another, it is made of what is stored.
func (m *Mailbox) index() (*index, error) {
	cache, key := m.a.v.cache, cacheKey{m.a.name, m.id}
	modSeq := imapnum.ModSeq(m.info.GetHighestModSeq())
	if x := cache.get(key, modSeq); x != nil {
		return x, nil
	}
	f := m.a.v.f
	x, lacks, err := loadIndex(m.a.v.snap, f.cfg.Shard, m.a.name, m.a.space, m.id, m.info)
	if err != nil {
		return nil, err
	}
	cache.put(key, modSeq, x)
	if f.summaries.due(key, m.info.GetExists(), lacks) {
		f.summaries.want(key)
	}
	return x, nil
}

// UIDs returns the UIDs of all messages.
func (m *Mailbox) UIDs() (imapnum.Set, error) {
	x, err := m.index()
	if err != nil {
		return imapnum.Set{}, err
	}
	return x.all(), nil
}

// FirstUnseen returns the lowest UID without \Seen, 0 if all have it.
func (m *Mailbox) FirstUnseen() (imapnum.UID, error) {
	if m.info.GetUnseen() == 0 {
		return 0, nil
	}
	x, err := m.index()
	if err != nil {
		return 0, err
	}
	// Walk both in step: the answer is near the front in most mailboxes, and a
	// difference of the whole would be made for its first element.
	seen := x.flags[seenBit].Iterator()
	for it := x.uids.Iterator(); it.HasNext(); {
		uid := it.Next()
		seen.AdvanceIfNeeded(uid)
		if !seen.HasNext() || seen.PeekNext() != uid {
			return imapnum.UID(uid), nil
		}
	}
	return 0, nil
}

// Flagged returns the UIDs of the messages that have all system flags of f.
func (m *Mailbox) Flagged(f imapnum.SystemFlags) (imapnum.Set, error) {
	x, err := m.index()
	if err != nil {
		return imapnum.Set{}, err
	}
	var bitmaps []*roaring.Bitmap
	for i := range x.flags {
		if f&(1<<i) != 0 {
			bitmaps = append(bitmaps, x.flags[i])
		}
	}
	switch len(bitmaps) {
	case 0:
		return x.all(), nil
	case 1:
		return setOf(bitmaps[0]), nil
	}
	return setOf(roaring.FastAnd(bitmaps...)), nil
}

// FlagSets are the messages of a mailbox that have each flag.
type FlagSets struct {
	// UIDs are those that exist.
	UIDs imapnum.Set
	// System has a set for each bit of imapnum.SystemFlags.
	System [systemFlagCount]imapnum.Set
	// Keywords has one for each keyword of the mailbox's table, or fewer: no
	// message has those at its end.
	Keywords []imapnum.Set
}

// FlagSets returns the flags of the messages of a set that exist. It costs what
// there is of bitmaps, and reads no record.
func (m *Mailbox) FlagSets(of imapnum.Set) (*FlagSets, error) {
	x, err := m.index()
	if err != nil {
		return nil, err
	}
	s := &FlagSets{UIDs: x.all().Intersect(of)}
	for i, b := range x.flags {
		s.System[i] = setOf(b).Intersect(of)
	}
	s.Keywords = make([]imapnum.Set, len(x.words))
	for i, b := range x.words {
		if b != nil {
			s.Keywords[i] = setOf(b).Intersect(of)
		}
	}
	return s, nil
}

func (msg *message) state() *pb.MessageState {
	s := &pb.MessageState{}
	msg.fill(s)
	return s
}

func (msg *message) fill(s *pb.MessageState) {
	s.Uid, s.ModSeq = uint32(msg.uid), uint64(msg.rec.modSeq)
	s.SystemFlags, s.Keywords = uint32(msg.rec.system), msg.rec.keywords
}

// fetched is a message's record as reads return it.
func (msg *message) fetched() *pb.FetchedMessage {
	// There are thousands in a listing: one allocation instead of two.
	both := &struct {
		msg   pb.FetchedMessage
		state pb.MessageState
	}{}
	msg.fill(&both.state)
	m := &both.msg
	m.State, m.InternalDate, m.ZoneMinutes = &both.state, msg.rec.internalDate, msg.rec.zoneMinutes
	m.Size, m.EmailId, m.SaveDate = msg.rec.size, msg.rec.emailID, msg.rec.saveDate
	m.ThreadId = msg.rec.threadID
	return m
}

// Messages calls fn for each message of the set, ascending, until it returns
// false or an error. The record is fn's to keep; its Email is not filled in.
func (m *Mailbox) Messages(set imapnum.Set, fn func(*pb.FetchedMessage) (bool, error)) error {
	return scanMessages(m.a.v.snap, m.a.space, keys.Message, m.id, set, func(msg message) (bool, error) {
		return fn(msg.fetched())
	})
}

// Retained does the same for messages that have been expunged and whose content
// is still kept. They are marked as expunged.
func (m *Mailbox) Retained(set imapnum.Set, fn func(*pb.FetchedMessage) (bool, error)) error {
	return scanMessages(m.a.v.snap, m.a.space, keys.Retained, m.id, set, func(msg message) (bool, error) {
		rec := msg.fetched()
		rec.Expunged = true
		return fn(rec)
	})
}

// Email returns the content record of an email id.
func (a *Account) Email(id uint64) (*pb.Email, error) {
	value, err := get(a.v.snap, a.space.ID(keys.Email, id))
	if err != nil {
		return nil, err
	}
	e := &pb.Email{}
	if value == nil || proto.Unmarshal(value, e) != nil {
		return nil, errCorrupt
	}
	return e, nil
}

// Since says which changes are wanted.
type Since struct {
	ModSeq imapnum.ModSeq
	// Known limits the answer to these UIDs; nil: 1 to UIDNEXT-1.
	Known *imapnum.Set
	// NoChanged and NoVanished leave one half out.
	NoChanged, NoVanished bool
}

// Changes reports what happened to the mailbox since a client last saw it:
// messages with a MODSEQ above since, in UID order, passed to fn; and returned,
// the UIDs expunged after it.
//
// It may name a vanished UID that the client never knew, but it never omits one
// that the client may still hold. Below the mailbox's floor the history is gone,
// so the vanished are computed from absence: each UID of known that the mailbox
// does not hold now (RFC 7162, 3.2.6 and 5.3). The surplus may go into VANISHED
// (EARLIER) only; the other form may name nothing but messages the session has
// shown (RFC 7162, 3.2.10.2).
//
// The answer is exact at the view's applied index. Its cost grows with the
// number of changes, not with the mailbox, except below the floor. A since above
// HIGHESTMODSEQ is not an error; nothing has changed.
func (m *Mailbox) Changes(since Since, fn func(*pb.MessageState) error) (vanished imapnum.Set, err error) {
	if !since.NoVanished {
		if vanished, err = m.vanished(since); err != nil {
			return vanished, err
		}
	}
	if since.NoChanged || since.ModSeq >= imapnum.ModSeq(m.info.GetHighestModSeq()) {
		return vanished, nil
	}
	uids, err := m.changed(since)
	if err != nil {
		return vanished, err
	}
	err = scanMessages(m.a.v.snap, m.a.space, keys.Message, m.id, uids, func(msg message) (bool, error) {
		return true, fn(msg.state())
	})
	return vanished, err
}

// changed returns the UIDs of known whose MODSEQ is above since.
func (m *Mailbox) changed(since Since) (imapnum.Set, error) {
	return changedSince(m.a.v.snap, m.a.space, m.id, since.ModSeq, since.Known)
}

// changedSince returns the UIDs of a mailbox, those of known if that is not nil,
// whose MODSEQ is above since.
func changedSince(r pebble.Reader, space keys.Space, id imapnum.MailboxID, since imapnum.ModSeq, known *imapnum.Set) (imapnum.Set, error) {
	_, end := space.Mailbox(keys.Change, id)
	var uids []imapnum.UID
	err := scanKeys(r, space.Change(id, since+1, 0), end, func(key []byte) (bool, error) {
		_, _, uid, err := keys.ParseChange(space.Rest(key))
		if known == nil || known.Contains(uid) {
			uids = append(uids, uid)
		}
		return true, err
	})
	if err != nil {
		return imapnum.Set{}, err
	}
	slices.Sort(uids)
	return imapnum.SetOf(uids...), nil
}

// vanished returns the UIDs of known that are gone since.
func (m *Mailbox) vanished(since Since) (imapnum.Set, error) {
	known := imapnum.SetOfRange(1, imapnum.UID(m.info.GetUidNext()-1))
	if since.Known != nil {
		known = known.Intersect(*since.Known)
	}
	if uint64(since.ModSeq) < m.info.GetExpungeFloor() {
		uids, err := m.UIDs()
		return known.Subtract(uids), err
	}
	gone, err := vanishedSince(m.a.v.snap, m.a.space, m.id, since.ModSeq)
	return gone.Intersect(known), err
}

// vanishedSince returns the UIDs that the expunge queue has above since, which is
// not below its floor.
func vanishedSince(r pebble.Reader, space keys.Space, id imapnum.MailboxID, since imapnum.ModSeq) (imapnum.Set, error) {
	_, end := space.Mailbox(keys.Expunge, id)
	var ranges []imapnum.Range
	err := scan(r, space.Expunge(id, since+1), end, func(_, value []byte) (bool, error) {
		set, err := decodeSet(value)
		ranges = append(ranges, set.Ranges()...)
		return true, err
	})
	return imapnum.SetOfRanges(ranges), err
}
