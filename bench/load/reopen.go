package load

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/quorumail/quorumail/bench/report"
	"github.com/quorumail/quorumail/bench/traffic"
)

// restartOptions say what a trial of restarts does.
type restartOptions struct {
	nodes    int
	size     int64 // octets of mail that are appended before the first restart
	restarts int
}

const (
	restartAccounts = 8
	// restartRest is appended just before each kill: what no flush has taken yet,
	// and the node has to take from its log again.
	restartRest = 48 << 20
	// The sizes of messages, each doubling as likely as another.
	restartSmallest, restartLargest = 4 << 10, 1 << 20
	// restartPatience bounds one restart.
	restartPatience = 5 * time.Minute
)

// restartTrial kills a node that holds much mail with SIGKILL, and times its start.
func restartTrial(o restartOptions) trial {
	return trial{
		name: "restart",
		what: fmt.Sprintf("SIGKILL and restart of a node with %s of mail, %d in the cluster", gibibytes(o.size), o.nodes),
		run:  func(ctx context.Context, e *trialEnv) ([]report.Row, error) { return runRestart(ctx, e, o) },
	}
}

func gibibytes(n int64) string { return fmt.Sprintf("%.3g GiB", float64(n)/(1<<30)) }

func runRestart(ctx context.Context, e *trialEnv, o restartOptions) (rows []report.Row, err error) {
	b, err := e.start(ctx, o.nodes, restartAccounts)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, b.close()) }()
	gen := newMail(uint64(o.size))
	pool := make([][]byte, appendPool)
	for i := range pool {
		pool[i] = gen.message(gen.sizeBetween(restartSmallest, restartLargest))
	}
	start := time.Now()
	var labels atomic.Int64
	if err := appendOctets(ctx, b, pool, o.size, &labels); err != nil {
		return nil, fmt.Errorf("fill: %w", err)
	}
	const node = "n1"
	onDisk, err := diskUsage(b.DataDir(node))
	if err != nil {
		return nil, err
	}
	e.tell("%s appended in %.0f s; %s on the disk of %s", gibibytes(o.size), time.Since(start).Seconds(), gibibytes(onDisk), node)
	var runs, back, cpu []float64
	for range o.restarts {
		if err := appendOctets(ctx, b, pool, restartRest, &labels); err != nil {
			return nil, fmt.Errorf("before a kill: %w", err)
		}
		served, caught, err := restartOnce(ctx, b, node)
		if err != nil {
			return nil, err
		}
		used, err := cpuTime(b.Node(node).PID())
		if err != nil {
			return nil, err
		}
		e.tell("serving after %.2f s, caught up after %.2f s and %.2f s of processor time", served.Seconds(), caught.Seconds(), used.Seconds())
		runs, back, cpu = append(runs, served.Seconds()), append(back, caught.Seconds()), append(cpu, used.Seconds())
	}
	note := fmt.Sprintf("%s of mail, %s on disk; the node had used %.3g s of processor time", gibibytes(o.size), gibibytes(onDisk), report.Median(cpu))
	row := func(name, what string, goal float64, runs []float64) report.Row {
		return report.Row{
			Name: name, What: fmt.Sprintf("restart of a node with %s: SIGKILL, then from its start to %s", gibibytes(o.size), what),
			Unit: report.Unit{Name: "s"}, Goal: report.Goal{Within: goal},
			Ours: &report.Figure{Value: report.Median(runs), Runs: runs, Ops: int64(len(runs)), Note: note},
		}
	}
	rows = append(rows, row("restart", "the last account's SELECT and FETCH answered", 5, runs))
	if o.nodes > 1 {
		rows = append(rows, row("restart-caught-up", "having applied all that the others have", 0, back))
	}
	return rows, nil
}

// appendOctets appends messages to all accounts at the same time until they are so
// many octets together.
func appendOctets(ctx context.Context, b *bench, pool [][]byte, octets int64, labels *atomic.Int64) error {
	var done atomic.Int64
	return parallel(ctx, len(b.conns), len(b.conns), func(ctx context.Context, i int) error {
		c := b.conns[i]
		for done.Load() < octets {
			if err := ctx.Err(); err != nil {
				return err
			}
			var window []*traffic.Pending
			for len(window) < 4 {
				n := labels.Add(1)
				body, size := labelled(pool[int(n)%len(pool)], fmt.Sprint(n))
				p, err := c.StartAppend("INBOX", traffic.Message{Size: size, Body: body})
				if err != nil {
					return err
				}
				window = append(window, p)
				done.Add(size)
			}
			for _, p := range window {
				if _, err := c.WaitAppend(p); err != nil {
					return err
				}
			}
		}
		return nil
	})
}

// restartOnce kills a node and starts it again. It returns how long after its start
// each account has had an answer, and how long after that the node's replicas have
// applied what was there. All sessions go on over the kill.
func restartOnce(ctx context.Context, b *bench, node string) (served, caught time.Duration, err error) {
	ctx, cancel := context.WithTimeoutCause(ctx, restartPatience, fmt.Errorf("no answer within %v of a restart", restartPatience))
	defer cancel()
	b.Node(node).Kill()
	start := time.Now()
	started := make(chan error, 1)
	go func() { started <- b.StartNode(ctx, node) }()
	err = parallel(ctx, len(b.conns), len(b.conns), func(ctx context.Context, i int) error {
		return insist(ctx, func() error { return readLast(b.conns[i]) })
	})
	served = time.Since(start)
	if err = errors.Join(err, <-started); err != nil {
		return 0, 0, fmt.Errorf("restart of %s: %w", node, err)
	}
	err = caughtUp(ctx, b, node)
	return served, time.Since(start), err
}

// readLast selects and reads the last message, which is one that was acknowledged
// just before.
func readLast(c *traffic.Conn) error {
	if _, err := c.OK("SELECT INBOX"); err != nil {
		return err
	}
	if c.Exists() == 0 {
		return errors.New("SELECT INBOX: no messages after a restart")
	}
	lines, err := c.OK("FETCH %d (RFC822.SIZE)", c.Exists())
	if err == nil && len(lines) == 0 {
		err = fmt.Errorf("FETCH %d: no answer after a restart", c.Exists())
	}
	return err
}
