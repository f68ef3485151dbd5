package section

import (
	"bytes"
	"io"

	"github.com/quorumail/quorumail/imapfront/wire"
)

// span is what a partial fetch asks for of a content that comes in pieces.
type span struct{ skip, left uint64 }

func newSpan(p *wire.Partial) span {
	if p == nil {
		return span{left: 1<<64 - 1}
	}
	return span{p.Offset, p.Length}
}

// of returns what is asked for of the next octets.
func (s *span) of(p []byte) []byte {
	drop := min(s.skip, uint64(len(p)))
	s.skip -= drop
	p = p[drop:]
	p = p[:min(uint64(len(p)), s.left)]
	s.left -= uint64(len(p))
	return p
}

// NewWindow returns a writer of a content that passes on what p asks for, all of
// it if p is nil.
func NewWindow(w io.Writer, p *wire.Partial) io.Writer { return &window{w, newSpan(p)} }

type window struct {
	w    io.Writer
	span span
}

func (w *window) Write(p []byte) (int, error) {
	if part := w.span.of(p); len(part) > 0 {
		if _, err := w.w.Write(part); err != nil {
			return 0, err
		}
	}
	return len(p), nil
}

// A Meter takes a content whose size is not known before, and finds out what has
// to be announced of it: how many octets a partial fetch gets, and whether NUL is
// one of them. It keeps those octets as long as they are few, so that the content
// need not be decoded again to be sent.
type Meter struct {
	keep        int
	span        span
	size, taken uint64
	hasNUL      bool
	kept        []byte
}

// NewMeter returns a Meter for what p asks for, all of it if p is nil, that keeps
// at most keep octets.
func NewMeter(p *wire.Partial, keep int) *Meter {
	return &Meter{keep: keep, span: newSpan(p)}
}

// Write takes the next octets of the content. It never fails.
func (m *Meter) Write(p []byte) (int, error) {
	n := len(p)
	m.size += uint64(n)
	p = m.span.of(p)
	m.taken += uint64(len(p))
	m.hasNUL = m.hasNUL || bytes.IndexByte(p, 0) >= 0
	if m.taken <= uint64(m.keep) {
		m.kept = append(m.kept, p...)
	} else {
		m.kept = nil
	}
	return n, nil
}

// Size is how many octets the whole content has.
func (m *Meter) Size() uint64 { return m.size }

// Taken is how many octets were asked for and are there.
func (m *Meter) Taken() uint64 { return m.taken }

// HasNUL reports whether NUL is one of those.
func (m *Meter) HasNUL() bool { return m.hasNUL }

// Kept returns those octets; ok is false if they are too many.
func (m *Meter) Kept() (octets []byte, ok bool) {
	return m.kept, m.taken <= uint64(m.keep)
}
