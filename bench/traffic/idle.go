package traffic

import (
	"context"
	"errors"
	"fmt"
	"os"
	"sync"
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
	return c.awaitIdle(p, &waker{c: c, deadline: deadline}, fn)
}

// Idle idles until fn returns an error, which it returns ([ErrStop] as nil), or
// ctx ends, which is no error. The connection is then ready for commands.
func (c *Conn) Idle(ctx context.Context, fn func(line []byte) error) error {
	p, err := c.StartIdle()
	if err != nil {
		return err
	}
	w := &waker{c: c}
	fired := make(chan struct{})
	stop := context.AfterFunc(ctx, func() { defer close(fired); w.wake() })
	err = c.awaitIdle(p, w, fn)
	if !stop() {
		<-fired // else it could cut the next command short
	}
	if errors.Is(err, ErrIdleTimeout) {
		err = nil
	}
	if c.err != nil || p.answered {
		return err
	}
	if _, end := c.EndIdle(p); end != nil {
		return end
	}
	return err
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

func (c *Conn) awaitIdle(p *Pending, w *waker, fn func(line []byte) error) error {
	var stopped error
	// The callback's error must not end the connection, as a Handler's would.
	p.handler = &Handler{Line: func(line []byte) error { stopped = fn(line); return nil }}
	defer func() { p.handler = nil }()
	for stopped == nil && !p.answered {
		if c.err != nil {
			return c.err
		}
		if err := w.await(); err != nil {
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

// waker ends the wait for a line, and only between lines: a read that is cut
// short inside one would leave the connection without its place.
type waker struct {
	c        *Conn
	deadline time.Time

	mu     sync.Mutex
	inLine bool // guarded by mu: the connection is being read inside a line
	woken  bool // guarded by mu
}

// await waits for the first octet of a line. After it a line must be complete
// within the command timeout.
func (w *waker) await() error {
	if err := w.between(); err != nil {
		return err
	}
	if _, err := w.c.r.Peek(1); err != nil {
		return err
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.inLine = true
	return w.c.nc.SetReadDeadline(time.Now().Add(w.c.timeout))
}

func (w *waker) between() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.inLine = false
	if w.woken {
		return os.ErrDeadlineExceeded
	}
	return w.c.nc.SetReadDeadline(w.deadline)
}

// wake lets await return, now or at the next line's start.
func (w *waker) wake() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.woken = true
	if !w.inLine {
		w.c.nc.SetReadDeadline(time.Unix(1, 0))
	}
}
