package raftfsm

import (
	"slices"

	"github.com/quorumail/quorumail/proto/imapnum"
	pb "github.com/quorumail/quorumail/proto/quorumail/v1"
	"github.com/quorumail/quorumail/raftfsm/keys"
)

// compactQueue shortens a mailbox's expunge queue. Records at or below the new
// floor are dropped: from then on a client that was last here before is told
// what is gone by what is there. Above it, the oldest records are merged into
// the youngest of them, in groups of so many ranges, which tells a client of some expunges again that it
// knows of; VANISHED (EARLIER) allows that (RFC 7162, 3.2.10.1).
func (tx *tx) compactQueue(a *account, op *pb.CompactQueueOp) (*pb.Result, error) {
	m, err := tx.mailboxByID(a, imapnum.MailboxID(op.GetMailboxId()))
	if err != nil {
		return nil, err
	}
	if m == nil {
		return refuse(pb.Code_CODE_NO_MAILBOX, "the mailbox is gone"), nil
	}
	limit := int(min(op.GetLimit(), maxCollect))
	// The floor rises to what has been dropped, not to what was asked for: from
	// there on the queue is still complete.
	floor := m.info.GetExpungeFloor()
	var drop, merge [][]byte
	var sets []imapnum.Set
	more := false
	start, end := a.space.Mailbox(keys.Expunge, m.id)
	err = tx.scan(start, end, func(key, value []byte) (bool, error) {
		if len(drop)+len(merge) >= limit {
			more = true
			return false, nil
		}
		_, modSeq, err := keys.ParseExpunge(a.space.Rest(key))
		if err != nil {
			return false, err
		}
		if uint64(modSeq) <= op.GetNewFloor() {
			floor = uint64(modSeq)
			drop = append(drop, append([]byte(nil), key...))
			return true, nil
		}
		set, err := decodeSet(value)
		merge = append(merge, append([]byte(nil), key...))
		sets = append(sets, set)
		return true, err
	})
	if err != nil {
		return nil, err
	}
	for _, key := range drop {
		if err := tx.del(key); err != nil {
			return nil, err
		}
	}
	if len(drop) > 0 {
		m.info.ExpungeFloor = floor
		m.dirty = true
	}
	return &pb.Result{Code: pb.Code_CODE_OK, More: more}, tx.mergeQueue(merge, sets, int(op.GetMaxRanges()))
}

// mergeQueue merges neighbouring records, each group under its youngest's key,
// as long as a group has at most so many ranges; 0: all are one.
func (tx *tx) mergeQueue(queue [][]byte, sets []imapnum.Set, maxRanges int) error {
	for first := 0; first < len(queue); {
		ranges := slices.Clone(sets[first].Ranges())
		next := first + 1
		for ; next < len(queue); next++ {
			more := sets[next].Ranges()
			if maxRanges > 0 && len(ranges)+len(more) > maxRanges {
				break
			}
			ranges = append(ranges, more...)
		}
		last := next - 1
		for _, key := range queue[first:last] {
			if err := tx.del(key); err != nil {
				return err
			}
		}
		if last > first {
			if err := tx.set(queue[last], encodeSet(imapnum.SetOfRanges(ranges))); err != nil {
				return err
			}
		}
		first = next
	}
	return nil
}

// ExpungeQueue calls fn for each record of the mailbox's expunge queue, oldest
// first, with its modseq and how many ranges of UIDs it has, until fn returns
// false.
func (m *Mailbox) ExpungeQueue(fn func(modSeq imapnum.ModSeq, ranges int) bool) error {
	start, end := m.a.space.Mailbox(keys.Expunge, m.id)
	return scan(m.a.v.snap, start, end, func(key, value []byte) (bool, error) {
		_, modSeq, err := keys.ParseExpunge(m.a.space.Rest(key))
		return err == nil && fn(modSeq, packedRanges(value)), err
	})
}

// packedRanges returns how many ranges an encoded set has: two numbers each,
// whose last octets have no high bit.
func packedRanges(value []byte) int {
	n := 0
	for _, c := range value {
		if c < 0x80 {
			n++
		}
	}
	return n / 2
}
