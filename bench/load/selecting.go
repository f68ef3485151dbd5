package load

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/quorumail/quorumail/bench/report"
	"github.com/quorumail/quorumail/bench/traffic"
)

func prepareLarge(ctx context.Context, e *Env) error {
	return fill(ctx, e.Target, e.Target.account(0), copies(e.Scale.Large))
}

// selectScenario selects a large mailbox, each time on a new connection: what a
// client sees that connects.
func selectScenario() Scenario {
	return Scenario{
		Name:    "select",
		What:    func(s Scale) string { return fmt.Sprintf("SELECT of %d messages, warm, new connection", s.Large) },
		Unit:    unitMillis,
		Goal:    report.Goal{Ratio: 10},
		Prepare: prepareLarge,
		Round: func(ctx context.Context, e *Env) (Sample, error) {
			return eachOnNewConn(ctx, e, e.Scale.Selects, func(c *traffic.Conn) error { return nil },
				func(c *traffic.Conn) error { return selectLarge(c, copies(e.Scale.Large)) })
		},
	}
}

// selectAgainScenario selects it again on a connection that had it selected
// before: what a server with a process for each connection still has open.
func selectAgainScenario() Scenario {
	return Scenario{
		Name:    "select-again",
		What:    func(s Scale) string { return fmt.Sprintf("SELECT of %d messages, same connection again", s.Large) },
		Unit:    unitMillis,
		Prepare: prepareLarge,
		Round: func(ctx context.Context, e *Env) (Sample, error) {
			c, err := e.Target.open(ctx, e.Target.account(0))
			if err != nil {
				return Sample{}, err
			}
			defer c.Close()
			m := copies(e.Scale.Large)
			if err := selectLarge(c, m); err != nil {
				return Sample{}, err
			}
			return repeat(ctx, e.Scale.Selects, func() error { return selectLarge(c, m) })
		},
	}
}

// selectRestartScenario selects it for the first time after a restart.
func selectRestartScenario() Scenario {
	return Scenario{
		Name:    "select-restart",
		What:    func(s Scale) string { return fmt.Sprintf("SELECT of %d messages, first after a restart", s.Large) },
		Unit:    unitMillis,
		Goal:    report.Goal{Ratio: 3},
		Needs:   func(t *Target) bool { return t.Restart != nil },
		Prepare: prepareLarge,
		Round: func(ctx context.Context, e *Env) (Sample, error) {
			t0 := time.Now()
			if err := e.Target.Restart(ctx); err != nil {
				return Sample{}, fmt.Errorf("restart: %w", err)
			}
			c, err := openRetrying(ctx, e.Target)
			if err != nil {
				return Sample{}, err
			}
			defer c.Close()
			note := fmt.Sprintf("first login %.1f s after the order to restart", time.Since(t0).Seconds())
			s, err := repeat(ctx, 1, func() error { return selectLarge(c, copies(e.Scale.Large)) })
			s.Note = note
			return s, err
		},
	}
}

// openRetrying logs in as soon as the server lets it.
func openRetrying(ctx context.Context, t *Target) (*traffic.Conn, error) {
	ctx2, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for {
		c, err := t.open(ctx, t.account(0))
		if err == nil {
			return c, nil
		}
		select {
		case <-ctx2.Done():
			return nil, errors.Join(err, ctx2.Err())
		case <-tick.C:
		}
	}
}

// selectLarge selects and checks the number of messages.
func selectLarge(c *traffic.Conn, m mailboxSpec) error {
	if _, err := c.OK("SELECT %s", traffic.Quote(m.name)); err != nil {
		return err
	}
	if got := int(c.Exists()); got < m.messages {
		return fmt.Errorf("SELECT %s: %d messages, want %d", m.name, got, m.messages)
	}
	return nil
}

// eachOnNewConn opens a connection, prepares it, and times op on it; so many
// times. The figure is the median.
func eachOnNewConn(ctx context.Context, e *Env, times int, prepare, op func(*traffic.Conn) error) (Sample, error) {
	s := Sample{Latency: newHistogram()}
	var runs []float64
	start := time.Now()
	for range times {
		c, err := e.Target.open(ctx, e.Target.account(0))
		if err != nil {
			return s, err
		}
		one, err := func() (Sample, error) {
			defer c.Close()
			if err := prepare(c); err != nil {
				return Sample{}, err
			}
			return repeat(ctx, 1, func() error { return op(c) })
		}()
		if err != nil {
			return s, err
		}
		s.Latency.Merge(one.Latency)
		runs = append(runs, one.Figure)
	}
	s.Elapsed, s.Ops, s.Figure = time.Since(start), int64(times), report.Median(runs)
	return s, nil
}
