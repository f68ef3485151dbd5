package load

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"time"

	"github.com/emersion/go-smtp"

	"github.com/quorumail/quorumail/bench/report"
	"github.com/quorumail/quorumail/bench/traffic"
)

// deliveryTimeout is how long a delivered message may take to be told.
const deliveryTimeout = 30 * time.Second

// appendToIdleScenario times from the start of an APPEND until another session,
// idling on the last frontend, is told.
func appendToIdleScenario() Scenario {
	return deliveryScenario("append-to-idle", "APPEND to the line of a session that idles, p99", report.Goal{}, nil,
		func(ctx context.Context, e *Env) (deliverFunc, func(), error) {
			c, err := e.Target.open(ctx, e.Target.account(0))
			if err != nil {
				return nil, nil, err
			}
			return func(message []byte) error {
				_, err := c.Append(deliveryMailbox, nil, time.Time{}, int64(len(message)), bytes.NewReader(message))
				return err
			}, func() { c.Close() }, nil
		})
}

// lmtpToIdleScenario times from the start of an LMTP transaction at the first
// frontend until a session that idles on the last one is told.
func lmtpToIdleScenario() Scenario {
	return deliveryScenario("lmtp-to-idle", "LMTP delivery to the line of a session that idles on another frontend, p99",
		report.Goal{Within: 50}, func(t *Target) bool { return t.LMTP != "" },
		func(ctx context.Context, e *Env) (deliverFunc, func(), error) {
			var d net.Dialer
			nc, err := d.DialContext(ctx, "tcp", e.Target.LMTP)
			if err != nil {
				return nil, nil, err
			}
			c := smtp.NewClientLMTP(nc)
			c.CommandTimeout, c.SubmissionTimeout = deliveryTimeout, deliveryTimeout
			if err := c.Hello("bench.example.net"); err != nil {
				c.Close()
				return nil, nil, fmt.Errorf("LMTP: %w", err)
			}
			to := e.Target.account(0).Name
			return func(message []byte) error { return deliver(c, to, message) }, func() { c.Close() }, nil
		})
}

// deliver delivers a message to one recipient.
func deliver(c *smtp.Client, to string, message []byte) error {
	if err := c.Mail("sender@example.net", nil); err != nil {
		return fmt.Errorf("LMTP: MAIL: %w", err)
	}
	if err := c.Rcpt(to, nil); err != nil {
		return fmt.Errorf("LMTP: RCPT: %w", err)
	}
	w, err := c.Data()
	if err != nil {
		return fmt.Errorf("LMTP: DATA: %w", err)
	}
	if _, err := w.Write(message); err != nil {
		return fmt.Errorf("LMTP: message: %w", err)
	}
	if _, err := w.CloseWithLMTPResponse(); err != nil {
		return fmt.Errorf("LMTP: message: %w", err)
	}
	return nil
}

// deliverFunc delivers a message to the INBOX of the first account and returns
// when the server has taken it.
type deliverFunc func(message []byte) error

// deliveryMailbox is where LMTP delivers to.
const deliveryMailbox = "INBOX"

func deliveryScenario(name, what string, goal report.Goal, needs func(*Target) bool,
	open func(context.Context, *Env) (deliverFunc, func(), error)) Scenario {
	return Scenario{
		Name: name, What: func(Scale) string { return what },
		Unit: unitMillis, Goal: goal, Needs: needs,
		Round: func(ctx context.Context, e *Env) (Sample, error) {
			fn, done, err := open(ctx, e)
			if err != nil {
				return Sample{}, err
			}
			defer done()
			return deliveryRound(ctx, e, fn)
		},
	}
}

// deliveryRound delivers messages one after the other to a session that idles.
// The figure is the 99th percentile.
func deliveryRound(ctx context.Context, e *Env, deliver deliverFunc) (Sample, error) {
	at := e.Target.IMAP[len(e.Target.IMAP)-1]
	c, err := e.Target.login(ctx, at, e.Target.account(0), 0)
	if err != nil {
		return Sample{}, err
	}
	defer c.Close()
	if _, err := c.OK("SELECT %s", deliveryMailbox); err != nil {
		return Sample{}, err
	}
	idle, err := c.StartIdle()
	if err != nil {
		return Sample{}, err
	}
	// Others in each round: a server may take the same message from an MTA as a
	// delivery that was tried again.
	e.round++
	gen := newMail(uint64(e.round) + 7<<32)
	s := Sample{Latency: newHistogram()}
	begun := time.Now()
	for n := range e.Scale.Deliveries {
		if err := ctx.Err(); err != nil {
			return s, err
		}
		d, err := deliverOne(c, idle, deliver, gen.message(4<<10))
		if err != nil {
			return s, fmt.Errorf("delivery %d: %w", n, err)
		}
		record(s.Latency, d)
	}
	s.Elapsed, s.Ops = time.Since(begun), s.Latency.TotalCount()
	s.Figure = milliseconds(s.Latency, 99)
	return s, nil
}

// deliverOne delivers a message while the session waits to be told.
func deliverOne(c *traffic.Conn, idle *traffic.Pending, deliver deliverFunc, message []byte) (time.Duration, error) {
	want := c.Exists() + 1
	start := time.Now()
	delivered := make(chan error, 1)
	go func() { delivered <- deliver(message) }()
	var told time.Time
	err := c.AwaitIdle(idle, start.Add(deliveryTimeout), func([]byte) error {
		if c.Exists() < want {
			return nil
		}
		told = time.Now()
		return traffic.ErrStop
	})
	// The delivery has deadlines of its own.
	return told.Sub(start), errors.Join(err, <-delivered)
}
