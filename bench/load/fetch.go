package load

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"time"

	"github.com/quorumail/quorumail/bench/report"
	"github.com/quorumail/quorumail/bench/traffic"
)

// copies is a mailbox of n messages, 1,000 of them distinct.
func copies(n int) mailboxSpec {
	return mailboxSpec{fmt.Sprintf("copies-%d", n), n, min(n, 1000), 700}
}

// distinct is a mailbox of n messages that all differ.
func distinct(n int) mailboxSpec { return mailboxSpec{fmt.Sprintf("distinct-%d", n), n, n, 2 << 10} }

// fetchFlagsScenario reads the flags of a large mailbox.
func fetchFlagsScenario() Scenario {
	return fetchAllScenario("fetch-flags", "(FLAGS)", func(s Scale) mailboxSpec { return copies(s.FetchFlags) })
}

// fetchEnvelopeScenario reads the envelopes of a mailbox.
func fetchEnvelopeScenario() Scenario {
	return fetchAllScenario("fetch-envelope", "(ENVELOPE)", func(s Scale) mailboxSpec { return distinct(s.FetchEnvelope) })
}

func fetchAllScenario(name, items string, mailbox func(Scale) mailboxSpec) Scenario {
	return Scenario{
		Name: name,
		What: func(s Scale) string { return fmt.Sprintf("FETCH 1:%d %s", mailbox(s).messages, items) },
		Unit: unitMillis, Goal: report.Goal{Ratio: 2},
		Prepare: func(ctx context.Context, e *Env) error {
			m := mailbox(e.Scale)
			if err := fill(ctx, e.Target, e.Target.account(0), m); err != nil {
				return err
			}
			// Once untimed: servers that keep envelopes in a cache fill it then.
			_, err := fetchAll(ctx, e, m, items, 1)
			return err
		},
		Round: func(ctx context.Context, e *Env) (Sample, error) {
			return fetchAll(ctx, e, mailbox(e.Scale), items, e.Scale.Fetches)
		},
	}
}

// fetchAll fetches items of all messages of a mailbox, several times.
func fetchAll(ctx context.Context, e *Env, m mailboxSpec, items string, times int) (Sample, error) {
	c, err := e.Target.open(ctx, e.Target.account(0))
	if err != nil {
		return Sample{}, err
	}
	defer c.Close()
	if _, err := c.OK("EXAMINE %s", traffic.Quote(m.name)); err != nil {
		return Sample{}, err
	}
	return repeat(ctx, times, func() error {
		got := 0
		status, err := c.Run(traffic.Handler{Line: func(line []byte) error {
			if isFetch(line) {
				got++
			}
			return nil
		}}, "FETCH 1:%d %s", m.messages, items)
		if err == nil && !status.OK() {
			err = &traffic.StatusError{Command: "FETCH", Status: status}
		}
		if err == nil && got != m.messages {
			err = fmt.Errorf("FETCH of %d messages answered %d", m.messages, got)
		}
		return err
	})
}

// isFetch reports whether line is "n FETCH …".
func isFetch(line []byte) bool {
	i := bytes.IndexByte(line, ' ')
	return i > 0 && bytes.HasPrefix(line[i+1:], []byte("FETCH "))
}

// repeat times fn; the figure is the median in milliseconds.
func repeat(ctx context.Context, times int, fn func() error) (Sample, error) {
	s := Sample{Latency: newHistogram()}
	var runs []float64
	start := time.Now()
	for range times {
		if err := ctx.Err(); err != nil {
			return s, err
		}
		t0 := time.Now()
		if err := fn(); err != nil {
			return s, err
		}
		d := time.Since(t0)
		record(s.Latency, d)
		runs = append(runs, d.Seconds()*1000)
	}
	s.Elapsed, s.Ops, s.Figure = time.Since(start), int64(times), report.Median(runs)
	return s, nil
}

const (
	bodySize = 64 << 10
	// bodyMessages is how many messages of that size there are.
	bodyMessages = 100
	// bodyClients read at the same time.
	bodyClients = 4
)

// fetchBodyScenario streams bodies of ordinary messages to a few clients.
func fetchBodyScenario() Scenario {
	m := mailboxSpec{"bodies", bodyMessages, bodyMessages, bodySize}
	return Scenario{
		Name: "fetch-body",
		What: func(Scale) string { return fmt.Sprintf("FETCH BODY[] of 64 KiB, %d clients", bodyClients) },
		Unit: unitMegabytes, Goal: report.Goal{Ratio: 1},
		Prepare: func(ctx context.Context, e *Env) error {
			return fill(ctx, e.Target, e.Target.account(0), m)
		},
		Round: func(ctx context.Context, e *Env) (Sample, error) {
			return fetchBodies(ctx, e, m, bodyClients, e.Scale.Bodies)
		},
	}
}

// fetchHugeScenario streams bodies that no server should hold in memory.
func fetchHugeScenario() Scenario {
	mailbox := func(s Scale) mailboxSpec { return mailboxSpec{"huge", 2, 2, s.HugeSize} }
	return Scenario{
		Name: "fetch-huge",
		What: func(s Scale) string { return fmt.Sprintf("FETCH BODY[] of %d MiB, one client", s.HugeSize>>20) },
		Unit: unitMegabytes, Goal: report.Goal{Ratio: 1},
		Prepare: func(ctx context.Context, e *Env) error {
			return fill(ctx, e.Target, e.Target.account(0), mailbox(e.Scale))
		},
		Round: func(ctx context.Context, e *Env) (Sample, error) {
			peak := e.watchPeak()
			s, err := fetchBodies(ctx, e, mailbox(e.Scale), 1, e.Scale.HugeBodies)
			s.Note = peak()
			return s, err
		},
	}
}

// fetchBodies reads ops bodies of a mailbox, without keeping them.
func fetchBodies(ctx context.Context, e *Env, m mailboxSpec, clients, ops int) (Sample, error) {
	conns := make([]*traffic.Conn, clients)
	for i := range conns {
		c, err := e.Target.open(ctx, e.Target.account(0))
		if err != nil {
			return Sample{}, err
		}
		defer c.Close()
		if _, err := c.OK("EXAMINE %s", traffic.Quote(m.name)); err != nil {
			return Sample{}, err
		}
		conns[i] = c
	}
	s, err := closedLoop(ctx, conns, bound{commandTimeout, int64(ops)},
		func(_ context.Context, c *traffic.Conn, client, n int) error {
			return fetchBody(c, (client*29+n)%m.messages+1, int64(m.size))
		})
	s.Figure = s.perSecond() * float64(m.size) / 1e6
	return s, err
}

// fetchBody reads the body of a message and checks its size.
func fetchBody(c *traffic.Conn, seq int, size int64) error {
	var got int64
	status, err := c.Run(traffic.Handler{Literal: func(_ []byte, announced int64, r io.Reader) error {
		n, err := io.Copy(io.Discard, r)
		got += n
		return err
	}}, "FETCH %d BODY.PEEK[]", seq)
	if err == nil && !status.OK() {
		err = &traffic.StatusError{Command: "FETCH", Status: status}
	}
	if err == nil && got != size {
		err = fmt.Errorf("message %d has %d octets, %d were fetched", seq, size, got)
	}
	return err
}
