package load

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"

	"github.com/quorumail/quorumail/bench/fault"
	"github.com/quorumail/quorumail/bench/report"
	"github.com/quorumail/quorumail/bench/traffic"
)

// shardsOptions say what a trial of idle shards does.
type shardsOptions struct {
	shards    int
	heartbeat time.Duration
	idle      time.Duration // how long the nodes are watched
	kills     int           // how often a leader is killed then
}

const (
	// shardNodes are the nodes of the trial; each holds a replica of each shard.
	shardNodes = 3
	// shardAccounts are spread over the shards; each is written to after a kill.
	shardAccounts = 16
	// shardsSettle is how long a new cluster rests: its first flushes, the leaders'
	// first round of upkeep.
	shardsSettle = 15 * time.Second
	// failoverTime bounds the wait for an acknowledgement after a kill.
	failoverTime = time.Minute
)

// shardsTrial watches idle nodes with many shards, and then kills leaders, at the
// same settings: each is cheap at the other's cost.
func shardsTrial(o shardsOptions) trial {
	return trial{
		name: fmt.Sprintf("shards-%d", o.shards),
		what: fmt.Sprintf("three idle nodes with %d shards each, heartbeat %v; then leaders are killed", o.shards, o.heartbeat),
		run:  func(ctx context.Context, e *trialEnv) ([]report.Row, error) { return runShards(ctx, e, o) },
	}
}

func runShards(ctx context.Context, e *trialEnv, o shardsOptions) (rows []report.Row, err error) {
	b, err := e.start(ctx, shardNodes, shardAccounts, "--shards", fmt.Sprint(o.shards), "--heartbeat", o.heartbeat.String(),
		"--pprof", "127.0.0.1:0", "--pprof-mutex", "0", "--pprof-block", "0")
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, b.close()) }()
	if err := fault.Pause(ctx, shardsSettle); err != nil {
		return nil, err
	}
	e.tell("the nodes idle for %v", o.idle)
	if rows, err = watchIdle(ctx, b, o); err != nil {
		return nil, err
	}
	for _, r := range rows {
		e.tell("%s: %.3g %s; %s", r.What, r.Ours.Value, r.Unit.Name, r.Ours.Note)
	}
	if o.kills == 0 {
		return rows, nil
	}
	h := newHistogram()
	for n := range o.kills {
		if err := failover(ctx, e, b, o, n, h); err != nil {
			return rows, fmt.Errorf("kill %d: %w", n+1, err)
		}
	}
	return append(rows, report.Row{
		Name: fmt.Sprintf("failover-%d", o.shards),
		What: fmt.Sprintf("SIGKILL of a leader to the next acknowledged APPEND, %d shards, heartbeat %v, median", o.shards, o.heartbeat),
		Unit: unitMillis,
		Ours: &report.Figure{
			Value: milliseconds(h, 50), Ops: h.TotalCount(), P50: milliseconds(h, 50), P99: milliseconds(h, 99), Max: float64(h.Max()) / 1000,
			Note: fmt.Sprintf("%d kills, %d accounts that lost their leader", o.kills, h.TotalCount()),
		},
	}), nil
}

// watchIdle measures what each node costs that has nothing to do. The figure is that
// of the node that costs most: leaders are not spread evenly.
func watchIdle(ctx context.Context, b *bench, o shardsOptions) ([]report.Row, error) {
	ids := b.Nodes()
	read := func() ([]time.Duration, error) {
		out := make([]time.Duration, len(ids))
		for i, id := range ids {
			var err error
			if out[i], err = cpuTime(b.Node(id).PID()); err != nil {
				return nil, err
			}
		}
		return out, nil
	}
	before, err := read()
	if err != nil {
		return nil, err
	}
	start := time.Now()
	if err := fault.Pause(ctx, o.idle); err != nil {
		return nil, err
	}
	after, err := read()
	if err != nil {
		return nil, err
	}
	elapsed := time.Since(start)
	leads, err := leaders(ctx, b)
	if err != nil {
		return nil, err
	}
	var percent, mebibytes []float64
	var notes []string
	for i, id := range ids {
		percent = append(percent, 100*(after[i]-before[i]).Seconds()/elapsed.Seconds())
		pss, err := memoryOf([]int{b.Node(id).PID()})
		if err != nil {
			return nil, err
		}
		mebibytes = append(mebibytes, float64(pss)/(1<<20))
		addr, err := b.Node(id).Value("pprof")
		if err != nil {
			return nil, err
		}
		n, err := goroutines(ctx, addr)
		if err != nil {
			return nil, err
		}
		notes = append(notes, fmt.Sprintf("%s leads %d and has %d goroutines", id, leads[id], n))
	}
	row := func(name, what, unit string, goal float64, runs []float64) report.Row {
		r := report.Row{
			Name: fmt.Sprintf("idle-%s-%d", name, o.shards),
			What: fmt.Sprintf("idle node with %d shards, heartbeat %v: %s", o.shards, o.heartbeat, what),
			Unit: report.Unit{Name: unit},
			Ours: &report.Figure{Value: slices.Max(runs), Runs: runs, Note: strings.Join(notes, ", ")},
		}
		if o.shards <= 64 {
			r.Goal.Within = goal
		}
		return r
	}
	return []report.Row{
		row("cpu", "processor time, of one core", "%", 10, percent),
		row("memory", "memory (PSS)", "MiB", 1024, mebibytes),
	}, nil
}

