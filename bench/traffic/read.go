package traffic

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
)

const (
	// maxLine bounds a response without its literals. SEARCH may name a million
	// UIDs in one line.
	maxLine = 32 << 20
	// maxLiteral bounds a literal that is kept in its line; callbacks that stream
	// literals take any size.
	maxLiteral = 64 << 20
)

// literalFunc consumes a literal of size octets; before is the line up to it.
type literalFunc func(before []byte, size int64, r io.Reader) error

// readLine reads one response. The line is without its CRLF and valid until the
// next read. Literals are part of it as they came, "{5}\r\nhello"; if stream is
// not nil it takes their contents instead, and they stand in the line as
// "{0}\r\n". The second result is whether the line has literals.
func (c *Conn) readLine(stream literalFunc) ([]byte, bool, error) {
	part, err := c.readPart()
	if err != nil {
		return nil, false, err
	}
	head, size, ok := trailingLiteral(part)
	if !ok || isText(part) {
		return part, false, nil
	}
	buf := c.line[:0]
	for ok {
		buf = append(buf, part[:head]...)
		if buf, err = c.readLiteral(buf, size, stream); err != nil {
			return nil, true, err
		}
		if part, err = c.readPart(); err != nil {
			return nil, true, err
		}
		if len(buf)+len(part) > maxLine+maxLiteral {
			return nil, true, violation(part, "a response longer than %d octets", maxLine+maxLiteral)
		}
		head, size, ok = trailingLiteral(part)
	}
	buf = append(buf, part...)
	c.line = buf
	return buf, true, nil
}

// readLiteral appends a literal to the line in buf.
func (c *Conn) readLiteral(buf []byte, size int64, stream literalFunc) ([]byte, error) {
	if stream != nil {
		lr := &io.LimitedReader{R: c.r, N: size}
		if err := stream(buf, size, lr); err != nil {
			return nil, err
		}
		if _, err := io.Copy(io.Discard, lr); err != nil {
			return nil, err
		}
		if lr.N > 0 {
			return nil, fmt.Errorf("inside a literal: %w", io.ErrUnexpectedEOF)
		}
		return append(buf, "{0}\r\n"...), nil
	}
	if size > maxLiteral || len(buf) > maxLine {
		return nil, violation(buf, "a literal of at most %d octets, it has %d", maxLiteral, size)
	}
	buf = fmt.Appendf(buf, "{%d}\r\n", size)
	// In steps: memory follows what is sent, not what is announced.
	for size > 0 {
		at, step := len(buf), min(size, 256<<10)
		buf = append(buf, make([]byte, step)...)
		if _, err := io.ReadFull(c.r, buf[at:]); err != nil {
			return nil, fmt.Errorf("inside a literal: %w", err)
		}
		size -= step
	}
	return buf, nil
}

// readPart reads up to CRLF, which is cut off.
func (c *Conn) readPart() ([]byte, error) {
	part, err := c.r.ReadSlice('\n')
	if errors.Is(err, bufio.ErrBufferFull) {
		long := append(c.long[:0], part...)
		for errors.Is(err, bufio.ErrBufferFull) {
			part, err = c.r.ReadSlice('\n')
			if long = append(long, part...); len(long) > maxLine {
				return nil, violation(long, "a line longer than %d octets", maxLine)
			}
		}
		c.long, part = long, long
	}
	if err != nil {
		if len(part) > 0 && errors.Is(err, io.EOF) {
			err = fmt.Errorf("inside a line: %w", io.ErrUnexpectedEOF)
		}
		return nil, err
	}
	if !bytes.HasSuffix(part, crlf) {
		return nil, violation(part, "a line ends with CRLF (RFC 9051, 2.2)")
	}
	return part[:len(part)-2], nil
}

var crlf = []byte("\r\n")

// trailingLiteral reports whether line ends by announcing a literal, where the
// announcement begins (literal8's "~" stays before it), and the size.
func trailingLiteral(line []byte) (head int, size int64, ok bool) {
	if len(line) < 3 || line[len(line)-1] != '}' {
		return 0, 0, false
	}
	head = bytes.LastIndexByte(line, '{')
	if head < 0 || len(line)-head-2 < 1 || len(line)-head-2 > 18 {
		return 0, 0, false
	}
	for _, b := range line[head+1 : len(line)-1] {
		if b < '0' || b > '9' {
			return 0, 0, false
		}
		size = size*10 + int64(b-'0')
	}
	return head, size, true
}

// isText reports whether line is a status or a continuation, whose text for
// humans may end like a literal.
func isText(line []byte) bool {
	if len(line) == 0 || line[0] != '*' {
		return true // "+" or tagged
	}
	return isStatusWord(keyword(line))
}

// keyword returns the first word after "* ".
func keyword(line []byte) []byte {
	if len(line) < 2 {
		return nil
	}
	return firstWord(line[2:])
}

func firstWord(b []byte) []byte {
	if i := bytes.IndexByte(b, ' '); i >= 0 {
		return b[:i]
	}
	return b
}

func isStatusWord(word []byte) bool {
	switch len(word) {
	case 2, 3, 7:
	default:
		return false
	}
	for _, s := range []string{"OK", "NO", "BAD", "BYE", "PREAUTH"} {
		if bytes.EqualFold(word, []byte(s)) {
			return true
		}
	}
	return false
}
