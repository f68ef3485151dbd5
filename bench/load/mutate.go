package load

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/quorumail/quorumail/bench/report"
	"github.com/quorumail/quorumail/bench/traffic"
)

// unitOps and the others are the units of figures.
var (
	unitOps       = report.Unit{Name: "ops/s", HigherIsBetter: true}
	unitMegabytes = report.Unit{Name: "MB/s", HigherIsBetter: true}
	unitMillis    = report.Unit{Name: "ms"}
	unitKiB       = report.Unit{Name: "KiB"}
)

// appendPool is how many messages clients append in turn, each with a label of
// its own.
const appendPool = 256

// appendScenario is durable APPEND by many clients.
func appendScenario() Scenario {
	var pool [][]byte
	return Scenario{
		Name: "append",
		What: func(s Scale) string { return fmt.Sprintf("durable APPEND, 4–64 KiB, %d clients", s.Clients) },
		Unit: unitOps, Goal: report.Goal{Ratio: 2},
		Prepare: func(context.Context, *Env) error {
			if pool != nil {
				return nil
			}
			gen := newMail(1)
			for range appendPool {
				pool = append(pool, gen.message(gen.sizeBetween(4<<10, 64<<10)))
			}
			return nil
		},
		Round: func(ctx context.Context, e *Env) (Sample, error) { return appendRound(ctx, e, pool) },
	}
}

func appendRound(ctx context.Context, e *Env, pool [][]byte) (Sample, error) {
	conns, closeAll, err := e.Target.openAll(ctx, e.Scale.Clients)
	if err != nil {
		return Sample{}, err
	}
	defer closeAll()
	before, err := e.countAll(ctx, conns)
	if err != nil {
		return Sample{}, err
	}
	e.round++
	round := e.round
	s, err := closedLoop(ctx, conns, bound{e.Scale.Duration, e.Scale.MaxOps},
		func(_ context.Context, c *traffic.Conn, client, n int) error {
			body, size := labelled(pool[(client*37+n)%len(pool)], fmt.Sprintf("%d.%d.%d", round, client, n))
			at, err := c.Append("INBOX", nil, time.Time{}, size, body)
			if err == nil && at.UIDs.Len() != 1 {
				err = fmt.Errorf("APPENDUID names %d messages", at.UIDs.Len())
			}
			return err
		})
	if err != nil {
		return s, err
	}
	after, err := e.countAll(ctx, conns)
	if err != nil {
		return s, err
	}
	if got := after - before; got != s.Ops {
		return s, fmt.Errorf("%d appends were acknowledged, %d messages are there", s.Ops, got)
	}
	s.Figure = s.perSecond()
	return s, nil
}

// countAll counts the messages of the INBOXes of all accounts that conns use.
func (e *Env) countAll(ctx context.Context, conns []*traffic.Conn) (int64, error) {
	var sum int64
	for i := 0; i < len(conns) && i < len(e.Target.Accounts); i++ {
		if err := ctx.Err(); err != nil {
			return 0, err
		}
		n, err := count(conns[i], "INBOX")
		if err != nil {
			return 0, err
		}
		sum += int64(n)
	}
	return sum, nil
}

// storeMessages is how many messages each mailbox of the STORE scenario has.
const storeMessages = 100

// storeScenario is STORE of flags by many clients on as many mailboxes.
func storeScenario() Scenario {
	mailbox := func(client int) string { return fmt.Sprintf("store-%d", client) }
	return Scenario{
		Name: "store",
		What: func(s Scale) string {
			return fmt.Sprintf("STORE flags of a message, %d clients on %d mailboxes", s.Clients, s.Clients)
		},
		Unit: unitOps, Goal: report.Goal{Ratio: 2},
		Prepare: func(ctx context.Context, e *Env) error {
			e.stores = make([]int, e.Scale.Clients)
			return parallel(ctx, e.Scale.Clients, 4, func(ctx context.Context, i int) error {
				return prepareStore(ctx, e.Target, e.Target.account(i), mailbox(i))
			})
		},
		Round: func(ctx context.Context, e *Env) (Sample, error) {
			conns, closeAll, err := e.Target.openAll(ctx, e.Scale.Clients)
			if err != nil {
				return Sample{}, err
			}
			defer closeAll()
			for i, c := range conns {
				if _, err := c.OK("SELECT %s", traffic.Quote(mailbox(i))); err != nil {
					return Sample{}, err
				}
			}
			s, err := closedLoop(ctx, conns, bound{e.Scale.Duration, e.Scale.MaxOps},
				func(_ context.Context, c *traffic.Conn, client, _ int) error {
					e.stores[client]++
					return storeOne(c, e.stores[client]-1)
				})
			s.Figure = s.perSecond()
			return s, err
		},
	}
}

// prepareStore fills a mailbox and takes \Flagged off all its messages.
func prepareStore(ctx context.Context, t *Target, acct Account, mailbox string) error {
	if err := fill(ctx, t, acct, mailboxSpec{mailbox, storeMessages, storeMessages, 1 << 10}); err != nil {
		return err
	}
	c, err := t.open(ctx, acct)
	if err != nil {
		return err
	}
	defer c.Close()
	if _, err := c.OK("SELECT %s", traffic.Quote(mailbox)); err != nil {
		return err
	}
	_, err = c.OK("STORE 1:* -FLAGS.SILENT (\\Flagged)")
	return err
}

// storeOne sets or clears \Flagged on one message. n counts the client's
// operations of all rounds: each pass over the mailbox does the other thing than
// the one before, so that no STORE changes nothing.
func storeOne(c *traffic.Conn, n int) error {
	sign := '+'
	if n/storeMessages%2 == 1 {
		sign = '-'
	}
	lines, err := c.OK("STORE %d %cFLAGS (\\Flagged)", n*37%storeMessages+1, sign)
	if err == nil && len(lines) == 0 {
		err = errors.New("STORE without a FETCH response (RFC 9051, 6.4.6)")
	}
	return err
}
