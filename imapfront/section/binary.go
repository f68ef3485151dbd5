package section

import (
	"bytes"
	"errors"
	"io"

	"github.com/quorumail/quorumail/imapfront/wire"
	"github.com/quorumail/quorumail/node/client/message"
	pb "github.com/quorumail/quorumail/proto/quorumail/v1"
)

// ErrUnknownCTE says that a part's Content-Transfer-Encoding is none that can be
// undone. The command that asks for it fails with NO [UNKNOWN-CTE] (RFC 9051,
// 7.5.2).
var ErrUnknownCTE = errors.New("unknown content transfer encoding")

// Binary is the content of a part as BINARY and BINARY.SIZE see it: with its
// transfer encoding undone.
type Binary struct {
	// Range is where the encoded octets are.
	Range Range
	// Encoding in upper case.
	Encoding string
	// Lines is set for text whose encoding keeps its lines: they are sent with
	// CRLF, however they are stored (RFC 9051, 7.5.2). Base64 and binary hide line
	// ends from whoever stores them; there they are content, as an LF that is
	// written as "=0A" is.
	Lines bool
}

// FindBinary returns the content of a part; ok is false if there is no such part.
// RFC 9051, 6.4.5 speaks of leaves only. A multipart, a message and, for no
// numbers, the whole message are handed out as they are.
func FindBinary(e *pb.Email, numbers []uint32) (b Binary, ok bool) {
	if len(numbers) == 0 {
		return Binary{Range: Range{0, e.GetSize()}, Encoding: "BINARY"}, true
	}
	p := Part(e.GetStructure(), numbers)
	if p == nil {
		return Binary{}, false
	}
	b = Binary{Range: body(e, p), Encoding: p.GetEncoding()}
	if p.GetType() == "MULTIPART" || isMessage(p) {
		b.Encoding = "BINARY"
	}
	switch b.Encoding {
	case "7BIT", "8BIT", "QUOTED-PRINTABLE":
		b.Lines = p.GetType() == "TEXT"
	}
	return b, true
}

// Content is the range and the encoding that FindBinary returns.
func Content(e *pb.Email, numbers []uint32) (r Range, encoding string, ok bool) {
	b, ok := FindBinary(e, numbers)
	return b.Range, b.Encoding, ok
}

// Decode returns the content, of encoded octets that are read from r: those of
// b.Range. Mistakes in an encoding end nothing; other errors are those of r, but
// for ErrUnknownCTE.
func (b Binary) Decode(r io.Reader) (io.Reader, error) {
	if b.Lines {
		r = &crlfReader{r: r}
	}
	decoded, known := message.Decode(r, b.Encoding)
	if !known {
		return nil, ErrUnknownCTE
	}
	return decoded, nil
}

// Measure reads all of the encoded octets and returns how many the content has,
// and whether NUL is one of them: such content can only be sent as a literal8
// (RFC 3516, 4.3).
func (b Binary) Measure(r io.Reader) (size uint64, hasNUL bool, err error) {
	decoded, err := b.Decode(r)
	if err != nil {
		return 0, false, err
	}
	var m meter
	_, err = io.Copy(&m, decoded)
	return m.size, m.hasNUL, err
}

// meter looks at octets and forgets them.
type meter struct {
	size   uint64
	hasNUL bool
}

func (m *meter) Write(p []byte) (int, error) {
	m.size += uint64(len(p))
	m.hasNUL = m.hasNUL || bytes.IndexByte(p, 0) >= 0
	return len(p), nil
}

// Slice returns what a partial fetch asks for of a content of size octets that
// are read from r, and how many octets that is.
func Slice(r io.Reader, size uint64, p *wire.Partial) (io.Reader, uint64) {
	cut := Range{Length: size}.Cut(p)
	return &sliceReader{r: r, skip: cut.Offset, left: cut.Length}, cut.Length
}

// sliceReader reads left octets after skip.
type sliceReader struct {
	r          io.Reader
	skip, left uint64
}

func (s *sliceReader) Read(p []byte) (int, error) {
	for s.skip > 0 && s.left > 0 {
		n, err := io.CopyN(io.Discard, s.r, int64(min(s.skip, 1<<30)))
		s.skip -= uint64(n)
		if err != nil {
			return 0, err
		}
	}
	if s.left == 0 {
		return 0, io.EOF
	}
	n, err := s.r.Read(p[:min(uint64(len(p)), s.left)])
	s.left -= uint64(n)
	return n, err
}

// crlfReader makes every line end CRLF.
type crlfReader struct {
	r   io.Reader
	in  []byte // read and not yet returned
	buf []byte
	cr  bool // the last octet returned was a CR
	lf  bool // an LF is due
	err error
}

func (c *crlfReader) Read(p []byte) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	if c.buf == nil {
		c.buf = make([]byte, 4096)
	}
	for len(c.in) == 0 && !c.lf {
		if c.err != nil {
			return 0, c.err
		}
		var n int
		n, c.err = c.r.Read(c.buf)
		c.in = c.buf[:n]
	}
	n := 0
	for n < len(p) && (c.lf || len(c.in) > 0) {
		if c.lf {
			p[n], c.lf, c.cr = '\n', false, false
			n++
			continue
		}
		o := c.in[0]
		c.in = c.in[1:]
		if o == '\n' && !c.cr {
			p[n], c.lf = '\r', true
		} else {
			p[n] = o
		}
		c.cr = p[n] == '\r' && !c.lf
		n++
	}
	return n, nil
}
