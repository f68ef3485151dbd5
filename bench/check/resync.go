package check

import (
	"slices"
)

// Changed is a message that a server told about while it resynchronised a client.
type Changed struct {
	UID    uint32
	ModSeq uint64
	Flags  []string // as in Message
}

// Resync is one resynchronisation by SELECT with QRESYNC (RFC 7162, 3.2.5).
type Resync struct {
	// Cached is what the client had kept, and named: its UIDVALIDITY, its
	// HIGHESTMODSEQ and its UIDs, expressly or not.
	Cached *Mailbox
	// Known: the client named its UIDs expressly. Then it is told of these only
	// (RFC 7162, 3.2.5.1), and asks for newer messages by itself.
	Known bool
	// What the server said: the numbers of SELECT, VANISHED (EARLIER), FETCH.
	UIDValidity   uint32
	UIDNext       uint32
	HighestModSeq uint64
	Exists        uint32
	Vanished      []Range
	Changed       []Changed
	// Fresh is the mailbox as another session sees it whole, while nobody writes.
	// Its Message-IDs are not looked at.
	Fresh *Mailbox
}

// Check returns what is wrong with the answer.
func (r *Resync) Check() []Violation {
	var bad []Violation
	bad = append(bad, r.checkNumbers()...)
	bad = append(bad, r.checkVanished()...)
	bad = append(bad, r.checkChanged()...)
	if len(bad) == 0 {
		bad = r.checkResult()
	}
	return bad
}

func (r *Resync) checkNumbers() (bad []Violation) {
	if r.UIDValidity != r.Cached.UIDValidity {
		bad = append(bad, violation("resync: UIDVALIDITY was %d and is %d", r.Cached.UIDValidity, r.UIDValidity))
	}
	if r.UIDNext < r.Cached.UIDNext {
		bad = append(bad, violation("resync: UIDNEXT went back from %d to %d", r.Cached.UIDNext, r.UIDNext))
	}
	if r.HighestModSeq < r.Cached.HighestModSeq {
		bad = append(bad, violation("resync: HIGHESTMODSEQ went back from %d to %d", r.Cached.HighestModSeq, r.HighestModSeq))
	}
	if r.HighestModSeq != r.Fresh.HighestModSeq || r.UIDNext != r.Fresh.UIDNext || r.UIDValidity != r.Fresh.UIDValidity {
		bad = append(bad, violation("resync: UIDVALIDITY %d UIDNEXT %d HIGHESTMODSEQ %d, but another session is told %d %d %d",
			r.UIDValidity, r.UIDNext, r.HighestModSeq, r.Fresh.UIDValidity, r.Fresh.UIDNext, r.Fresh.HighestModSeq))
	}
	if int(r.Exists) != len(r.Fresh.Messages) {
		bad = append(bad, violation("resync: EXISTS %d, but there are %d messages", r.Exists, len(r.Fresh.Messages)))
	}
	return bad
}

// checkVanished: UIDs that the client never knew may be named (RFC 7162, 3.2.10.1),
// those of messages that exist never.
func (r *Resync) checkVanished() (bad []Violation) {
	for _, rg := range r.Vanished {
		if rg.First == 0 || rg.Last < rg.First || rg.Last >= r.UIDNext {
			bad = append(bad, violation("resync: VANISHED names %d:%d, UIDNEXT is %d", rg.First, rg.Last, r.UIDNext))
			continue
		}
		for uid := rg.First; r.Known && uid <= rg.Last; uid++ {
			if _, ok := r.Cached.Messages[uid]; !ok {
				bad = append(bad, violation("resync: VANISHED names %d, which is not among the UIDs that were named", uid))
			}
		}
	}
	for uid := range r.Fresh.Messages {
		if contains(r.Vanished, uid) {
			bad = append(bad, violation("resync: VANISHED names %d, which exists", uid))
		}
	}
	return bad
}

// checkChanged: what did not change since is not told, and nothing twice.
func (r *Resync) checkChanged() (bad []Violation) {
	seen := make(map[uint32]bool)
	for _, c := range r.Changed {
		if seen[c.UID] {
			bad = append(bad, violation("resync: FETCH of %d twice", c.UID))
		}
		seen[c.UID] = true
		if _, ok := r.Cached.Messages[c.UID]; r.Known && !ok {
			bad = append(bad, violation("resync: FETCH of %d, which is not among the UIDs that were named", c.UID))
		}
		if c.ModSeq <= r.Cached.HighestModSeq {
			bad = append(bad, violation("resync: FETCH of %d with MODSEQ %d, which is not after %d", c.UID, c.ModSeq, r.Cached.HighestModSeq))
		}
		if c.ModSeq > r.HighestModSeq {
			bad = append(bad, violation("resync: FETCH of %d with MODSEQ %d above HIGHESTMODSEQ %d", c.UID, c.ModSeq, r.HighestModSeq))
		}
	}
	return bad
}

// checkResult: the kept state, changed as it was told to, is the mailbox.
func (r *Resync) checkResult() (bad []Violation) {
	now := r.Apply()
	for uid, have := range now.Messages {
		want, ok := r.Fresh.Messages[uid]
		switch {
		case !ok:
			bad = append(bad, violation("resync: %d is gone, the client was not told", uid))
		case want.ModSeq != have.ModSeq || !slices.Equal(want.Flags, have.Flags):
			bad = append(bad, violation("resync: the client believes %d has MODSEQ %d %v, it has %d %v", uid, have.ModSeq, have.Flags, want.ModSeq, want.Flags))
		}
	}
	for uid := range r.Fresh.Messages {
		if _, ok := now.Messages[uid]; !ok && !(r.Known && uid >= r.Cached.UIDNext) {
			bad = append(bad, violation("resync: %d exists, the client was not told", uid))
		}
	}
	return bad
}

// Apply returns what the client holds after the resynchronisation.
func (r *Resync) Apply() *Mailbox {
	m := r.Cached.Clone()
	m.UIDValidity, m.UIDNext, m.HighestModSeq = r.UIDValidity, r.UIDNext, r.HighestModSeq
	for uid := range r.Cached.Messages {
		if contains(r.Vanished, uid) {
			delete(m.Messages, uid)
		}
	}
	for _, c := range r.Changed {
		id := m.Messages[c.UID].MessageID
		m.Messages[c.UID] = Message{ModSeq: c.ModSeq, Flags: c.Flags, MessageID: id}
	}
	return m
}
