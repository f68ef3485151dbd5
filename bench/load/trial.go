package load

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"time"

	"github.com/quorumail/quorumail/bench/fault"
	"github.com/quorumail/quorumail/bench/report"
	"github.com/quorumail/quorumail/bench/traffic"
)

// trial measures what only a cluster has: each starts one of its own, and gives
// rows without another server's figure.
type trial struct {
	name string
	what string
	run  func(ctx context.Context, e *trialEnv) ([]report.Row, error)
}

// trialEnv is what a trial works with.
type trialEnv struct {
	binary string
	dir    string // the trial's own
	out    io.Writer
}

func (e *trialEnv) tell(format string, args ...any) { fmt.Fprintf(e.out, "  "+format+"\n", args...) }

// trials are those of a scale.
func trials(s Scale) []trial {
	var list []trial
	for _, n := range s.Shards {
		list = append(list, shardsTrial(shardsOptions{shards: n, heartbeat: time.Second, idle: s.ShardIdle, kills: s.Kills}))
	}
	if s.Restart > 0 {
		list = append(list, restartTrial(restartOptions{nodes: 1, size: s.Restart, restarts: s.Restarts}))
	}
	return list
}

// selectTrials returns those whose names match; nil: all.
func selectTrials(s Scale, only *regexp.Regexp) []trial {
	var list []trial
	for _, t := range trials(s) {
		if only == nil || only.MatchString(t.name) {
			list = append(list, t)
		}
	}
	return list
}

// runTrials runs trials, each in a directory below dir that is removed after it. One
// that fails leaves a row that says why.
func runTrials(ctx context.Context, list []trial, binary, dir string, out io.Writer) ([]report.Row, error) {
	var rows []report.Row
	for _, t := range list {
		fmt.Fprintf(out, "%s: %s\n", t.name, t.what)
		e := &trialEnv{binary: binary, dir: filepath.Join(dir, t.name), out: out}
		bounded, cancel := context.WithTimeoutCause(ctx, scenarioTime, errScenarioTime)
		got, err := e.runOne(bounded, t)
		cancel()
		if err := context.Cause(ctx); err != nil {
			return rows, err
		}
		rows = append(rows, got...)
		if err != nil {
			e.tell("%v", err)
			rows = append(rows, report.Row{Name: t.name, What: t.what, Failed: err.Error()})
		}
	}
	return rows, nil
}

func (e *trialEnv) runOne(ctx context.Context, t trial) (rows []report.Row, err error) {
	if err := os.MkdirAll(e.dir, 0o755); err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(e.dir)) }()
	return t.run(ctx, e)
}

// bench is a cluster of a trial with a connection for each of some accounts.
type bench struct {
	*fault.Cluster
	accounts []Account
	conns    []*traffic.Conn
}

// start starts a cluster with one frontend, and accounts.
func (e *trialEnv) start(ctx context.Context, nodes, accounts int, nodeFlags ...string) (*bench, error) {
	c, err := fault.StartCluster(ctx, e.binary, e.dir, nodes, 1, nodeFlags...)
	if err != nil {
		return nil, err
	}
	b := &bench{Cluster: c, accounts: benchAccounts()[:accounts], conns: make([]*traffic.Conn, accounts)}
	addr, err := c.IMAP(1)
	if err == nil {
		err = parallel(ctx, accounts, 4, func(ctx2 context.Context, i int) error {
			a := b.accounts[i]
			if err := c.AddUser(ctx2, a.Name, a.Password); err != nil {
				return err
			}
			t := Target{Name: "Quorumail"}
			b.conns[i], err = t.login(ctx, Endpoint{Addr: addr}, a, 0) // ctx: the connection outlives ctx2
			return err
		})
	}
	if err != nil {
		return nil, errors.Join(err, b.close())
	}
	return b, nil
}

func (b *bench) close() error {
	for _, c := range b.conns {
		if c != nil {
			c.Close()
		}
	}
	return b.Cluster.Close()
}

// insist does a command until it is done: NO may mean "not now", as long as the
// connection stands.
func insist(ctx context.Context, op func() error) error {
	for {
		err := op()
		var refused *traffic.StatusError
		if err == nil || !errors.As(err, &refused) {
			return err
		}
		if err := fault.Pause(ctx, 10*time.Millisecond); err != nil {
			return err
		}
	}
}
