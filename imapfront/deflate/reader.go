package deflate

import (
	"errors"
	"io"
)

const (
	maxHistory = 32 << 10
	// smallInput is what is read at once while little comes, largeInput otherwise.
	smallInput = 256
	largeInput = 4 << 10
)

// ErrCorrupt says that what came is not compressed as it should be.
var ErrCorrupt = errors.New("deflate: malformed data")

// Reader decompresses. It must not be used by two goroutines at once.
//
// Read returns after a line end at the latest, and has then decoded nothing
// beyond it: what comes next may be meant otherwise, see End.
type Reader struct {
	src   io.Reader
	small [smallInput]byte
	large []byte // nil: small is in use
	in    []byte // of it, read and not yet used
	full  bool   // the last read filled the buffer: more is likely

	bits  uint64 // taken from in and not yet used, the next one lowest
	nbits uint

	step   func(*Reader) progress
	last   bool    // the current block is the last
	left   int     // octets left of a stored block
	tables *tables // of a block under way
	length int     // octets left of a match
	dist   int     // where that comes from

	hist []byte // ring of what has been decoded; its size is a power of two
	at   uint64 // octets decoded so far

	out    []byte // where Read's octets go
	n      int    // how many there are
	line   bool   // the last of them is a line end
	ending bool
	raw    bool
	err    error
}

// progress is what a step came to.
type progress uint8

const (
	goOn progress = iota
	wantBits
	malformed
	ended // the compressed data are over
)

// NewReader returns a Reader of src.
func NewReader(src io.Reader) *Reader { return &Reader{src: src, step: (*Reader).header} }

// Pending reports whether octets have come that have not been used.
func (r *Reader) Pending() bool { return len(r.in) > 0 || r.nbits >= 8 }

// End says that nothing compressed follows what has been read, but the end of its
// last block or an empty block, as flushes make them. From there on octets are
// passed on as they are.
func (r *Reader) End() { r.ending = true }

// Read decompresses into p. It reads from the source only if there is nothing to
// be returned without. The error is that of the source, or ErrCorrupt.
func (r *Reader) Read(p []byte) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	r.out, r.n, r.line = p, 0, false
	defer func() { r.out = nil }()
	for r.err == nil && !r.raw {
		for len(r.in) > 0 && r.nbits <= 56 {
			r.bits |= uint64(r.in[0]) << r.nbits
			r.nbits += 8
			r.in = r.in[1:]
		}
		if r.n == len(p) || r.line {
			return r.n, nil
		}
		switch r.step(r) {
		case malformed:
			r.err = ErrCorrupt
		case ended:
			if r.raw = r.ending; !r.raw {
				r.err = io.EOF
			}
		case wantBits:
			if len(r.in) > 0 {
				continue // there was no room for them
			}
			if r.n > 0 {
				return r.n, nil
			}
			r.err = r.fill()
		}
		if r.ending && r.n > 0 {
			r.err, r.n = ErrCorrupt, 0
		}
	}
	if r.n > 0 {
		return r.n, nil
	}
	if r.raw {
		return r.pass(p)
	}
	return 0, r.err
}

// pass reads octets as they are.
func (r *Reader) pass(p []byte) (int, error) {
	n := 0
	for ; n < len(p) && r.nbits >= 8; n++ {
		p[n] = byte(r.bits)
		r.drop(8)
	}
	if n == 0 && len(r.in) == 0 {
		r.large, r.hist = nil, nil
		return r.src.Read(p)
	}
	m := copy(p[n:], r.in)
	r.in = r.in[m:]
	return n + m, nil
}

// fill reads once from the source. All that was read before has been used.
func (r *Reader) fill() error {
	buf := r.small[:]
	switch {
	case r.full && r.large == nil:
		r.large = make([]byte, largeInput)
		buf = r.large
	case r.full:
		buf = r.large
	default:
		r.large = nil
	}
	for range 100 {
		n, err := r.src.Read(buf)
		if n > 0 {
			r.in, r.full = buf[:n], n == len(buf)
			return nil // an error comes again
		}
		if err != nil {
			return err // an end within a block is as good as any: who flushes need not end it
		}
	}
	return io.ErrNoProgress
}

// drop uses n bits.
func (r *Reader) drop(n uint) {
	r.bits >>= n
	r.nbits -= n
}

// take uses n bits and returns them; there must be so many.
func (r *Reader) take(n uint) int {
	v := int(r.bits & (1<<n - 1))
	r.drop(n)
	return v
}

// put hands out a decoded octet.
func (r *Reader) put(c byte) {
	if r.at == uint64(len(r.hist)) && len(r.hist) < maxHistory {
		// Not yet a ring: it grows with what there is.
		grown := make([]byte, max(2*len(r.hist), 1<<10))
		copy(grown, r.hist)
		r.hist = grown
	}
	r.hist[r.at&uint64(len(r.hist)-1)] = c
	r.at++
	r.out[r.n] = c
	r.n++
	r.line = c == '\n'
}

// room reports whether another octet is wanted.
func (r *Reader) room() bool { return r.n < len(r.out) && !r.line }
