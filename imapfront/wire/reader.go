package wire

import (
	"bytes"
	"errors"
	"fmt"
	"io"
)

// Limits bounds what a client may send. Zero fields take DefaultLimits.
type Limits struct {
	// Line bounds the octets of all lines of one command together.
	Line int
	// Literal bounds a literal that is an argument (names, passwords, search
	// strings), and all of one command together.
	Literal int64
	// Append bounds a message literal. The Reader only announces its size; who
	// reads it refuses it. What is refused is read and dropped up to this bound.
	Append int64
}

// DefaultLimits suit clients that name many UIDs at once.
func DefaultLimits() Limits { return Limits{Line: 256 << 10, Literal: 256 << 10, Append: 64 << 20} }

const (
	// maxDrop bounds what is read only to be thrown away, to find the start of
	// the next command.
	maxDrop = 1 << 20
	// maxGarbage is how many lines without so much as a tag are borne in a row.
	maxGarbage = 100
	// maxTag is the longest tag; RFC 9051 names no bound.
	maxTag = 64
)

// Errors that end a connection.
var (
	// ErrTooLong: a line, or a literal to be dropped, has no end in sight.
	ErrTooLong = errors.New("line or literal far too long")
	// ErrTLS: the client speaks TLS on a port without it.
	ErrTLS = errors.New("a TLS handshake on a plaintext port")
	// ErrGarbage: many lines in a row have no tag; this is no IMAP client.
	ErrGarbage = errors.New("no commands among many lines")
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

// Reader parses what a client sends. It must not be used by two goroutines at
// once.
type Reader struct {
	in     input
	limits Limits
	cont   func() error
	utf8   bool

	// line is the current line without its end, at the place up to which it is
	// parsed. Of a line that was too long it is the end.
	line []byte
	at   int
	// text counts the octets of the lines, args those of the argument literals of
	// the current command.
	text int
	args int64
	// between: a line is wanted of which nothing has come.
	between bool
	// garbage counts lines without a tag since the last with one.
	garbage int
	// body is what remains of the announced message literal; nil: none.
	body *literalBody
	// catenating is where a CATENATE is, as beforeParts.
	catenating int
	// supplied are the mailbox names of the current command that are not spelled
	// as the session spells them, by how it does; nil: none.
	supplied map[string]string
}

// NewReader returns a Reader of r. Before it reads a synchronising literal that
// is within the limits it calls cont, which sends "+ …" to the client.
func NewReader(r io.Reader, limits Limits, cont func() error) *Reader {
	rd := &Reader{in: input{src: r}, cont: cont}
	rd.SetLimits(limits)
	return rd
}

// SetLimits changes the limits from the next command on: a client that has not
// logged in needs little.
func (r *Reader) SetLimits(limits Limits) {
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
	r.limits = limits
}

// Reset makes the Reader read from another connection, as after STARTTLS. What
// has been buffered of the old one is dropped (RFC 9051, 6.2.1, 11.1).
func (r *Reader) Reset(src io.Reader) { r.in = input{src: src} }

// Buffered returns how many octets have been received and not been parsed: not
// 0 if the client pipelines.
func (r *Reader) Buffered() int { return len(r.in.buffered()) }

// Rest returns a copy of them.
func (r *Reader) Rest() []byte { return append([]byte(nil), r.in.buffered()...) }

// Between reports whether ReadCommand or ReadLine is waiting for a line of which
// nothing has come yet: so asks the source that it reads from, which is between
// two commands then.
func (r *Reader) Between() bool { return r.between }

// SetUTF8 says how mailbox names are to be read from now on: UTF-8 (IMAP4rev2 or
// UTF8=ACCEPT enabled) or modified UTF-7 (IMAP4rev1).
func (r *Reader) SetUTF8(on bool) { r.utf8 = on }

// ReadCommand reads one command. On a syntax error it returns a *SyntaxError,
// having read up to the end of the command, so that the next call starts at the
// next one. Other errors are the connection's and final.
//
// An Append or a Replace is returned as soon as its first message literal is
// announced; its octets are read with LiteralBody and the command is read on with
// AppendMessage, or given up with RefuseLiteral.
func (r *Reader) ReadCommand() (tag string, cmd Command, err error) {
	// A literal that nobody has dealt with must not be taken for commands.
	if err := r.RefuseLiteral(); err != nil {
		return "*", nil, err
	}
	if r.text, r.args = 0, 0; cap(r.line) > idleBuffer {
		r.line = nil
	}
	r.in.rest()
	r.between, r.supplied = true, nil
	p := &parser{r: r, err: r.nextLine()}
	if p.err == nil {
		tag = p.tag()
		cmd = p.command(p.commandName())
	} else {
		tag = tagOf(p.err)
	}
	if p.err == nil && r.body == nil && r.catenating == 0 {
		p.end()
	}
	if p.err == nil {
		r.garbage = 0
		return tag, cmd, nil
	}
	return tag, nil, r.resync(tag, p.err)
}

// tagOf returns the tag of a line that was too long.
func tagOf(err error) string {
	var syntax *SyntaxError
	if errors.As(err, &syntax) {
		return syntax.Tag
	}
	return "*"
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
	r.body, r.catenating = nil, 0
	if err := r.dropLiterals(); err != nil {
		return err
	}
	if tag != "*" {
		r.garbage = 0
	} else if r.garbage++; r.garbage > maxGarbage {
		return ErrGarbage
	}
	return syntax
}

// ReadLine reads one line without its end, for IDLE's DONE and SASL responses.
// A longer one is a *SyntaxError, and so is one that announces a literal, which
// neither has: a client that sends it means a command.
func (r *Reader) ReadLine(limit int) (string, error) {
	r.in.rest()
	r.between = true
	err := r.readLine(limit)
	if err == nil {
		if _, nonSync, ok := trailingLiteral(r.line); !ok || !nonSync {
			return string(r.line), nil
		}
		err = &SyntaxError{Text: "a literal is not expected here"}
	}
	return "", r.resync(tagOf(err), err)
}

// nextLine reads a further line of a command.
func (r *Reader) nextLine() error {
	err := r.readLine(max(r.limits.Line-r.text, 0))
	r.text += len(r.line) + 2
	return err
}

// readLine reads a line into r.line. An LF alone ends it too.
func (r *Reader) readLine(limit int) error {
	r.line, r.at = r.line[:0], 0
	for {
		part, whole, err := r.linePart()
		r.between = false
		if err != nil {
			if len(r.line) > 0 && err == io.EOF {
				err = io.ErrUnexpectedEOF
			}
			return err
		}
		if len(r.line)+len(part) > limit+1 { // with a CR
			return r.dropLine(part, whole)
		}
		r.line = append(r.line, part...)
		if r.text == 0 && len(r.line) >= 2 && r.line[0] == 0x16 && r.line[1] == 0x03 {
			// Where a command begins. Not only at the line's end: a TLS client waits now.
			return ErrTLS
		}
		if whole {
			break
		}
	}
	r.line = bytes.TrimSuffix(r.line, []byte{'\r'})
	return nil
}

// linePart returns what has been received of the line: whole if that is up to
// its LF, which is not among it. It is valid until the next read.
func (r *Reader) linePart() (part []byte, whole bool, err error) {
	if len(r.in.buffered()) == 0 {
		if err := r.in.fill(); err != nil {
			return nil, false, err
		}
	}
	part = r.in.buffered()
	if i := bytes.IndexByte(part, '\n'); i >= 0 {
		r.in.use(i + 1)
		return part[:i], true, nil
	}
	r.in.use(len(part))
	return part, false, nil
}

// dropLine reads to the end of a line that is too long, whose next part has been
// read. It keeps the end, where a literal may be announced.
func (r *Reader) dropLine(part []byte, whole bool) error {
	const tail = 64
	head := append([]byte(nil), r.line[:min(len(r.line), maxTag+1)]...)
	tag := tagAt(append(head, part[:min(len(part), maxTag+1)]...))
	end := append([]byte(nil), r.line[max(len(r.line)-tail, 0):]...)
	r.line = nil
	for dropped := 0; ; {
		dropped += len(part)
		end = append(end, part[max(len(part)-tail, 0):]...)
		end = append(end[:0], end[max(len(end)-tail, 0):]...)
		if whole {
			break
		}
		if dropped > maxDrop {
			return ErrTooLong
		}
		var err error
		if part, whole, err = r.linePart(); err != nil {
			return err
		}
	}
	r.line = bytes.TrimSuffix(end, []byte{'\r'})
	return &SyntaxError{Tag: tag, Text: "line too long"}
}

// tagAt returns the tag that a line starts with, "*" if it has none.
func tagAt(line []byte) string {
	end := 0
	for end < len(line) && isTagChar(line[end]) {
		end++
	}
	if end == 0 || end > maxTag || end < len(line) && line[end] != ' ' {
		return "*"
	}
	return string(line[:end])
}

// dropLiterals drops what a client sends unasked after the current line: the
// literal that it announces, the line that follows, and so on.
func (r *Reader) dropLiterals() error {
	bound := max(maxDrop, r.limits.Append)
	start := r.in.total
	for {
		size, nonSync, ok := trailingLiteral(r.line)
		if !ok || !nonSync {
			return nil
		}
		if size > bound-(r.in.total-start) {
			return fmt.Errorf("%w: literal of %d octets", ErrTooLong, size)
		}
		if err := r.discard(size); err != nil {
			return err
		}
		if err := r.dropToLineEnd(); err != nil {
			return err
		}
	}
}

// dropToLineEnd reads a line that nobody is interested in, but for its end.
func (r *Reader) dropToLineEnd() error {
	err := r.readLine(r.limits.Line)
	var syntax *SyntaxError
	if errors.As(err, &syntax) {
		return nil
	}
	return err
}

func (r *Reader) discard(size int64) error {
	_, err := io.CopyN(io.Discard, &r.in, size)
	if err == io.EOF {
		err = io.ErrUnexpectedEOF
	}
	return err
}
