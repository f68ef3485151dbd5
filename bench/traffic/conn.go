package traffic

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"strconv"
	"strings"
	"time"
)

// Conn is an IMAP connection. See the package comment for its concurrency.
type Conn struct {
	ctx     context.Context // the connection's life
	unwatch func() bool     // stops the closing at the end of ctx
	nc      net.Conn
	r       *bufio.Reader
	w       *bufio.Writer
	timeout time.Duration
	caps    map[string]bool // in upper case
	observe func(line []byte)

	tags    uint64
	waiting []*Pending // sent and not answered, oldest first
	err     error      // why the connection is of no use any more
	line    []byte     // a line with literals, reused
	long    []byte     // a line longer than r's buffer, reused
	view    view       // what the server has told of the selected mailbox
	bye     string     // the text of BYE
}

// Handler takes the untagged responses of a command as they come.
type Handler struct {
	// Line is called with each untagged response, without "* " and CRLF. The line
	// is valid until Line returns. Nil drops them. An error ends the connection.
	Line func(line []byte) error
	// Literal is called with each literal before its line is complete: before is
	// the line up to it, "* " included. What it leaves unread is dropped; the
	// line then has an empty literal in its place. Nil keeps literals in the line.
	// An error ends the connection.
	Literal func(before []byte, size int64, r io.Reader) error
}

// Reply is what the server answered to a command.
type Reply struct {
	// Lines are the untagged responses without "* " and CRLF, literals included.
	Lines []string
	// Status is the tagged response.
	Status Status
}

// Pending is a command that was sent; see [Conn.Start].
type Pending struct {
	tag      string
	command  string
	verb     string // upper case, "UID FETCH" for UID commands
	handler  *Handler
	reply    Reply
	answered bool
}

// Has reports whether the server has advertised a capability; name in any case.
func (c *Conn) Has(name string) bool { return c.caps[strings.ToUpper(name)] }

// Observe calls fn with each untagged response that is read, before the
// handler of the command. The line is as in [Handler]. Nil stops it.
func (c *Conn) Observe(fn func(line []byte)) { c.observe = fn }

// Err is why the connection is of no use any more, or nil.
func (c *Conn) Err() error { return c.err }

// Close closes the connection without LOGOUT.
func (c *Conn) Close() error {
	c.unwatch()
	return c.nc.Close()
}

// Logout says LOGOUT and closes the connection.
func (c *Conn) Logout() error {
	defer c.Close()
	_, err := c.OK("LOGOUT")
	return err
}

// Login authenticates, and asks for the capabilities if the server hasn't told
// them with its answer.
func (c *Conn) Login(user, password string) error {
	clear(c.caps) // they may differ now
	if _, err := c.OK("LOGIN %s %s", Quote(user), Quote(password)); err != nil {
		return err
	}
	if len(c.caps) > 0 {
		return nil
	}
	_, err := c.OK("CAPABILITY")
	return err
}

// Cmd sends a command, formatted as by fmt.Sprintf, and returns the answer,
// whatever it is. The error is about the connection.
func (c *Conn) Cmd(format string, args ...any) (Reply, error) {
	p, err := c.Start(format, args...)
	if err != nil {
		return Reply{}, err
	}
	return c.Wait(p)
}

// OK is Cmd for commands that must succeed: NO and BAD are a [*StatusError].
func (c *Conn) OK(format string, args ...any) ([]string, error) {
	p, err := c.Start(format, args...)
	if err != nil {
		return nil, err
	}
	reply, err := c.Wait(p)
	if err == nil && !reply.Status.OK() {
		err = &StatusError{Command: p.command, Status: reply.Status}
	}
	return reply.Lines, err
}

// Run is Cmd for large answers: untagged responses go to h.
func (c *Conn) Run(h Handler, format string, args ...any) (Status, error) {
	p, err := c.Start(format, args...)
	if err != nil {
		return Status{}, err
	}
	p.handler = &h
	reply, err := c.Wait(p)
	return reply.Status, err
}

// Start writes a command into the connection's buffer without waiting, so that
// others can follow it (RFC 9051, 5.5). It is sent by Flush, by Wait, or when the
// buffer is full. Untagged responses are counted to the oldest command that is
// not answered.
//
// Nothing is read meanwhile: whoever starts commands with large answers must
// bound how many are not yet waited for, or server and client both block in
// writes.
func (c *Conn) Start(format string, args ...any) (*Pending, error) {
	command := format
	if len(args) > 0 {
		command = fmt.Sprintf(format, args...)
	}
	p, err := c.begin(command)
	if err != nil {
		return nil, err
	}
	if _, err := c.w.WriteString("\r\n"); err != nil {
		return nil, c.fail(err)
	}
	return p, nil
}

