package check

import (
	"slices"
	"strings"
)

// checkUIDs: a UID belongs to one message for ever, and they are given in order.
func (h *History) checkUIDs(final *Mailbox) (bad []Violation) {
	owner := make(map[uint32]string)
	for uid, m := range final.Messages {
		owner[uid] = m.MessageID
		if uid >= final.UIDNext {
			bad = append(bad, violation("UID %d is not below UIDNEXT %d", uid, final.UIDNext))
		}
		if m.ModSeq > final.HighestModSeq {
			bad = append(bad, violation("UID %d has MODSEQ %d above HIGHESTMODSEQ %d", uid, m.ModSeq, final.HighestModSeq))
		}
	}
	acked := slices.DeleteFunc(slices.Clone(h.appends), func(a Append) bool { return !a.Acked() || a.UID == 0 })
	for _, a := range acked {
		if other, ok := owner[a.UID]; ok && other != a.MessageID {
			bad = append(bad, violation("UID %d was given to %s and to %s", a.UID, other, a.MessageID))
		}
		owner[a.UID] = a.MessageID
	}
	// Real-time order: what ended before another began has the lower UID.
	byEnd := slices.Clone(acked)
	slices.SortFunc(byEnd, func(a, b Append) int { return int(min(max(a.End-b.End, -1), 1)) })
	var highest Append
	next := 0
	for _, a := range byStart(acked, func(a Append) Span { return a.Span }) {
		for ; next < len(byEnd) && byEnd[next].Before(a.Span); next++ {
			if byEnd[next].UID > highest.UID {
				highest = byEnd[next]
			}
		}
		if a.UID <= highest.UID {
			bad = append(bad, violation("%s was given UID %d after %s had been given %d", a.MessageID, a.UID, highest.MessageID, highest.UID))
		}
	}
	return bad
}

// checkAppends: an acknowledged message is there once, unless its expunge was
// asked for; one that was not acknowledged is there at most once.
func (h *History) checkAppends(final *Mailbox) (bad []Violation) {
	where := make(map[string][]uint32)
	for uid, m := range final.Messages {
		where[m.MessageID] = append(where[m.MessageID], uid)
	}
	expungeAsked := make(map[uint32]bool)
	for _, e := range h.expunges {
		for _, uid := range e.UIDs {
			expungeAsked[uid] = true
		}
	}
	appended := make(map[string]bool)
	for _, a := range h.appends {
		appended[a.MessageID] = true
		uids := where[a.MessageID]
		switch {
		case len(uids) > 1:
			bad = append(bad, violation("%s is there %d times: UIDs %v", a.MessageID, len(uids), uids))
		case len(uids) == 1 && a.Acked() && a.UID != 0 && uids[0] != a.UID:
			bad = append(bad, violation("%s was given UID %d and has %d", a.MessageID, a.UID, uids[0]))
		case len(uids) == 0 && a.Acked() && !expungeAsked[a.UID]:
			bad = append(bad, violation("%s was acknowledged as UID %d and is lost", a.MessageID, a.UID))
		}
	}
	for id, uids := range where {
		if !appended[id] {
			bad = append(bad, violation("nobody appended %q, UIDs %v", id, uids))
		}
	}
	return bad
}

// checkExpunges: what was expunged does not come back.
func (h *History) checkExpunges(final *Mailbox) (bad []Violation) {
	for _, e := range h.expunges {
		for _, uid := range e.UIDs {
			if m, ok := final.Messages[uid]; ok && e.Acked() {
				bad = append(bad, violation("UID %d (%s) was expunged and is there", uid, m.MessageID))
			}
		}
	}
	return bad
}

// checkStores: a message has a flag if the last STORE of it set it. Where any was
// not answered, it may have been done at any time since, or not, and the flag
// proves nothing.
func (h *History) checkStores(final *Mailbox) (bad []Violation) {
	type key struct {
		uid  uint32
		flag string
	}
	last := make(map[key]Store)
	open := make(map[key]bool) // not all were answered
	for _, s := range byStart(h.stores, func(s Store) Span { return s.Span }) {
		k := key{s.UID, strings.ToLower(s.Flag)}
		if !s.Acked() {
			open[k] = true
			continue
		}
		last[k] = s
	}
	for k, s := range last {
		m, ok := final.Messages[k.uid]
		if !ok {
			continue // expunged, or lost, which is checkAppends' to tell
		}
		if m.ModSeq < s.ModSeq {
			bad = append(bad, violation("UID %d has MODSEQ %d, a STORE was told %d", k.uid, m.ModSeq, s.ModSeq))
		}
		if has := slices.Contains(m.Flags, k.flag); has != s.Set && !open[k] {
			bad = append(bad, violation("UID %d: an acknowledged STORE of %s (set: %v) is lost; it has %v", k.uid, s.Flag, s.Set, m.Flags))
		}
	}
	return bad
}
