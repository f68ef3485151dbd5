package session

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/quorumail/quorumail/imapfront/wire"
	"github.com/quorumail/quorumail/node/client"
)

// idle is IDLE (RFC 2177; RFC 9051, 6.3.13): the client is told of changes as
// they come, until its next line.
func (c *Conn) idle(ctx context.Context) error {
	if c.box != nil {
		// Before the client is asked to wait: it must not be in IDLE when that has failed.
		if err := c.pull(ctx, true); err != nil {
			return c.boxFailed("IDLE", err)
		}
	}
	c.w.Continue("idling")
	if c.box != nil {
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
	var err error
	switch {
	case c.notify != nil:
		err = c.notified(ctx)
	case c.idling && c.box != nil:
		if failed := c.refresh(ctx); lost(failed) {
			err = c.tellLost(failed)
		} else if failed != nil {
			// Storage may be back when the client's next command comes.
			c.log.Warn("idle", "error", failed)
		} else {
			c.tell(true)
		}
	}
	if errors.Is(err, errBye) {
		return err
	}
	c.tellMetadata(ctx, false)
	err = c.fetchFresh(ctx)
	if err == nil {
		err = c.w.Flush()
	}
	if err != nil {
		return fmt.Errorf("%w: %w", errClient, err)
	}
	return nil
}

// lost reports whether an error of the selected mailbox is for good: it has been
// removed, or may not be read any more.
func lost(err error) bool {
	return errors.Is(err, client.ErrNoMailbox) || errors.Is(err, client.ErrNoPermission)
}

// tellLost tells a client that is waited for that its mailbox is lost. One that has
// enabled IMAP4rev2 or QRESYNC knows CLOSED, by which it is in authenticated state
// (RFC 9051, 3). To another that is in IDLE only BYE is of use (RFC 4314, 5.1.1
// allows it): it would wait for what can never come. Else it finds out with its next
// command. The error, if any, is errBye.
func (c *Conn) tellLost(err error) error {
	text := "the mailbox is gone"
	if errors.Is(err, client.ErrNoPermission) {
		text = "the mailbox may not be read any more"
	}
	switch {
	case c.rev2 || c.qresync:
		c.leave()
		c.w.Untagged("OK [CLOSED] ", text)
	case c.idling:
		return c.bye("", text)
	}
	return nil
}
