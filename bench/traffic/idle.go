package traffic

import (
	"errors"
	"fmt"
	"os"
	"time"
)

// ErrIdleTimeout is returned by [Conn.AwaitIdle] when nothing came in time. The
// connection idles on.
var ErrIdleTimeout = errors.New("imap: IDLE: nothing came in time")

// StartIdle says IDLE and waits for the server's consent (RFC 9051, 6.3.13). The
// connection idles until EndIdle.
func (c *Conn) StartIdle() (*Pending, error) {
	p, err := c.Start("IDLE")
	if err != nil {
		return nil, err
	}
	refused, err := c.awaitConsent(p)
	if err != nil {
		return nil, err
	}
	if refused {
		return nil, &StatusError{Command: p.command, Status: p.reply.Status}
	}
	return p, nil
}

// AwaitIdle reads what the server sends while the connection idles, line by
// line, until fn returns an error, which it returns ([ErrStop] as nil), or until
// the deadline: [ErrIdleTimeout]. A zero deadline is never. A server that ends
// IDLE by itself is a [*StatusError].
func (c *Conn) AwaitIdle(p *Pending, deadline time.Time, fn func(line []byte) error) error {
	var stopped error
	// The callback's error must not end the connection, as a Handler's would.
	p.handler = &Handler{Line: func(line []byte) error { stopped = fn(line); return nil }}
	defer func() { p.handler = nil }()
	for stopped == nil && !p.answered {
		if c.err != nil {
			return c.err
		}
		if err := c.awaitLine(deadline); err != nil {
			if errors.Is(err, os.ErrDeadlineExceeded) && c.ctx.Err() == nil {
				return ErrIdleTimeout
			}
			return c.fail(fmt.Errorf("imap: IDLE: %w", err))
		}
		if _, err := c.readOne(); err != nil {
			return c.fail(fmt.Errorf("imap: IDLE: %w", err))
		}
	}
	switch {
	case errors.Is(stopped, ErrStop):
		return nil
	case stopped != nil:
		return stopped
	}
	return &StatusError{Command: p.command, Status: p.reply.Status}
}

// awaitLine waits until a deadline for the first octet of a line. After it a line must
// be complete within the command timeout.
func (c *Conn) awaitLine(deadline time.Time) error {
	if err := c.nc.SetReadDeadline(deadline); err != nil {
		return err
	}
	if _, err := c.r.Peek(1); err != nil {
		return err
	}
	return c.nc.SetReadDeadline(time.Now().Add(c.timeout))
}

// EndIdle says DONE and waits for the answer. The lines are those that no
// AwaitIdle has seen.
func (c *Conn) EndIdle(p *Pending) (Reply, error) {
	if c.err != nil || p.answered {
		return p.reply, c.err
	}
	if err := c.nc.SetWriteDeadline(time.Now().Add(c.timeout)); err != nil {
		return Reply{}, c.fail(err)
	}
	if _, err := c.w.WriteString("DONE\r\n"); err != nil {
		return Reply{}, c.fail(err)
	}
	return c.Wait(p)
}
