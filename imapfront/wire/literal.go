package wire

import (
	"bytes"
	"io"
	"math"
)

// trailingLiteral looks for the announcement of a literal at the end of a line:
// "{n}" or "{n+}" (RFC 9051, 9; RFC 7888, 8).
func trailingLiteral(line []byte) (size int64, nonSync, ok bool) {
	size, nonSync, _, ok = literalAt(line)
	return size, nonSync, ok
}

// literalAt also returns where the announcement starts. A size beyond the
// grammar's 63 bits is the highest there is: it is refused as too large, since
// as text its octets would be taken for commands.
func literalAt(line []byte) (size int64, nonSync bool, start int, ok bool) {
	i := len(line) - 1
	if i < 0 || line[i] != '}' {
		return 0, false, 0, false
	}
	if i--; i >= 0 && line[i] == '+' {
		nonSync = true
		i--
	}
	end := i + 1
	for i >= 0 && isDigit(line[i]) {
		i--
	}
	if i < 0 || line[i] != '{' || i+1 == end {
		return 0, false, 0, false
	}
	for _, c := range line[i+1 : end] {
		if size > (math.MaxInt64-9)/10 {
			return math.MaxInt64, nonSync, i, true
		}
		size = size*10 + int64(c-'0')
	}
	return size, nonSync, i, true
}

// literal reads an argument literal whole and goes on with the line after it.
func (p *parser) literal() string {
	octets := p.octets(math.MaxInt64, "TOOBIG")
	p.noNUL(octets)
	return string(octets)
}

// octets reads the octets of a literal or, after its "~", of a literal8, whole
// and goes on with the line after it. One of more than most octets is refused
// with a response code.
func (p *parser) octets(most int64, code string) []byte {
	size, nonSync, start, ok := literalAt(p.r.line)
	if !ok || start != p.r.at {
		p.fail("malformed literal")
		return nil
	}
	if p.err != nil {
		return nil
	}
	if size > min(most, p.r.limits.Literal-p.r.args) {
		if size <= most {
			code = "TOOBIG" // together with those before it
		}
		p.err = &SyntaxError{Code: code, Text: "the literal is larger than is accepted here", No: true}
		return nil
	}
	p.r.args += size
	if !nonSync {
		if p.err = p.r.cont(); p.err != nil {
			return nil
		}
	}
	var octets []byte
	if octets, p.err = p.r.readLiteral(size); p.err != nil {
		return nil
	}
	if p.err = p.r.nextLine(); p.err != nil {
		return nil
	}
	return octets
}

// noNUL refuses NUL, which only a literal8 can hold.
func (p *parser) noNUL(octets []byte) {
	if bytes.IndexByte(octets, 0) >= 0 {
		p.fail("NUL in a literal")
	}
}

// readLiteral reads size octets. Memory is taken as they come, not as they are
// announced.
func (r *Reader) readLiteral(size int64) ([]byte, error) {
	buf := make([]byte, 0, min(size, bufferSize))
	for int64(len(buf)) < size {
		if len(buf) == cap(buf) {
			grown := make([]byte, len(buf), min(size, 2*int64(cap(buf))))
			copy(grown, buf)
			buf = grown
		}
		n, err := r.in.Read(buf[len(buf):cap(buf)])
		if err == io.EOF {
			err = io.ErrUnexpectedEOF
		}
		if err != nil {
			return nil, err
		}
		buf = buf[:len(buf)+n]
	}
	return buf, nil
}
