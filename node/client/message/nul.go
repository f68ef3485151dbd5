package message

import (
	"bytes"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"strings"

	pb "github.com/quorumail/quorumail/proto/quorumail/v1"
)

// ErrNUL says that a message has NUL octets where no transfer encoding can hide
// them: in a header, between parts, or in what is encoded already.
var ErrNUL = errors.New("NUL octets outside of a part that can be encoded")

// WithoutNUL returns a message of size octets with each part whose body has NUL
// octets in base64, and the rest as it is: IMAP can say no NUL but in BINARY, so
// what is stored must be what BODYSTRUCTURE and BODY can tell (RFC 3516, 4.4 and
// 6). The content of the parts stays what it was. It reads src three times, the
// last time by what is returned, and holds one header.
func WithoutNUL(src io.ReaderAt, size int64) (io.Reader, error) {
	s := newScanner()
	if _, err := io.Copy(writerFunc(func(p []byte) { s.write(p) }), io.NewSectionReader(src, 0, size)); err != nil {
		return nil, fmt.Errorf("message: %w", err)
	}
	s.end()
	parts, err := withNUL(src, size, leaves(nil, s.root.part, true))
	if err != nil {
		return nil, err
	}
	var pieces []io.Reader
	at := int64(0)
	for _, l := range parts {
		head, body, end := int64(l.part.GetHeaderOffset()), int64(l.part.GetBodyOffset()), int64(l.part.GetBodyOffset()+l.part.GetSize())
		header, err := l.encodedHeader(io.NewSectionReader(src, head, body-head))
		if err != nil {
			return nil, err
		}
		pieces = append(pieces, io.NewSectionReader(src, at, head-at), bytes.NewReader(header),
			&base64Lines{r: io.NewSectionReader(src, body, end-body)})
		if at = end; at == size {
			pieces = append(pieces, strings.NewReader("\r\n"))
		}
	}
	return io.MultiReader(append(pieces, io.NewSectionReader(src, at, size-at))...), nil
}

type writerFunc func(p []byte)

func (f writerFunc) Write(p []byte) (int, error) {
	f(p)
	return len(p), nil
}

// leaf is a part without parts.
type leaf struct {
	part *pb.BodyPart
	root bool // of a message
}

// leaves appends the leaves of a part, in the order in which they stand.
func leaves(list []leaf, p *pb.BodyPart, root bool) []leaf {
	if len(p.GetParts()) == 0 {
		return append(list, leaf{p, root})
	}
	for _, child := range p.GetParts() {
		list = leaves(list, child, p.GetType() == "MESSAGE")
	}
	return list
}

// withNUL returns those of the leaves that have NUL octets.
func withNUL(src io.ReaderAt, size int64, all []leaf) (found []leaf, err error) {
	buf := make([]byte, 32<<10)
	for at := int64(0); at < size; {
		n, err := src.ReadAt(buf[:min(int64(len(buf)), size-at)], at)
		if n == 0 {
			return nil, fmt.Errorf("message: %w", err)
		}
		i := bytes.IndexByte(buf[:n], 0)
		if i < 0 {
			at += int64(n)
			continue
		}
		nul := uint64(at) + uint64(i)
		for len(all) > 0 && all[0].part.GetBodyOffset()+all[0].part.GetSize() <= nul {
			all = all[1:]
		}
		if len(all) == 0 || all[0].part.GetBodyOffset() > nul || !identity(all[0].part.GetEncoding()) {
			return nil, ErrNUL
		}
		found = append(found, all[0])
		at = int64(all[0].part.GetBodyOffset() + all[0].part.GetSize())
	}
	return found, nil
}

// identity reports whether an encoding leaves octets as they are.
func identity(encoding string) bool {
	return encoding == "7BIT" || encoding == "8BIT" || encoding == "BINARY"
}

// encodedHeader returns a part's header with the encoding changed.
func (l leaf) encodedHeader(r *io.SectionReader) ([]byte, error) {
	if r.Size() > maxHeader {
		return nil, ErrNUL
	}
	raw, err := io.ReadAll(r)
	if err != nil {
		return nil, fmt.Errorf("message: %w", err)
	}
	var out []byte
	mime, drop := !l.root, false
	for line := range bytes.Lines(raw) {
		if len(bytes.TrimRight(line, "\r\n")) == 0 {
			break
		}
		if line[0] != ' ' && line[0] != '\t' {
			name, _, _ := bytes.Cut(line, []byte(":"))
			name = bytes.TrimRight(name, " \t")
			mime = mime || bytes.EqualFold(name, []byte("MIME-Version"))
			drop = bytes.EqualFold(name, []byte("Content-Transfer-Encoding"))
		}
		if !drop {
			out = append(out, line...)
		}
	}
	if !mime {
		out = append(out, "MIME-Version: 1.0\r\n"...)
	}
	return append(out, "Content-Transfer-Encoding: base64\r\n\r\n"...), nil
}

// base64Lines reads what it reads in base64, in lines of 76 characters; after the
// last there is no line end (RFC 2045, 6.8).
type base64Lines struct {
	r     io.Reader
	raw   [57]byte
	out   [2 + 76]byte
	rest  []byte // of out
	begun bool
	err   error
}

func (b *base64Lines) Read(p []byte) (int, error) {
	for len(b.rest) == 0 {
		if b.err != nil {
			return 0, b.err
		}
		var n int
		n, b.err = io.ReadFull(b.r, b.raw[:])
		if errors.Is(b.err, io.ErrUnexpectedEOF) {
			b.err = io.EOF
		}
		if n == 0 {
			continue
		}
		b.rest = append(b.out[:0], "\r\n"...)
		b.rest = base64.StdEncoding.AppendEncode(b.rest, b.raw[:n])
		if !b.begun {
			b.rest, b.begun = b.rest[2:], true
		}
	}
	n := copy(p, b.rest)
	b.rest = b.rest[n:]
	return n, nil
}
