package check

import "slices"

// watermark is the most that was told of a mailbox up to some moment.
type watermark struct {
	uidValidity, uidNext uint32
	highestModSeq        uint64
}

// raise takes n into the mark, and tells what of n was below it.
func (w *watermark) raise(who string, n Numbers) (bad []Violation) {
	if n.UIDValidity != 0 && w.uidValidity != 0 && n.UIDValidity != w.uidValidity {
		bad = append(bad, violation("%s: UIDVALIDITY changed from %d to %d", who, w.uidValidity, n.UIDValidity))
	}
	if n.UIDNext != 0 && n.UIDNext < w.uidNext {
		bad = append(bad, violation("%s: UIDNEXT went back from %d to %d", who, w.uidNext, n.UIDNext))
	}
	if n.HighestModSeq != 0 && n.HighestModSeq < w.highestModSeq {
		bad = append(bad, violation("%s: HIGHESTMODSEQ went back from %d to %d", who, w.highestModSeq, n.HighestModSeq))
	}
	if n.UIDValidity != 0 {
		w.uidValidity = n.UIDValidity
	}
	w.uidNext = max(w.uidNext, n.UIDNext)
	w.highestModSeq = max(w.highestModSeq, n.HighestModSeq)
	return bad
}

// checkNumbers: on each connection numbers never go back; and a fresh look is not
// behind what anybody, by whatever connection, had been told before it began.
func (h *History) checkNumbers(final *Mailbox) (bad []Violation) {
	all := append(slices.Clone(h.numbers), h.told()...)
	conns := make(map[string]*watermark)
	for _, n := range byStart(all, func(n Numbers) Span { return n.Span }) {
		if n.Conn == "" {
			continue
		}
		if conns[n.Conn] == nil {
			conns[n.Conn] = new(watermark)
		}
		bad = append(bad, conns[n.Conn].raise(n.Conn, n)...)
	}

	all = append(all, Numbers{Span: Span{Never - 1, Never - 1}, Conn: "final", Fresh: true,
		UIDValidity: final.UIDValidity, UIDNext: final.UIDNext, HighestModSeq: final.HighestModSeq})
	byEnd := slices.Clone(all)
	slices.SortStableFunc(byEnd, func(a, b Numbers) int { return int(min(max(a.End-b.End, -1), 1)) })
	var before watermark
	next := 0
	for _, n := range byStart(all, func(n Numbers) Span { return n.Span }) {
		for ; next < len(byEnd) && byEnd[next].Before(n.Span); next++ {
			before.raise("", byEnd[next])
		}
		if n.Fresh {
			mark := before
			bad = append(bad, mark.raise(n.Conn+" (fresh)", n)...)
		}
	}
	return bad
}

// told is what the answers of commands tell of the mailbox: a UID that was given
// is below UIDNEXT, a MODSEQ is not above HIGHESTMODSEQ. They are of no
// connection's order, since they were not told as these numbers.
func (h *History) told() (ns []Numbers) {
	for _, a := range h.appends {
		if a.Acked() && a.UID != 0 {
			ns = append(ns, Numbers{Span: a.Span, UIDValidity: a.UIDValidity, UIDNext: a.UID + 1})
		}
	}
	for _, s := range h.stores {
		if s.Acked() && s.ModSeq != 0 {
			ns = append(ns, Numbers{Span: s.Span, HighestModSeq: s.ModSeq})
		}
	}
	return ns
}
