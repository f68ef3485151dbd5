package load

import (
	"context"
	"fmt"
	"net"
	"runtime"
	"time"

	"github.com/quorumail/quorumail/bench/report"
	"github.com/quorumail/quorumail/bench/traffic"
)

// idleMemoryScenario holds many idle sessions on the last frontend and reads
// what each costs there.
func idleMemoryScenario() Scenario {
	return Scenario{
		Name: "idle-memory",
		What: func(s Scale) string {
			return fmt.Sprintf("memory of an idle session with %d messages selected, %d sessions", s.IdleMessages, s.Idle)
		},
		Unit: unitKiB, Goal: report.Goal{Within: 40},
		Needs: func(t *Target) bool { return t.Memory != nil },
		// Once: in a second round, sessions would use what the first has left.
		Rounds: 1,
		Prepare: func(ctx context.Context, e *Env) error {
			return parallel(ctx, idleAccounts(e), 4, func(ctx context.Context, i int) error {
				return fill(ctx, e.Target, e.Target.account(i), copies(e.Scale.IdleMessages))
			})
		},
		Round: idleMemoryRound,
	}
}

// idleAccounts is over how many accounts idle sessions are spread.
func idleAccounts(e *Env) int { return min(len(e.Target.Accounts), 8) }

func idleMemoryRound(ctx context.Context, e *Env) (Sample, error) {
	if e.Target.Restart != nil { // for the same reason
		if err := e.Target.Restart(ctx); err != nil {
			return Sample{}, fmt.Errorf("restart: %w", err)
		}
		c, err := openRetrying(ctx, e.Target)
		if err != nil {
			return Sample{}, err
		}
		c.Close()
	}
	sessions := e.idleSessions()
	// One session first: what the first of all costs is no session's price.
	first, err := e.idle(ctx, 0)
	if err != nil {
		return Sample{}, err
	}
	defer first.Close()
	before, err := e.settledMemory(ctx)
	if err != nil {
		return Sample{}, err
	}
	conns := make([]*traffic.Conn, sessions)
	defer func() {
		for _, c := range conns {
			if c != nil {
				c.Close()
			}
		}
	}()
	s := Sample{Latency: newHistogram()}
	start := time.Now()
	err = parallel(ctx, sessions, 16, func(_ context.Context, i int) error {
		var err error
		conns[i], err = e.idle(ctx, i)
		return err
	})
	if err != nil {
		return s, fmt.Errorf("open %d sessions: %w", sessions, err)
	}
	s.Elapsed, s.Ops = time.Since(start), int64(sessions)
	after, err := e.settledMemory(ctx)
	if err != nil {
		return s, err
	}
	s.Figure = float64(after-before) / float64(sessions) / 1024
	secured := "without TLS"
	if e.lastIMAP().TLS != nil {
		secured = "with TLS"
	}
	s.Note = fmt.Sprintf("%d sessions %s, %.0f MiB in all, opened in %.0f s", sessions, secured, float64(after)/(1<<20), s.Elapsed.Seconds())
	if sessions < e.Scale.Idle && sessions < fileLimit() && e.Target.MaxIdle == 0 {
		s.Note += fmt.Sprintf("; a process may have %d files open here", fileLimit())
	}
	return s, nil
}

// otherFiles is how many files a process needs beside one for each session.
const otherFiles = 256

// idleSessions is how many sessions are opened: those of the scale, but no more than
// the target is asked to hold, nor than the system lets this process, and a frontend
// with the same limit, have.
func (e *Env) idleSessions() int {
	n := e.Scale.Idle
	if e.Target.MaxIdle > 0 {
		n = min(n, e.Target.MaxIdle)
	}
	if limit := fileLimit(); limit > 0 {
		n = min(n, max(1, limit-otherFiles))
	}
	return n
}

// loopbackSource returns the address that the i-th of many connections to addr comes
// from. An address has some 28,000 ports that are given to who connects, each of which
// rests for a minute when its connection was closed. On Linux all of 127.0.0.0/8 is
// this machine.
func loopbackSource(addr string, i int) net.Addr {
	host, _, err := net.SplitHostPort(addr)
	ip := net.ParseIP(host).To4()
	if err != nil || ip == nil || !ip.IsLoopback() || runtime.GOOS != "linux" {
		return nil
	}
	return &net.TCPAddr{IP: net.IPv4(127, 0, 1, byte(1+i%8))}
}

func (e *Env) lastIMAP() Endpoint { return e.Target.IMAP[len(e.Target.IMAP)-1] }

// idle opens the i-th idle session.
func (e *Env) idle(ctx context.Context, i int) (*traffic.Conn, error) {
	at := e.lastIMAP()
	d := traffic.Dialer{Buffer: 1 << 10, Local: loopbackSource(at.Addr, i)}
	c, err := e.Target.loginBy(ctx, d, at, e.Target.account(i%idleAccounts(e)))
	if err != nil {
		return nil, err
	}
	_, err = c.OK("SELECT %s", traffic.Quote(copies(e.Scale.IdleMessages).name))
	if err == nil {
		_, err = c.StartIdle()
	}
	if err != nil {
		c.Close()
		return nil, err
	}
	return c, nil
}

// settledMemory lets the sessions rest, and reads the memory of the target.
func (e *Env) settledMemory(ctx context.Context) (int64, error) {
	timer := time.NewTimer(e.Scale.Settle)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return 0, context.Cause(ctx)
	case <-timer.C:
	}
	pids, err := e.Target.Memory()
	if err != nil {
		return 0, err
	}
	return memoryOf(pids)
}
