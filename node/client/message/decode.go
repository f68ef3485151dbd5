package message

import (
	"io"
)

// Decode undoes a Content-Transfer-Encoding, given in upper case (RFC 2045, 6).
// known is false for one that is not known; its octets come as they are. Mistakes
// in an encoding are no errors and do not end the content: what can be decoded is.
func Decode(r io.Reader, encoding string) (decoded io.Reader, known bool) {
	switch encoding {
	case "", "7BIT", "8BIT", "BINARY":
		return r, true
	case "BASE64":
		return &decoder{r: r, step: &base64Step{}}, true
	case "QUOTED-PRINTABLE":
		return &decoder{r: r, step: &qpStep{}}, true
	}
	return r, false
}

// step decodes piece by piece.
type step interface {
	// decode appends what p decodes to; last is set once, with the last piece.
	decode(dst, p []byte, last bool) []byte
}

// decoder reads through a step.
type decoder struct {
	r    io.Reader
	step step
	in   []byte
	out  []byte // decoded, from next on not yet returned
	next int
	err  error
}

func (d *decoder) Read(p []byte) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	if d.in == nil {
		d.in = make([]byte, 8<<10)
	}
	for d.next == len(d.out) {
		if d.err != nil {
			return 0, d.err
		}
		var n int
		n, d.err = d.r.Read(d.in)
		d.next, d.out = 0, d.step.decode(d.out[:0], d.in[:n], d.err == io.EOF)
	}
	n := copy(p, d.out[d.next:])
	d.next += n
	return n, nil
}

// base64Step decodes base64 (RFC 2045, 6.8). Octets outside of the alphabet are
// passed over; after padding more may follow, as where a mailer has joined what it
// encoded apart.
type base64Step struct {
	bits uint32
	n    int // characters in bits
}

func (s *base64Step) decode(dst, p []byte, last bool) []byte {
	for _, c := range p {
		v := uint32(0)
		switch {
		case c >= 'A' && c <= 'Z':
			v = uint32(c - 'A')
		case c >= 'a' && c <= 'z':
			v = uint32(c-'a') + 26
		case c >= '0' && c <= '9':
			v = uint32(c-'0') + 52
		case c == '+':
			v = 62
		case c == '/':
			v = 63
		case c == '=':
			dst = s.flush(dst)
			continue
		default:
			continue
		}
		s.bits = s.bits<<6 | v
		if s.n++; s.n == 4 {
			dst = append(dst, byte(s.bits>>16), byte(s.bits>>8), byte(s.bits))
			s.bits, s.n = 0, 0
		}
	}
	if last {
		dst = s.flush(dst)
	}
	return dst
}

// flush ends a group that is not full.
func (s *base64Step) flush(dst []byte) []byte {
	switch s.n {
	case 2:
		dst = append(dst, byte(s.bits>>4))
	case 3:
		dst = append(dst, byte(s.bits>>10), byte(s.bits>>2))
	}
	s.bits, s.n = 0, 0
	return dst
}

// qpStep decodes quoted-printable (RFC 2045, 6.7). What is no valid escape stays
// as it is. White space at the end of a line was added on the way, and is dropped.
type qpStep struct {
	pending []byte // an escape, or white space, that is not complete
}

// maxPending is how much white space is held back: no line may be longer.
const maxPending = 1000

func (s *qpStep) decode(dst, p []byte, last bool) []byte {
	for _, c := range p {
		dst = s.octet(dst, c)
	}
	if last {
		dst = s.release(dst, nil)
	}
	return dst
}

func (s *qpStep) octet(dst []byte, c byte) []byte {
	white := c == ' ' || c == '\t' || c == '\r'
	switch {
	case len(s.pending) == 0:
		if c == '=' || white {
			s.pending = append(s.pending, c)
			return dst
		}
		return append(dst, c)
	case s.pending[0] != '=':
		// White space: it is content if anything but a line end follows.
		switch {
		case white && len(s.pending) < maxPending:
			s.pending = append(s.pending, c)
			return dst
		case c == '\n':
			if s.pending[len(s.pending)-1] == '\r' {
				dst = append(dst, '\r')
			}
			s.pending = s.pending[:0]
			return append(dst, '\n')
		}
		return s.release(dst, &c)
	case len(s.pending) == 1 && isHex(c):
		s.pending = append(s.pending, c)
		return dst
	case len(s.pending) == 2 && isHex(s.pending[1]):
		if isHex(c) {
			dst = append(dst, hex(s.pending[1])<<4|hex(c))
			s.pending = s.pending[:0]
			return dst
		}
	case white && len(s.pending) < maxPending:
		s.pending = append(s.pending, c) // before the end of a soft line break
		return dst
	case c == '\n':
		s.pending = s.pending[:0] // a soft line break
		return dst
	}
	return s.release(dst, &c)
}

// release gives up on what is pending: it stands for itself. The octet that
// follows is looked at anew.
func (s *qpStep) release(dst []byte, next *byte) []byte {
	dst = append(dst, s.pending...)
	s.pending = s.pending[:0]
	if next != nil {
		dst = s.octet(dst, *next)
	}
	return dst
}

func isHex(c byte) bool {
	return c >= '0' && c <= '9' || c >= 'A' && c <= 'F' || c >= 'a' && c <= 'f'
}

func hex(c byte) byte {
	switch {
	case c <= '9':
		return c - '0'
	case c <= 'F':
		return c - 'A' + 10
	}
	return c - 'a' + 10
}
