package wire

import (
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
	if int64(len(p)) > b.left {
		p = p[:b.left]
	}
	n, err := b.r.br.Read(p)
	b.left -= int64(n)
	if err == io.EOF && b.left > 0 {
		err = io.ErrUnexpectedEOF
	}
	if err == io.EOF {
		err = nil
	}
	return n, err
}

func (b *literalBody) discard() error {
	_, err := io.Copy(io.Discard, b)
	return err
}

// LiteralBody returns the octets of the message literal that Append or
// AppendMessage has announced. The client is asked for them first if it waits.
// What is not read of it is discarded by the next call of AppendMessage.
func (r *Reader) LiteralBody() (io.Reader, error) {
	b := r.body
	if b == nil || b.started {
		return nil, fmt.Errorf("wire: no literal has been announced")
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
// is read and dropped up to a bound, past which the error is final.
func (r *Reader) RefuseLiteral() error {
	b := r.body
	if b == nil {
		return nil
	}
	if b.lit.NonSync || b.started {
		// Beyond the bound it is cheaper for all to part.
		if b.left > max(maxDrop, r.limits.Append) {
			return fmt.Errorf("%w: literal of %d octets", ErrTooLong, b.left)
		}
		b.started = true
		if err := b.discard(); err != nil {
			return err
		}
		if err := r.readLine(r.limits.Line); err != nil {
			return err
		}
		r.body = nil
		return r.dropRest()
	}
	r.body = nil
	return nil
}

// dropRest drops what follows of a refused MULTIAPPEND.
func (r *Reader) dropRest() error {
	var dropped int64
	for {
		size, nonSync, ok := trailingLiteral(r.line)
		if !ok || !nonSync {
			return nil
		}
		if dropped += size; size > r.limits.Append || dropped > 4*r.limits.Append {
			return fmt.Errorf("%w: literal of %d octets", ErrTooLong, size)
		}
		if _, err := io.CopyN(io.Discard, r.br, size); err != nil {
			return err
		}
		if err := r.readLine(r.limits.Line); err != nil {
			return err
		}
	}
}

// AppendMessage reads on in an APPEND after a message's octets: either the next
// message (MULTIAPPEND, RFC 3502), or the end of the command: then more is
// false. A *SyntaxError has no tag.
func (r *Reader) AppendMessage() (msg AppendMessage, more bool, err error) {
	if b := r.body; b != nil {
		if err := b.discard(); err != nil {
			return msg, false, err
		}
		utf8 := b.lit.UTF8
		r.body = nil
		if err := r.readLine(r.limits.Line); err != nil {
			return msg, false, err
		}
		if utf8 {
			p := &parser{r: r}
			p.char(')')
			if p.err != nil {
				return msg, false, r.resync("", p.err)
			}
		}
	}
	p := &parser{r: r}
	if p.rest() == 0 {
		return msg, false, nil
	}
	p.sp()
	msg = p.appendMessage()
	if p.err != nil {
		return msg, false, r.resync("", p.err)
	}
	return msg, true, nil
}

// appendMessage parses flags, date and the announcement of a message literal,
// which must end the line.
func (p *parser) appendMessage() (msg AppendMessage) {
	if p.peek() == '(' {
		msg.Flags = p.flagList()
		p.sp()
	}
	if p.peek() == '"' {
		msg.Date = p.dateTime()
		p.sp()
	}
	if p.word("UTF8") {
		p.sp()
		p.char('(')
		msg.Literal.UTF8 = true
	}
	if p.peek() == '~' {
		p.char('~')
		msg.Literal.Binary = true
	}
	if p.err != nil {
		return msg
	}
	size, nonSync, ok := parseLiteral(p.r.line[p.r.at:])
	if !ok {
		p.fail("want a message literal")
		return msg
	}
	if msg.Literal.UTF8 && !msg.Literal.Binary {
		p.fail("want a literal8 in UTF8 (…)")
		return msg
	}
	msg.Literal.Size, msg.Literal.NonSync = size, nonSync
	p.r.at = len(p.r.line)
	p.r.body = &literalBody{r: p.r, lit: msg.Literal, left: size}
	return msg
}
