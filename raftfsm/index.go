package raftfsm

import (
	"slices"

	"github.com/RoaringBitmap/roaring/v2"
	"github.com/cockroachdb/pebble/v2"

	"github.com/quorumail/quorumail/proto/imapnum"
	"github.com/quorumail/quorumail/raftfsm/keys"
)

// systemFlagCount is how many system flags have a bitmap.
const systemFlagCount = 5

// index is derived from a mailbox's message records: which UIDs there are, and
// which of them have each flag. Once it is in the cache it is never changed;
// Apply works on a copy.
type index struct {
	uids  *roaring.Bitmap
	flags [systemFlagCount]*roaring.Bitmap
	// words are the messages with each keyword, by its place in the keyword table;
	// nil for those that no message has had.
	words []*roaring.Bitmap
	// shared tells which bitmaps are still those of the index that this one was
	// cloned from: uids first, then the flags; and those of the keywords.
	shared      [1 + systemFlagCount]bool
	sharedWords []bool
	// set is uids as ranges; it is shared as long as uids is.
	set *lazySet
}

func newIndex() *index {
	x := &index{uids: roaring.New(), set: &lazySet{}}
	for i := range x.flags {
		x.flags[i] = roaring.New()
	}
	return x
}

// buildIndex reads all message records of a mailbox.
func buildIndex(r pebble.Reader, space keys.Space, mailbox imapnum.MailboxID) (*index, error) {
	x := newIndex()
	start, end := space.Mailbox(keys.Message, mailbox)
	err := scan(r, start, end, func(key, value []byte) (bool, error) {
		_, uid, err := keys.ParseUID(space.Rest(key))
		if err != nil {
			return false, err
		}
		m, err := decodeMessage(value)
		if err != nil {
			return false, err
		}
		x.add(uid, &m)
		return true, nil
	})
	if err != nil {
		return nil, err
	}
	x.eachBitmap((*roaring.Bitmap).RunOptimize)
	return x, nil
}

// eachBitmap calls fn for each bitmap that there is. They must be the index's own.
func (x *index) eachBitmap(fn func(*roaring.Bitmap)) {
	fn(x.uids)
	for _, f := range x.flags {
		fn(f)
	}
	for _, w := range x.words {
		if w != nil {
			fn(w)
		}
	}
}

// clone returns a copy that shares each bitmap until it is changed.
func (x *index) clone() *index {
	c := &index{uids: x.uids, flags: x.flags, words: slices.Clone(x.words), sharedWords: make([]bool, len(x.words)), set: x.set}
	for i := range c.shared {
		c.shared[i] = true
	}
	for i := range c.sharedWords {
		c.sharedWords[i] = true
	}
	return c
}

func (x *index) ownUIDs() *roaring.Bitmap {
	if x.shared[0] {
		x.uids, x.shared[0], x.set = x.uids.Clone(), false, x.set.next()
	}
	return x.uids
}

func (x *index) ownFlag(i int) *roaring.Bitmap {
	if x.shared[1+i] {
		x.flags[i], x.shared[1+i] = x.flags[i].Clone(), false
	}
	return x.flags[i]
}

// word returns the messages with a keyword.
func (x *index) word(k int) *roaring.Bitmap {
	if k < len(x.words) && x.words[k] != nil {
		return x.words[k]
	}
	return roaring.New()
}

func (x *index) ownWord(k uint32) *roaring.Bitmap {
	for int(k) >= len(x.words) {
		x.words = append(x.words, nil)
		x.sharedWords = append(x.sharedWords, false)
	}
	switch {
	case x.words[k] == nil:
		x.words[k] = roaring.New()
	case x.sharedWords[k]:
		x.words[k], x.sharedWords[k] = x.words[k].Clone(), false
	}
	return x.words[k]
}

// add notes a new message.
func (x *index) add(uid imapnum.UID, rec *messageRecord) {
	x.ownUIDs().Add(uint32(uid))
	x.set.note(uid, true)
	x.change(uid, 0, rec.system)
	x.changeWords(uid, nil, rec.keywords)
}

// remove forgets a message.
func (x *index) remove(uid imapnum.UID, rec *messageRecord) {
	x.ownUIDs().Remove(uint32(uid))
	x.set.note(uid, false)
	x.change(uid, rec.system, 0)
	x.changeWords(uid, rec.keywords, nil)
}

// replace notes that a message has other flags than in its record.
func (x *index) replace(uid imapnum.UID, rec *messageRecord, system imapnum.SystemFlags, keywords []uint32) {
	x.change(uid, rec.system, system)
	x.changeWords(uid, rec.keywords, keywords)
}

// changeWords notes that a message's keywords, ascending both, are now others.
func (x *index) changeWords(uid imapnum.UID, from, to []uint32) {
	for len(from) > 0 || len(to) > 0 {
		switch {
		case len(to) == 0 || len(from) > 0 && from[0] < to[0]:
			x.ownWord(from[0]).Remove(uint32(uid))
			from = from[1:]
		case len(from) == 0 || to[0] < from[0]:
			x.ownWord(to[0]).Add(uint32(uid))
			to = to[1:]
		default:
			from, to = from[1:], to[1:]
		}
	}
}

// change notes that a message's system flags are now others.
func (x *index) change(uid imapnum.UID, from, to imapnum.SystemFlags) {
	for i := range x.flags {
		switch bit := imapnum.SystemFlags(1 << i); {
		case from&bit == 0 && to&bit != 0:
			x.ownFlag(i).Add(uint32(uid))
		case from&bit != 0 && to&bit == 0:
			x.ownFlag(i).Remove(uint32(uid))
		}
	}
}

// all returns the UIDs as a set. It is computed once: only for an index that no
// longer changes.
func (x *index) all() imapnum.Set { return x.set.of(x.uids) }

// size returns about how many octets the index takes. Bitmaps that it shares with
// others count in each.
func (x *index) size() int64 {
	n := int64(512)
	x.eachBitmap(func(b *roaring.Bitmap) { n += 64 + int64(b.GetSizeInBytes()) })
	if x.set.done.Load() {
		n += 8 * int64(len(x.set.set.Ranges()))
	}
	return n
}