// begin writes tag and command and enters it into the commands waited for.
func (c *Conn) begin(command string) (*Pending, error) {
	if c.err != nil {
		return nil, c.err
	}
	if err := c.nc.SetWriteDeadline(time.Now().Add(c.timeout)); err != nil {
		return nil, c.fail(err)
	}
	c.tags++
	p := &Pending{tag: "T" + strconv.FormatUint(c.tags, 10), command: command, verb: verbOf(command)}
	c.w.WriteString(p.tag)
	c.w.WriteByte(' ')
	if _, err := c.w.WriteString(command); err != nil {
		return nil, c.fail(err)
	}
	c.waiting = append(c.waiting, p)
	return p, nil
}

// Flush sends what is in the buffer.
func (c *Conn) Flush() error {
	if c.err != nil {
		return c.err
	}
	if err := c.w.Flush(); err != nil {
		return c.fail(err)
	}
	return nil
}

// Wait flushes, and reads until the command is answered.
func (c *Conn) Wait(p *Pending) (Reply, error) {
	if p.answered {
		return p.reply, nil
	}
	if err := c.Flush(); err != nil {
		return Reply{}, err
	}
	if err := c.nc.SetReadDeadline(time.Now().Add(c.timeout)); err != nil {
		return Reply{}, c.fail(err)
	}
	for !p.answered {
		if len(c.waiting) == 0 {
			return Reply{}, ErrNotAnswered
		}
		cont, err := c.readOne()
		if err != nil {
			return p.reply, c.fail(fmt.Errorf("imap: %s: %w", p.command, err))
		}
		if cont {
			return p.reply, c.fail(violation([]byte("+"), "a continuation that no command waits for (RFC 9051, 7.6)"))
		}
	}
	return p.reply, nil
}

// readOne reads one response and hands it on. It reports whether that was a
// continuation request.
func (c *Conn) readOne() (cont bool, err error) {
	var oldest *Pending
	var stream literalFunc
	if len(c.waiting) > 0 {
		oldest = c.waiting[0]
		if oldest.handler != nil {
			stream = oldest.handler.Literal
		}
	}
	line, _, err := c.readLine(stream)
	if err != nil {
		if c.bye != "" {
			err = fmt.Errorf("%w: %s", ErrBye, c.bye)
		}
		return false, err
	}
	switch {
	case bytes.HasPrefix(line, []byte("* ")):
		return false, c.untagged(oldest, line)
	case len(line) > 0 && line[0] == '+':
		return true, nil
	}
	return false, c.tagged(line)
}

// untagged checks an untagged response and hands it to whom it concerns.
func (c *Conn) untagged(p *Pending, line []byte) error {
	if err := c.check(line); err != nil {
		return err
	}
	line = line[2:]
	if c.observe != nil {
		c.observe(line)
	}
	switch {
	case p == nil:
	case p.handler == nil:
		p.reply.Lines = append(p.reply.Lines, string(line))
	case p.handler.Line != nil:
		return p.handler.Line(line)
	}
	return nil
}

// tagged takes the answer of a command.
func (c *Conn) tagged(line []byte) error {
	tag, rest, ok := strings.Cut(string(line), " ")
	if !ok {
		return violation(line, "a response starts with *, + or a tag (RFC 9051, 9)")
	}
	for i, p := range c.waiting {
		if p.tag != tag {
			continue
		}
		s, ok := parseStatus(rest)
		if !ok || s.Word == "BYE" || s.Word == "PREAUTH" {
			return violation(line, "a tagged response is OK, NO or BAD (RFC 9051, 7.1)")
		}
		c.waiting = append(c.waiting[:i], c.waiting[i+1:]...)
		p.reply.Status, p.answered = s, true
		return c.finish(p)
	}
	return violation(line, "a tag of a command that waits for its answer")
}

// fail ends the connection; the first reason stays.
func (c *Conn) fail(err error) error {
	if c.err == nil {
		if cause := context.Cause(c.ctx); cause != nil {
			err = cause
		}
		c.err = err
		c.Close()
	}
	return c.err
}

// verbOf returns the command's name in upper case.
func verbOf(command string) string {
	verb, rest, _ := strings.Cut(command, " ")
	verb = strings.ToUpper(verb)
	if verb == "UID" {
		sub, _, _ := strings.Cut(rest, " ")
		verb += " " + strings.ToUpper(sub)
	}
	return verb
}
