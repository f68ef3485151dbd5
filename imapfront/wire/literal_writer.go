package wire

import (
	"bytes"
	"fmt"
	"io"
)

// LiteralWriter takes the octets of a literal that has been announced. What is
// written beyond its size is an error, and so is closing it before: the client
// could not tell data from responses any more, so that the connection is broken
// off.
type LiteralWriter struct {
	w      *Writer
	size   uint64
	left   uint64
	binary bool
}

// BeginLiteral announces a literal of size octets (RFC 9051, 4.3), which are
// then written and the literal closed before anything else is printed. With
// binary it is a literal8 (RFC 3516); else NUL, which a literal cannot hold, is
// sent as 0x80.
func (w *Writer) BeginLiteral(size uint64, binary bool) *LiteralWriter {
	if binary {
		w.Raw("~")
	}
	w.Raw("{", size, "}\r\n")
	return &LiteralWriter{w: w, size: size, left: size, binary: binary}
}

// Write takes the next octets of the literal. It returns the connection's first
// error.
func (l *LiteralWriter) Write(p []byte) (int, error) {
	if uint64(len(p)) > l.left {
		l.w.fail(fmt.Errorf("wire: literal of %d octets: there are more", l.size))
	}
	if err := l.w.out.err; err != nil {
		return 0, err
	}
	l.left -= uint64(len(p))
	for rest := p; len(rest) > 0; {
		i := -1
		if !l.binary {
			i = bytes.IndexByte(rest, 0)
		}
		if i < 0 {
			l.w.out.write(rest)
			break
		}
		l.w.out.write(rest[:i])
		l.w.out.write([]byte{0x80})
		rest = rest[i+1:]
	}
	if err := l.w.out.err; err != nil {
		return 0, err
	}
	return len(p), nil
}

// Close ends the literal.
func (l *LiteralWriter) Close() error {
	if l.left > 0 {
		l.w.fail(fmt.Errorf("wire: literal of %d octets broken off after %d: %w", l.size, l.size-l.left, io.ErrUnexpectedEOF))
	}
	return l.w.out.err
}

// Literal prints a literal of size octets that are read from r; see
// BeginLiteral. Fewer octets than announced break the connection off.
func (w *Writer) Literal(size uint64, r io.Reader, binary bool) *Writer {
	l := w.BeginLiteral(size, binary)
	buf := make([]byte, min(size, bufferSize))
	for l.left > 0 && w.out.err == nil {
		n, err := readSome(r, buf[:min(l.left, uint64(len(buf)))])
		if err != nil {
			w.fail(fmt.Errorf("wire: literal of %d octets broken off after %d: %w", size, size-l.left, err))
			break
		}
		_, _ = l.Write(buf[:n]) // its error sticks
	}
	return w
}
