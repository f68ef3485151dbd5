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

// begin starts what a command waits for in between; c.w is not to be used before
// end is called. The context ends when the client is gone.
func (p *progress) begin(ctx context.Context) (_ context.Context, end func()) {
	ctx, cancel := context.WithCancel(ctx)
	if p.due.IsZero() {
		p.due = time.Now().Add(p.c.cfg.ProgressEvery)
	}
	var mu sync.Mutex
	var timer *time.Timer
	over := false
	mu.Lock()
	defer mu.Unlock()
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
	return ctx, func() {
		mu.Lock()
		defer mu.Unlock()
		over = true
		timer.Stop()
		cancel()
	}
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
