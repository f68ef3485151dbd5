package wire

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
)

// Limits bounds what a client may send. Zero fields take DefaultLimits.
type Limits struct {
	// Line bounds the octets of one line of a command.
	Line int
	// Literal bounds a literal that is an argument (names, passwords, search
	// strings), and all of one command together.
	Literal int64
	// Append bounds a message literal.
	Append int64
}

// DefaultLimits suit clients that name many UIDs at once.
func DefaultLimits() Limits { return Limits{Line: 256 << 10, Literal: 256 << 10, Append: 64 << 20} }

const (
	// maxDrop bounds what is read only to be thrown away, to find the start of
	// the next command.
	maxDrop = 1 << 20
	// bufferSize is the read buffer of a connection.
	bufferSize = 4096
)

// Errors that end a connection.
var (
	// ErrTooLong: a line, or a literal to be dropped, has no end in sight.
	ErrTooLong = errors.New("line or literal far too long")
	// ErrTLS: the client speaks TLS on a port without it.
	ErrTLS = errors.New("a TLS handshake on a plaintext port")
)

// SyntaxError says what is wrong with a command; the answer is BAD, or NO if No
// is set.
type SyntaxError struct {
	Tag  string // "*" if the command has none that could be answered
	Code string // response code without brackets, e.g. "TOOBIG"; often empty
	Text string
	No   bool
}

func (e *SyntaxError) Error() string { return e.Text }

// Reader parses what a client sends.
type Reader struct {
	br     *bufio.Reader
	limits Limits
	cont   func() error
	utf8   bool

	// line is the current line without its end, at the place up to which it is
	// parsed.
	line []byte
	at   int
	// args counts the octets of argument literals of the current command.
	args int64
	// body is what remains of the announced message literal; nil: none.
	body *literalBody
}

// NewReader returns a Reader of r. Before it reads a synchronising literal that
// is within the limits it calls cont, which sends "+ …" to the client.
func NewReader(r io.Reader, limits Limits, cont func() error) *Reader {
	def := DefaultLimits()
	if limits.Line == 0 {
		limits.Line = def.Line
	}
	if limits.Literal == 0 {
		limits.Literal = def.Literal
	}
	if limits.Append == 0 {
		limits.Append = def.Append
	}
	return &Reader{br: bufio.NewReaderSize(r, bufferSize), limits: limits, cont: cont}
}

// Reset makes the Reader read from another connection, as after STARTTLS. What
// has been buffered of the old one is dropped (RFC 9051, 6.2.1, 11.1).
func (r *Reader) Reset(src io.Reader) { r.br.Reset(src) }

// Buffered returns how many octets have been received and not been parsed: not
// 0 if the client pipelines.
func (r *Reader) Buffered() int { return r.br.Buffered() }

// SetUTF8 says how mailbox names are to be read from now on: UTF-8 (IMAP4rev2 or
// UTF8=ACCEPT enabled) or modified UTF-7 (IMAP4rev1).
func (r *Reader) SetUTF8(on bool) { r.utf8 = on }

// readLine reads a line into r.line. An LF alone ends it too.
func (r *Reader) readLine(limit int) error {
	r.line, r.at = nil, 0
	for {
		part, err := r.br.ReadSlice('\n')
		if len(r.line)+len(part) > limit {
			return r.dropLine(part, err)
		}
		if err == nil && r.line == nil {
			r.line = append([]byte(nil), part...)
		} else {
			r.line = append(r.line, part...)
		}
		if err == nil {
			break
		}
		if len(r.line) >= 2 && r.line[0] == 0x16 && r.line[1] == 0x03 {
			return ErrTLS
		}
		if !errors.Is(err, bufio.ErrBufferFull) {
			return err
		}
	}
	if len(r.line) >= 2 && r.line[0] == 0x16 && r.line[1] == 0x03 {
		return ErrTLS
	}
	r.line = bytes.TrimSuffix(r.line[:len(r.line)-1], []byte{'\r'})
	return nil
}

