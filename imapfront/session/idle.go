package session

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/quorumail/quorumail/imapfront/wire"
)

// idle is IDLE (RFC 2177; RFC 9051, 6.3.13): the client is told of changes as
// they come, until its next line.
func (c *Conn) idle(ctx context.Context) error {
	c.w.Continue("idling")
	if c.box != nil {
		if err := c.pull(ctx, true); err != nil {
			return c.boxFailed("IDLE", err)
		}
		c.tell(true)
	}
	c.tellMetadata(ctx, true)
	if err := c.w.Flush(); err != nil {
		return err
	}
	if !c.in.rest(time.Now().Add(c.cfg.IdleTimeout)) {
		return c.bye("UNAVAILABLE", "server shuts down")
	}
	c.idling, c.in.armed = true, true
	line, err := c.r.ReadLine(1000)
	c.idling, c.in.armed = false, false
	c.in.busy()
	var syntax *wire.SyntaxError
	switch {
	case errors.As(err, &syntax):
		return c.syntaxError(&wire.SyntaxError{Tag: c.tag, Text: "want DONE"})
	case err != nil:
		return c.readError(ctx, err)
	case !strings.EqualFold(line, "DONE"):
		return c.syntaxError(&wire.SyntaxError{Tag: c.tag, Text: "want DONE"})
	}
	return c.ok("", "IDLE done")
}

// woken tells the client what is new while it is waited for. An error ends the
// connection.
func (c *Conn) woken(ctx context.Context) error {
	switch {
	case c.notify != nil:
		c.notified(ctx)
	case c.idling && c.box != nil:
		if err := c.refresh(ctx); err != nil {
			// The client finds out with its next command; storage may be back by then.
			c.log.Warn("idle", "error", err)
		} else {
			c.tell(true)
		}
	}
	c.tellMetadata(ctx, false)
	err := c.fetchFresh(ctx)
	if err == nil {
		err = c.w.Flush()
	}
	if err != nil {
		return fmt.Errorf("%w: %w", errClient, err)
	}
	return nil
}
