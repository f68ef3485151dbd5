package wire

import "github.com/quorumail/quorumail/proto/imapnum"

// PartialRange names some of the results of a search, or of the messages of a
// FETCH, by their places: from First to Last or from Last to First, 1 being the
// first result or, with FromEnd, the last (RFC 9394, 3.1). The zero value names
// none and says that no range was given.
type PartialRange struct {
	First, Last uint32 // in the client's order
	FromEnd     bool
}

// Bounds returns the lower and the higher place.
func (p PartialRange) Bounds() (from, to uint64) {
	return uint64(min(p.First, p.Last)), uint64(max(p.First, p.Last))
}

// Of returns what of a list of numbers, given as ranges in their order, is in p,
// in the same order. It is empty if p names no places that the list has.
func (p PartialRange) Of(list []imapnum.Range) []imapnum.Range {
	from, to := p.Bounds()
	return imapnum.Places(list, from, to, p.FromEnd)
}

// In does so for a list of n: it names those from i up to j, without it.
func (p PartialRange) In(n int) (i, j int) {
	from, to := p.Bounds()
	if from > uint64(n) {
		return 0, 0
	}
	i, j = int(from)-1, int(min(to, uint64(n)))
	if p.FromEnd {
		i, j = n-j, n-i
	}
	return i, j
}

// partialRange reads a partial-range (RFC 9394, 4).
func (p *parser) partialRange() PartialRange {
	r := PartialRange{FromEnd: p.try('-')}
	r.First = p.nzNumber()
	p.char(':')
	if r.FromEnd {
		p.char('-')
	}
	r.Last = p.nzNumber()
	return r
}

// partialRange prints the range that was asked for. 4:2 is the same as 2:4 (RFC
// 5267, 5), and told as that, since some clients look for it.
func (w *Writer) partialRange(p PartialRange) *Writer {
	sign := ""
	if p.FromEnd {
		sign = "-"
	}
	from, to := p.Bounds()
	return w.Raw(sign, from, ":", sign, to)
}
