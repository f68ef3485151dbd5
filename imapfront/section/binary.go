package section

import (
	"errors"
	"io"

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
	// Leaf is not set for a multipart, a message in a message and the whole message.
	// RFC 9051, 6.4.5 has BINARY for leaves only; RFC 3516 knows no such bound, and
	// there they are handed out as they are.
	Leaf bool
	// Lines is set for text whose encoding keeps its lines: they are sent with
	// CRLF, however they are stored (RFC 9051, 7.5.2). Base64 and binary hide line
	// ends from whoever stores them; there they are content, as an LF that is
	// written as "=0A" is.
	Lines bool
}

// FindBinary returns the content of a part, of the whole message for no numbers;
// ok is false if there is no such part.
func FindBinary(e *pb.Email, numbers []uint32) (b Binary, ok bool) {
	if len(numbers) == 0 {
		return Binary{Range: Range{0, e.GetSize()}, Encoding: "BINARY"}, true
	}
	p := Part(e.GetStructure(), numbers)
	if p == nil {
		return Binary{}, false
	}
	b = Binary{Range: body(e, p), Encoding: p.GetEncoding(), Leaf: true}
	if p.GetType() == "MULTIPART" || isMessage(p) {
		b.Encoding, b.Leaf = "BINARY", false
	}
	switch b.Encoding {
	case "7BIT", "8BIT", "QUOTED-PRINTABLE":
		b.Lines = p.GetType() == "TEXT"
	}
	return b, true
}

// Decodable reports whether the encoding is one that can be undone.
func (b Binary) Decodable() bool {
	_, known := message.Decode(nil, b.Encoding)
	return known
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
