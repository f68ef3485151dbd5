package session

import (
	"context"
	"errors"
	"strings"
	"time"

	"github.com/quorumail/quorumail/imapfront/wire"
)

// idle is IDLE (RFC 9051, 6.3.13): the client is told of changes as they come.
// The client's line is awaited by a goroutine of its own, so that this one can
// tell; it is the only one that writes.
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
	if !c.rest(time.Now().Add(c.cfg.IdleTimeout)) {
		return c.bye("UNAVAILABLE", "server shuts down")
	}
	type line struct {
		text string
		err  error
	}
	lines := make(chan line, 1)
	go func() { // ends with the line, or with the read deadline at the latest
		text, err := c.r.ReadLine(1000)
		lines <- line{text, err}
	}()
	var wake chan struct{}
	if c.box != nil {
		wake = c.box.watch.wake
	}
	for {
		select {
		case l := <-lines:
			c.drain.Lock()
			c.drain.idle = false
			c.drain.Unlock()
			var syntax *wire.SyntaxError
			switch {
			case errors.As(l.err, &syntax):
				return c.syntaxError(&wire.SyntaxError{Tag: c.tag, Text: "want DONE"})
			case l.err != nil:
				return c.readError(ctx, l.err)
			case !strings.EqualFold(l.text, "DONE"):
				return c.syntaxError(&wire.SyntaxError{Tag: c.tag, Text: "want DONE"})
			}
			return c.ok("", "IDLE done")
		case <-wake:
			if err := c.refresh(ctx); err != nil {
				// The client finds out with its next command; storage may be back by
				// then.
				c.log.Warn("idle", "error", err)
				continue
			}
			c.tell(true)
		case <-c.metadataWake():
			c.tellMetadata(ctx, false)
		}
		if err := c.w.Flush(); err != nil {
			_ = c.net.Close() // ends the reader
			<-lines
			return err
		}
	}
}
