package load

import (
	"context"
	"errors"
	"fmt"
	"io"
	"regexp"
	"time"

	"github.com/quorumail/quorumail/bench/report"
)

// Options say what to run.
type Options struct {
	Scale Scale
	// Only selects scenarios by name; nil: all.
	Only *regexp.Regexp
	// Progress is told what happens, line by line.
	Progress io.Writer
}

// scenarios returns those that the options select.
func (o *Options) scenarios() ([]Scenario, error) {
	var out []Scenario
	for _, s := range Scenarios() {
		if o.Only == nil || o.Only.MatchString(s.Name) {
			out = append(out, s)
		}
	}
	if len(out) == 0 {
		return nil, fmt.Errorf("load: no scenario matches %q", o.Only)
	}
	return out, nil
}

// Compare runs scenarios against one target, or against two in alternating
// rounds: the first is "ours". A scenario that fails leaves a row that says why;
// the error is about what ends everything, such as ctx.
func Compare(ctx context.Context, o Options, targets ...*Target) ([]report.Row, error) {
	if len(targets) < 1 || len(targets) > 2 {
		return nil, fmt.Errorf("load: %d targets, want one or two", len(targets))
	}
	scenarios, err := o.scenarios()
	if err != nil {
		return nil, err
	}
	var envs []*Env
	for _, t := range targets {
		if err := t.Validate(); err != nil {
			return nil, err
		}
		envs = append(envs, &Env{Target: t, Scale: o.Scale, Progress: o.Progress})
	}
	var rows []report.Row
	for i := range scenarios {
		bounded, cancel := context.WithTimeoutCause(ctx, scenarioTime, errScenarioTime)
		start := time.Now()
		row := compareOne(bounded, &scenarios[i], envs)
		cancel()
		fmt.Fprintf(o.Progress, "%s: %.0f s in all\n", row.Name, time.Since(start).Seconds())
		if err := context.Cause(ctx); err != nil {
			return rows, err
		}
		rows = append(rows, row)
	}
	return append(rows, derived(rows)...), nil
}

// compareOne prepares one scenario and runs its rounds, in turn.
func compareOne(ctx context.Context, s *Scenario, envs []*Env) report.Row {
	row := report.Row{Name: s.Name, What: s.What(envs[0].Scale), Unit: s.Unit, Goal: s.Goal}
	samples := make([][]Sample, len(envs))
	failed := make([]error, len(envs))
	each := func(step string, fn func(i int, e *Env) error) {
		for i, e := range envs {
			if failed[i] != nil || !s.possible(e.Target) {
				continue
			}
			if ctx.Err() != nil {
				failed[i] = fmt.Errorf("%s: %w", e.Target.Name, context.Cause(ctx))
				continue
			}
			fmt.Fprintf(e.Progress, "%s: %s %s\n", s.Name, e.Target.Name, step)
			if err := fn(i, e); err != nil {
				failed[i] = fmt.Errorf("%s: %s: %w", e.Target.Name, step, err)
				e.tell("%v", failed[i])
			}
		}
	}
	if s.Prepare != nil {
		each("prepares", func(_ int, e *Env) error { return s.Prepare(ctx, e) })
	}
	for round := range s.rounds(envs[0].Scale) {
		each(fmt.Sprintf("round %d", round+1), func(i int, e *Env) error {
			sample, err := s.Round(ctx, e)
			if err != nil {
				return err
			}
			samples[i] = append(samples[i], sample)
			e.tell("%.4g %s, %d operations in %.1f s %s", sample.Figure, s.Unit.Name, sample.Ops, sample.Elapsed.Seconds(), sample.Note)
			return nil
		})
	}
	figures := make([]*report.Figure, 2)
	for i := range envs {
		if failed[i] == nil { // what worked before a failure is not to be trusted
			figures[i] = figureOf(samples[i])
		}
	}
	row.Ours, row.Theirs = figures[0], figures[1]
	if err := errors.Join(failed...); err != nil {
		row.Failed = err.Error()
	}
	return row
}

// figureOf merges rounds; nil of none.
func figureOf(samples []Sample) *report.Figure {
	if len(samples) == 0 {
		return nil
	}
	f := new(report.Figure)
	latency := newHistogram()
	for _, s := range samples {
		f.Runs = append(f.Runs, s.Figure)
		f.Ops += s.Ops
		if s.Note != "" {
			f.Note = s.Note
		}
		latency.Merge(s.Latency)
	}
	f.Value = report.Median(f.Runs)
	if latency.TotalCount() > 0 {
		f.P50, f.P99 = milliseconds(latency, 50), milliseconds(latency, 99)
		f.Max = float64(latency.Max()) / 1000
	}
	return f
}

// derived are rows that compare two scenarios with each other: how much a
// resynchronisation costs more in the large mailbox than in the small one.
func derived(rows []report.Row) []report.Row {
	var large, few *report.Row
	for i := range rows {
		switch rows[i].Name {
		case "qresync-large":
			large = &rows[i]
		case "qresync-few":
			few = &rows[i]
		}
	}
	if large == nil || few == nil {
		return nil
	}
	quotient := func(a, b *report.Figure) *report.Figure {
		if a == nil || b == nil || b.Value == 0 {
			return nil
		}
		return &report.Figure{Value: a.Value / b.Value}
	}
	ours, theirs := quotient(large.Ours, few.Ours), quotient(large.Theirs, few.Theirs)
	if ours == nil && theirs == nil {
		return nil
	}
	return []report.Row{{
		Name: "qresync-flat", What: "SELECT (QRESYNC) in the large mailbox over the small one",
		Unit: report.Unit{Name: "×"}, Goal: report.Goal{Within: 1.5},
		Ours: ours, Theirs: theirs,
	}}
}
