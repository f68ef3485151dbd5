// Package view is what one IMAP session knows of its mailbox: which messages it
// has been told of, and so which message has which sequence number, and what it
// is still to be told.
//
// The mailbox moves on at every client's command; a session's view moves only
// where the protocol lets it. Changes are taken in as they come ([View.Take])
// and told when they may be: new messages and flags at any time, expunges never
// while FETCH, STORE or SEARCH by message sequence number is in progress (RFC
// 9051, 7.5.1), since they renumber what the client is speaking of.
//
// # Invariants
//
//   - Sequence numbers are the ranks of the UIDs told, whatever the mailbox has.
//   - A message that came and went untold is never mentioned; EXPUNGE and
//     VANISHED name only messages that were told (RFC 7162, 3.2.10.2).
//   - [View.Told] is a modseq up to which everything has been told: it does not
//     move past an expunge that is held back (RFC 7162, 3.2.4).
//
// The package is pure: no I/O, no goroutine. A View belongs to one session.
package view

import (
	"maps"
	"slices"
	"sort"

	"github.com/quorumail/quorumail/proto/imapnum"
	pb "github.com/quorumail/quorumail/proto/quorumail/v1"
)

// View is a session's view of a mailbox.
type View struct {
	uids  imapnum.Set
	ranks []uint32 // of the first UID of each range, less one

	taken imapnum.ModSeq // changes up to here have been taken in
	told  imapnum.ModSeq // and up to here told

	gone  imapnum.Set // told of, and expunged since
	fresh imapnum.Set // not told of yet
	flags map[imapnum.UID]*pb.MessageState
	// kept are states of gone messages, as the session has made them since.
	kept map[imapnum.UID]*pb.MessageState
	// withheld: flags above told have been left out.
	withheld bool
}

// New returns the view of a mailbox as it was opened: everything in it is told.
func New(uids imapnum.Set, modSeq imapnum.ModSeq) *View {
	v := &View{taken: modSeq, told: modSeq}
	v.setUIDs(uids)
	return v
}

func (v *View) setUIDs(uids imapnum.Set) {
	v.uids = uids
	v.ranks = v.ranks[:0]
	n := uint32(0)
	for _, r := range uids.Ranges() {
		v.ranks = append(v.ranks, n)
		n += uint32(r.Len())
	}
}

// UIDs returns the UIDs told.
func (v *View) UIDs() imapnum.Set { return v.uids }

// Count returns how many messages there are for the session.
func (v *View) Count() uint32 {
	r := v.uids.Ranges()
	if len(r) == 0 {
		return 0
	}
	return v.ranks[len(r)-1] + uint32(r[len(r)-1].Len())
}

// Taken returns the modseq up to which changes have been taken in: where the
// next question for changes starts.
func (v *View) Taken() imapnum.ModSeq { return v.taken }

// Told returns the modseq up to which the session has been told everything.
func (v *View) Told() imapnum.ModSeq { return v.told }

// SeqNum returns a message's sequence number, 0 if it has none.
func (v *View) SeqNum(uid imapnum.UID) imapnum.SeqNum {
	ranges := v.uids.Ranges()
	i := sort.Search(len(ranges), func(i int) bool { return ranges[i].Last >= uid })
	if i == len(ranges) || ranges[i].First > uid {
		return 0
	}
	return imapnum.SeqNum(v.ranks[i] + uint32(uid-ranges[i].First) + 1)
}

// UID returns the UID of a sequence number, 0 if there is none.
func (v *View) UID(seq imapnum.SeqNum) imapnum.UID {
	if seq == 0 || uint32(seq) > v.Count() {
		return 0
	}
	i := sort.Search(len(v.ranks), func(i int) bool { return v.ranks[i] >= uint32(seq) }) - 1
	return v.uids.Ranges()[i].First + imapnum.UID(uint32(seq)-v.ranks[i]-1)
}

// Span returns the UIDs of the sequence numbers from first to last, which exist.
func (v *View) Span(first, last imapnum.SeqNum) imapnum.Set {
	return v.uids.Intersect(imapnum.SetOfRange(v.UID(first), v.UID(last)))
}

// SeqNums returns the sequence numbers of UIDs as a set; those without one are
// passed over.
func (v *View) SeqNums(uids imapnum.Set) imapnum.Set {
	var b imapnum.SetBuilder
	for _, r := range uids.Intersect(v.uids).Ranges() {
		first := v.SeqNum(r.First)
		b.AddRange(imapnum.UID(first), imapnum.UID(uint32(first)+uint32(r.Len()-1)))
	}
	return b.Set()
}

