package load

import (
	"context"
	"fmt"
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
	sessions := e.Scale.Idle
	if e.Target.MaxIdle > 0 {
		sessions = min(sessions, e.Target.MaxIdle)
	}
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
	s.Note = fmt.Sprintf("%d sessions %s, %.0f MiB in all", sessions, secured, float64(after)/(1<<20))
	return s, nil
}

func (e *Env) lastIMAP() Endpoint { return e.Target.IMAP[len(e.Target.IMAP)-1] }

// idle opens the i-th idle session.
func (e *Env) idle(ctx context.Context, i int) (*traffic.Conn, error) {
	c, err := e.Target.login(ctx, e.lastIMAP(), e.Target.account(i%idleAccounts(e)), 1<<10)
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
