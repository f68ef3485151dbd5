package session

import (
	"errors"

	"github.com/quorumail/quorumail/imapfront/deflate"
	"github.com/quorumail/quorumail/imapfront/wire"
)

// compress is COMPRESS (RFC 4978): what comes and goes after its answer is
// compressed, beneath it encrypted, if the connection is.
func (c *Conn) compress(cmd wire.Compress) error {
	switch {
	case cmd.Algorithm != "DEFLATE":
		return c.wrongState("no such algorithm")
	case c.deflate != nil:
		// RFC 4978, 3 has NO for other layers that compress, and BAD for this.
		return c.syntaxError(&wire.SyntaxError{Tag: c.tag, Code: "COMPRESSIONACTIVE", Text: "DEFLATE is active by COMPRESS"})
	case c.pipelined():
		// It would have to be understood both ways.
		return c.wrongState("nothing may follow COMPRESS before its answer")
	}
	if err := c.ok("", "DEFLATE active"); err != nil {
		return err
	}
	if err := c.w.Flush(); err != nil {
		return err
	}
	c.inflate = deflate.NewReader(&c.in)
	c.r.Reset(c.inflate)
	c.deflate = deflate.NewWriter(deadlineWriter{c})
	c.w.Reset(c.deflate)
	return nil
}

// pipelined reports whether the client has sent anything that has not been
// executed.
func (c *Conn) pipelined() bool {
	return c.r.Buffered() > 0 || c.inflate != nil && c.inflate.Pending()
}

// endCompression ends what COMPRESS began, in both directions (RFC 8437, 4.1).
func (c *Conn) endCompression() error {
	if c.deflate == nil {
		return nil
	}
	if c.r.Buffered() > 0 {
		return errors.New("session: octets after UNAUTHENTICATE that are still compressed")
	}
	if err := c.w.Flush(); err != nil {
		return err
	}
	if err := c.deflate.Close(); err != nil {
		return err
	}
	c.deflate = nil
	c.w.Reset(deadlineWriter{c})
	c.inflate.End()
	return nil
}
