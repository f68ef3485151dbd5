package wire

import (
	"errors"
	"fmt"
	"io"
)

// literalBody is the message literal of an APPEND under way.
type literalBody struct {
	r       *Reader
	lit     Literal
	left    int64
	started bool // the client has been asked for it, or sends it unasked
}

// Read returns the literal's octets.
func (b *literalBody) Read(p []byte) (int, error) {
	if b.left == 0 {
		return 0, io.EOF
	}
	n, err := b.r.in.Read(p[:min(int64(len(p)), b.left)])
	b.left -= int64(n)
	if err == io.EOF {
		err = io.ErrUnexpectedEOF
	}
	return n, err
}

// errNoLiteral says that a literal was to be read where none is.
var errNoLiteral = errors.New("wire: no literal has been announced")

// LiteralBody returns the octets of the message literal that Append or
// AppendMessage has announced. The client is asked for them first if it waits.
// What is not read of it is discarded by the next call of AppendMessage.
func (r *Reader) LiteralBody() (io.Reader, error) {
	b := r.body
	if b == nil || b.started {
		return nil, errNoLiteral
	}
	if !b.lit.NonSync {
		if err := r.cont(); err != nil {
			return nil, err
		}
	}
	b.started = true
	return b, nil
}

// RefuseLiteral gives up the APPEND whose literal was announced or is being
// read: a client that waits is not asked for its octets, what it sends unasked
// is read and dropped up to a bound, past which the error is final. Without such
// an APPEND it does nothing.
func (r *Reader) RefuseLiteral() error {
	b, catenating := r.body, r.catenating
	r.body, r.catenating = nil, 0
	switch {
	case b == nil && catenating != 0:
		return r.dropLiterals() // that the rest of the line announces
	case b == nil || !b.lit.NonSync && !b.started:
		return nil
	}
	// Beyond the bound it is cheaper for all to part.
	if b.left > max(maxDrop, r.limits.Append) {
		return fmt.Errorf("%w: literal of %d octets", ErrTooLong, b.left)
	}
	if err := r.discard(b.left); err != nil {
		return err
	}
	if err := r.dropToLineEnd(); err != nil {
		return err
	}
	return r.dropLiterals() // more messages (RFC 3502)
}

// AppendMessage reads on in an APPEND after a message's octets: either the next
// message (MULTIAPPEND, RFC 3502), or the end of the command: then more is
// false. A *SyntaxError has no tag; the command is over.
func (r *Reader) AppendMessage() (msg AppendMessage, more bool, err error) {
	for r.catenating != 0 && r.catenating != catenated {
		if _, _, err := r.CatenatePart(); err != nil {
			return msg, false, err
		}
	}
	r.catenating = 0
	p := &parser{r: r}
	if err := p.endBody(); err != nil {
		return msg, false, err
	}
	if p.err == nil && !p.more() {
		return msg, false, nil
	}
	p.sp()
	msg = p.appendMessage()
	if p.err != nil {
		return AppendMessage{}, false, r.resync("", p.err)
	}
	return msg, true, nil
}

// endBody reads to the end of a literal whose octets have been announced, and the
// line after it. An error is the connection's; mistakes are in p.err.
func (p *parser) endBody() error {
	b := p.r.body
	if b == nil {
		return nil
	}
	if !b.started {
		if _, err := p.r.LiteralBody(); err != nil {
			return err
		}
	}
	if err := p.r.discard(b.left); err != nil {
		return err
	}
	p.r.body = nil
	if p.err = p.r.nextLine(); p.err == nil && b.lit.UTF8 {
		p.char(')')
	}
	return nil
}

// appendMessage parses flags, date and the announcement of a message literal,
// which must end the line (RFC 3502; RFC 6855, 4), or what introduces the parts of
// CATENATE (RFC 4469, 5).
func (p *parser) appendMessage() (msg AppendMessage) {
	if p.peek() == '(' {
		msg.Flags = p.flagList()
		p.sp()
	}
	if p.peek() == '"' {
		msg.Date = p.dateTime()
		p.sp()
	}
	switch {
	case p.word("CATENATE"):
		p.sp()
		p.char('(')
		if msg.Catenate = p.err == nil; msg.Catenate {
			p.r.catenating = beforeParts
		}
	case p.word("UTF8"):
		msg.Literal = p.utf8Literal()
	default:
		msg.Literal = p.announced(Literal{Binary: p.try('~')})
	}
	return msg
}

// utf8Literal parses the rest of utf8-literal, up to the octets (RFC 6855, 4).
func (p *parser) utf8Literal() Literal {
	p.sp()
	p.char('(')
	p.char('~')
	return p.announced(Literal{Binary: true, UTF8: true})
}

// announced parses the announcement of a literal that is read by itself.
func (p *parser) announced(lit Literal) Literal {
	if p.err != nil {
		return lit
	}
	size, nonSync, start, ok := literalAt(p.r.line)
	if !ok || start != p.r.at {
		p.fail("want a literal")
		return lit
	}
	lit.Size, lit.NonSync = size, nonSync
	p.r.at = len(p.r.line)
	p.r.body = &literalBody{r: p.r, lit: lit, left: size}
	return lit
}
