package session

import (
	"context"
	"sync"
	"time"
)

// progress tells a client that waits for a long command that the server is still
// at it (RFC 9585): so that neither it, nor what is between them, takes the
// connection for dead; and the server finds out that the client is.
type progress struct {
	c   *Conn
	due time.Time
	// done of total steps have been taken; a total of 0: nobody knows.
	done, total int
}

// during calls storage, and tells the client meanwhile. The context of the call ends
// when the client is gone. c.w is the timer's until it returns.
func during[Q, R any](ctx context.Context, p *progress, call func(context.Context, Q) (R, error), req Q) (R, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	if p.due.IsZero() {
		p.due = time.Now().Add(p.c.cfg.ProgressEvery)
	}
	var mu sync.Mutex
	over := false
	var timer *time.Timer
	mu.Lock() // until timer is set
	timer = time.AfterFunc(time.Until(p.due), func() {
		mu.Lock()
		defer mu.Unlock()
		if over {
			return
		}
		if err := p.tell(); err != nil {
			cancel()
			return
		}
		p.due = time.Now().Add(p.c.cfg.ProgressEvery)
		timer.Reset(p.c.cfg.ProgressEvery)
	})
	mu.Unlock()
	defer func() {
		mu.Lock()
		defer mu.Unlock()
		over = true
		timer.Stop()
	}()
	return call(ctx, req)
}

// tell says how far the command has come (RFC 9585, 4).
func (p *progress) tell() error {
	state := "NIL NIL"
	if p.total > 0 {
		state = uitoa(uint64(p.done)) + " " + uitoa(uint64(p.total))
	}
	p.c.w.Untagged(`OK [INPROGRESS ("`, p.c.tag, `" `, state, ")] still at it")
	return p.c.w.Flush()
}