// dropLine reads to the end of a line that is too long.
func (r *Reader) dropLine(part []byte, err error) error {
	tag := tagOf(append(r.line, part[:min(len(part), 64)]...))
	r.line = nil
	for dropped := len(part); errors.Is(err, bufio.ErrBufferFull); dropped += len(part) {
		if dropped > maxDrop {
			return ErrTooLong
		}
		part, err = r.br.ReadSlice('\n')
	}
	if err != nil {
		return err
	}
	return &SyntaxError{Tag: tag, Text: "line too long"}
}

// tagOf returns the tag that a line starts with, "*" if it has none.
func tagOf(line []byte) string {
	end := 0
	for end < len(line) && end < 64 && isTagChar(line[end]) {
		end++
	}
	if end == 0 || end < len(line) && line[end] != ' ' {
		return "*"
	}
	return string(line[:end])
}

// ReadCommand reads one command. On a syntax error it returns a *SyntaxError,
// having read up to the end of the command, so that the next call starts at the
// next one. Other errors are the connection's and final.
//
// An Append is returned as soon as its first message literal is announced; its
// octets are read with LiteralBody and the command is read on with
// AppendMessage, or given up with RefuseLiteral.
func (r *Reader) ReadCommand() (tag string, cmd Command, err error) {
	r.args = 0
	r.body = nil
	if err := r.readLine(r.limits.Line); err != nil {
		return "*", nil, err
	}
	p := &parser{r: r}
	tag = p.tag()
	name := p.commandName()
	cmd = p.command(name)
	if p.err == nil && r.body == nil {
		p.end()
	}
	if p.err == nil {
		return tag, cmd, nil
	}
	return tag, nil, r.resync(tag, p.err)
}

// resync reads to the end of a command that is wrong, and returns the error to
// answer. A client that waits to be asked for a literal is not; what it sends
// unasked is dropped.
func (r *Reader) resync(tag string, err error) error {
	var syntax *SyntaxError
	if !errors.As(err, &syntax) {
		return err
	}
	syntax.Tag = tag
	var dropped int64
	if r.body != nil && r.body.started {
		// The literal was under way: its end is known.
		dropped += r.body.left
		if dropped > maxDrop {
			return ErrTooLong
		}
		if err := r.body.discard(); err != nil {
			return err
		}
		if err := r.readLine(r.limits.Line); err != nil {
			return err
		}
	}
	for {
		size, nonSync, ok := trailingLiteral(r.line)
		if !ok || !nonSync {
			break
		}
		if dropped += size; size > maxDrop || dropped > maxDrop {
			return fmt.Errorf("%w: literal of %d octets", ErrTooLong, size)
		}
		if _, err := io.CopyN(io.Discard, r.br, size); err != nil {
			return err
		}
		if err := r.readLine(r.limits.Line); err != nil {
			return err
		}
	}
	r.body = nil
	return syntax
}

// trailingLiteral looks for the announcement of a literal at the end of a line.
func trailingLiteral(line []byte) (size int64, nonSync, ok bool) {
	if len(line) < 3 || line[len(line)-1] != '}' {
		return 0, false, false
	}
	open := bytes.LastIndexByte(line, '{')
	if open < 0 {
		return 0, false, false
	}
	return parseLiteral(line[open:])
}

// parseLiteral parses "{n}" or "{n+}", nothing else.
func parseLiteral(b []byte) (size int64, nonSync, ok bool) {
	if len(b) < 3 || b[0] != '{' || b[len(b)-1] != '}' {
		return 0, false, false
	}
	digits := b[1 : len(b)-1]
	if digits[len(digits)-1] == '+' {
		nonSync, digits = true, digits[:len(digits)-1]
	}
	if len(digits) == 0 || len(digits) > 18 {
		return 0, false, false
	}
	for _, c := range digits {
		if c < '0' || c > '9' {
			return 0, false, false
		}
		size = size*10 + int64(c-'0')
	}
	return size, nonSync, true
}

// ReadLine reads one line without its end, for IDLE's DONE and SASL responses.
// A longer one is a *SyntaxError.
func (r *Reader) ReadLine(limit int) (string, error) {
	if err := r.readLine(limit); err != nil {
		return "", err
	}
	return string(r.line), nil
}