// leaders counts the groups that each node leads.
func leaders(ctx context.Context, b *bench) (map[string]int, error) {
	replicas, err := b.Replicas(ctx)
	if err != nil {
		return nil, err
	}
	leads := make(map[string]int)
	for id, list := range replicas {
		for _, r := range list {
			if r.Role == "leader" {
				leads[id]++
			}
		}
	}
	return leads, nil
}

// failover kills the node that leads most of the accounts' shards, and times until
// each of those accounts has an APPEND acknowledged, which is begun when the node is
// dead. Then the node is started again.
func failover(ctx context.Context, e *trialEnv, b *bench, o shardsOptions, n int, h *hdrhistogram.Histogram) error {
	led := make(map[string][]int) // accounts, by their leader
	for i, a := range b.accounts {
		id, err := b.Leader(ctx, a.Name)
		if err != nil {
			return err
		}
		led[id] = append(led[id], i)
	}
	victim := slices.MaxFunc(slices.Sorted(maps.Keys(led)), func(x, y string) int { return len(led[x]) - len(led[y]) })
	gen := newMail(uint64(n))
	message := gen.message(4 << 10)
	// The frontend's connections are up, and so is what the first command costs.
	for i := range b.conns {
		if err := insist(ctx, func() error { return appendTo(b.conns[i], message) }); err != nil {
			return err
		}
	}
	bounded, cancel := context.WithTimeoutCause(ctx, failoverTime, fmt.Errorf("no acknowledgement within %v", failoverTime))
	defer cancel()
	b.Node(victim).Kill()
	start := time.Now()
	var mu sync.Mutex
	var slowest time.Duration
	err := parallel(bounded, len(led[victim]), len(led[victim]), func(ctx context.Context, i int) error {
		if err := insist(ctx, func() error { return appendTo(b.conns[led[victim][i]], message) }); err != nil {
			return err
		}
		mu.Lock()
		defer mu.Unlock()
		d := time.Since(start)
		record(h, d)
		slowest = max(slowest, d)
		return nil
	})
	if err != nil {
		return fmt.Errorf("node %s: %w", victim, err)
	}
	e.tell("node %s killed: %d accounts are back within %v", victim, len(led[victim]), slowest.Round(time.Millisecond))
	if err := b.StartNode(ctx, victim); err != nil {
		return err
	}
	// The next one that dies must not be the only other one that is up to date.
	return caughtUp(ctx, b, victim)
}

func appendTo(c *traffic.Conn, message []byte) error {
	_, err := c.Append("INBOX", nil, time.Time{}, int64(len(message)), bytes.NewReader(message))
	return err
}

// caughtUp waits until a node has applied what the others had when this was called.
func caughtUp(ctx context.Context, b *bench, node string) error {
	want := make(map[uint32]uint64)
	first := true
	for {
		replicas, err := b.Replicas(ctx)
		if err != nil {
			return err
		}
		if first {
			for _, list := range replicas {
				for _, r := range list {
					want[r.Shard] = max(want[r.Shard], r.AppliedIndex)
				}
			}
			first = false
		}
		behind := len(want)
		for _, r := range replicas[node] {
			if r.AppliedIndex >= want[r.Shard] && r.Leader != "" {
				behind--
			}
		}
		if behind <= 0 {
			return nil
		}
		if err := fault.Pause(ctx, 20*time.Millisecond); err != nil {
			return fmt.Errorf("node %s: %d replicas are behind: %w", node, behind, err)
		}
	}
}
