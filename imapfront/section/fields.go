package section

import (
	"bytes"
	"io"
)

// maxName is how long a field name can be: a line has 998 octets (RFC 5322,
// 2.1.1). A longer one is no field.
const maxName = 998

// FieldFilter passes the fields of a header on whose names are among some, or
// are not (RFC 9051, 6.4.5.1, HEADER.FIELDS and HEADER.FIELDS.NOT): in their
// order and as they are folded, lines ended by CRLF, and the empty line that ends
// the header, if there is one. What is no field, and what follows the empty line,
// it drops.
// The header is written to it in pieces; it holds no more than a field name.
type FieldFilter struct {
	dst   io.Writer
	names map[string]bool
	not   bool

	state fieldState
	keep  bool   // the field that is being read
	name  []byte // of the field, as far as it has come
	crs   int    // CRs that have come and may be a line's end
	out   []byte
	err   error
}

type fieldState uint8

const (
	lineStart fieldState = iota
	inName
	inValue
	ended
)

// NewFieldFilter returns a filter that writes to dst. Names are compared without
// regard to the case of ASCII letters.
func NewFieldFilter(dst io.Writer, names []string, not bool) *FieldFilter {
	f := &FieldFilter{dst: dst, names: make(map[string]bool, len(names)), not: not}
	for _, n := range names {
		f.names[lower([]byte(n))] = true
	}
	return f
}

func lower(b []byte) string {
	low := make([]byte, len(b))
	for i, c := range b {
		if c >= 'A' && c <= 'Z' {
			c += 'a' - 'A'
		}
		low[i] = c
	}
	return string(low)
}

// Write takes the next octets of the header. Its errors are those of dst.
func (f *FieldFilter) Write(p []byte) (int, error) {
	for _, c := range p {
		if f.state == ended {
			break
		}
		switch c {
		case '\r':
			f.crs++
		case '\n':
			f.endLine()
		default:
			for ; f.crs > 0; f.crs-- {
				f.octet('\r') // it was no line end
			}
			f.octet(c)
		}
	}
	if err := f.flush(); err != nil {
		return 0, err
	}
	return len(p), nil
}

// Close ends the header.
func (f *FieldFilter) Close() error {
	switch f.state {
	case ended:
		f.out = append(f.out, '\r', '\n')
	case inName, inValue:
		f.endLine()
		f.state = ended
	}
	return f.flush()
}

func (f *FieldFilter) flush() error {
	if f.err == nil && len(f.out) > 0 {
		_, f.err = f.dst.Write(f.out)
	}
	f.out = f.out[:0]
	return f.err
}

// octet takes an octet that is not of a line end.
func (f *FieldFilter) octet(c byte) {
	switch f.state {
	case lineStart:
		if c == ' ' || c == '\t' {
			f.state = inValue // goes on with the field before
			f.value(c)
			return
		}
		f.state, f.keep, f.name = inName, false, f.name[:0]
		f.octet(c)
	case inName:
		if c != ':' {
			if f.name = append(f.name, c); len(f.name) > maxName {
				f.state = inValue
			}
			return
		}
		f.state = inValue
		// White space before the colon is obsolete, not another name (RFC 5322, 4.5).
		if f.keep = f.names[lower(bytes.TrimRight(f.name, " \t"))] != f.not; f.keep {
			f.out = append(f.out, f.name...)
			f.value(c)
		}
	case inValue:
		f.value(c)
	}
}

func (f *FieldFilter) value(c byte) {
	if f.keep {
		f.out = append(f.out, c)
	}
}

func (f *FieldFilter) endLine() {
	f.crs = 0
	switch f.state {
	case lineStart:
		f.state = ended
		return
	case inValue:
		if f.keep {
			f.out = append(f.out, '\r', '\n')
		}
	}
	f.state = lineStart
}

// Fields returns what a FieldFilter makes of a header that is at hand.
func Fields(header []byte, names []string, not bool) []byte {
	var out bytes.Buffer
	f := NewFieldFilter(&out, names, not)
	_, _ = f.Write(header) // a buffer takes everything
	_ = f.Close()          // likewise
	return out.Bytes()
}