// Take takes in changes since Taken up to modSeq.
func (v *View) Take(changed []*pb.MessageState, vanished imapnum.Set, modSeq imapnum.ModSeq) {
	if !vanished.Empty() {
		v.gone = v.gone.Union(vanished.Intersect(v.uids))
		v.fresh = v.fresh.Subtract(vanished)
		for uid := range v.flags {
			if vanished.Contains(uid) {
				delete(v.flags, uid)
			}
		}
	}
	var fresh imapnum.SetBuilder
	for _, s := range changed {
		uid := imapnum.UID(s.GetUid())
		switch {
		case uid > v.uids.Max():
			fresh.Add(uid)
		case v.uids.Contains(uid) && !v.gone.Contains(uid):
			if v.flags == nil {
				v.flags = make(map[imapnum.UID]*pb.MessageState)
			}
			v.flags[uid] = s
		}
	}
	v.fresh = v.fresh.Union(fresh.Set())
	v.taken = max(v.taken, modSeq)
}

// PendingFlags returns the messages whose flags are to be told.
func (v *View) PendingFlags() imapnum.Set {
	if len(v.flags) == 0 {
		return imapnum.Set{}
	}
	return imapnum.SetOf(slices.Collect(maps.Keys(v.flags))...)
}

// Gone returns the messages told of that are expunged, which the session does
// not know yet.
func (v *View) Gone() imapnum.Set { return v.gone }

// Keep notes the state of a message that is gone, as the session itself has made
// it: nobody else sees it.
func (v *View) Keep(s *pb.MessageState) {
	uid := imapnum.UID(s.GetUid())
	if !v.gone.Contains(uid) {
		return
	}
	if v.kept == nil {
		v.kept = make(map[imapnum.UID]*pb.MessageState)
	}
	v.kept[uid] = s
}

// Kept returns what Keep has noted of a message, nil if nothing.
func (v *View) Kept(uid imapnum.UID) *pb.MessageState { return v.kept[uid] }

// TellExpungesOf removes some of the messages, those that are expunged, from the view
// and returns their UIDs, and their sequence numbers as EXPUNGE tells them: each in the
// numbering that the ones before it have left.
func (v *View) TellExpungesOf(some imapnum.Set) (uids imapnum.Set, seqs []imapnum.SeqNum) {
	uids = v.gone.Intersect(some)
	if uids.Empty() {
		v.settle()
		return uids, nil
	}
	n := imapnum.SeqNum(0)
	for _, r := range uids.Ranges() {
		first := v.SeqNum(r.First)
		for range r.Len() {
			seqs = append(seqs, first-n)
		}
		n += imapnum.SeqNum(r.Len())
	}
	v.setUIDs(v.uids.Subtract(uids))
	v.gone = v.gone.Subtract(uids)
	for uid := range v.kept {
		if uids.Contains(uid) {
			delete(v.kept, uid)
		}
	}
	v.settle()
	return uids, seqs
}

// TellFlags returns the messages whose flags changed, ascending, and notes them
// as told.
func (v *View) TellFlags() []*pb.MessageState {
	list := make([]*pb.MessageState, 0, len(v.flags))
	for _, s := range v.flags {
		list = append(list, s)
	}
	slices.SortFunc(list, func(a, b *pb.MessageState) int { return int(int64(a.GetUid()) - int64(b.GetUid())) })
	v.flags = nil
	v.settle()
	return list
}

// Drop takes back that a message's flags are to be told, and returns them: nil
// if they are not.
func (v *View) Drop(uid imapnum.UID) *pb.MessageState {
	s := v.flags[uid]
	delete(v.flags, uid)
	return s
}

// TellFresh adds the new messages to the view and reports whether there were
// any.
func (v *View) TellFresh() bool {
	if v.fresh.Empty() {
		return false
	}
	v.setUIDs(v.uids.Union(v.fresh))
	v.fresh = imapnum.Set{}
	v.settle()
	return true
}

// Fresh returns the new messages, which the session does not know yet.
func (v *View) Fresh() imapnum.Set { return v.fresh }

// Withhold gives up telling of flags, for a session that does not want to know.
// Told stays where it is from then on: what is left out can be had again.
func (v *View) Withhold() {
	v.withheld = v.withheld || len(v.flags) > 0
	v.flags = nil
	v.settle()
}

// WithheldOne notes that flags which Drop has returned are not told either.
func (v *View) WithheldOne() { v.withheld = true }

// Recall goes back to Told, if flags have been left out, to take in again what
// has changed since.
func (v *View) Recall() {
	if v.withheld {
		v.withheld, v.taken = false, v.told
	}
}

// settle moves told up once nothing is held back.
func (v *View) settle() {
	if !v.withheld && v.gone.Empty() && v.fresh.Empty() && len(v.flags) == 0 {
		v.told = v.taken
	}
}

// Settle does so after Drop.
func (v *View) Settle() { v.settle() }
