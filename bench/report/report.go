// Package report turns measured figures into tables: what was measured, our
// figure, the other server's, their ratio and the goal, for a terminal and as
// Markdown, with the machine that they are of.
package report

import (
	"fmt"
	"slices"
	"strconv"
)

// Unit is what a figure counts.
type Unit struct {
	// Name is printed after figures, such as "ms".
	Name string
	// HigherIsBetter is true for rates, false for times and sizes.
	HigherIsBetter bool
}

// Goal is what a figure should reach. The zero value is no goal.
type Goal struct {
	// Ratio is how many times better than the other server's the figure should
	// be.
	Ratio float64
	// Within is a bound in the figure's unit, whatever the other server reaches.
	Within float64
}

// Figure is what one server reached in one scenario.
type Figure struct {
	// Value is the median of Runs, in the row's unit.
	Value float64
	// Runs are the figures of the single rounds, in their order.
	Runs []float64
	// Ops is how many operations were done, of all rounds.
	Ops int64
	// P50, P99 and Max are latencies of one operation in milliseconds.
	P50, P99, Max float64
	// Note is told below the table.
	Note string
}

// Median returns the median of runs, 0 of none.
func Median(runs []float64) float64 {
	if len(runs) == 0 {
		return 0
	}
	sorted := slices.Sorted(slices.Values(runs))
	mid := len(sorted) / 2
	if len(sorted)%2 == 1 {
		return sorted[mid]
	}
	return (sorted[mid-1] + sorted[mid]) / 2
}

// Row is one scenario.
type Row struct {
	// Name selects the scenario; What describes it.
	Name, What string
	Unit       Unit
	Goal       Goal
	// Ours and Theirs are the figures; nil where a server can't be measured.
	Ours, Theirs *Figure
	// Failed says why a figure is missing; empty if nothing failed.
	Failed string
}

// Ratio is how many times better ours is than theirs, and false if there are not
// two figures to compare.
func (r *Row) Ratio() (float64, bool) {
	if r.Ours == nil || r.Theirs == nil || r.Ours.Value <= 0 || r.Theirs.Value <= 0 {
		return 0, false
	}
	if r.Unit.HigherIsBetter {
		return r.Ours.Value / r.Theirs.Value, true
	}
	return r.Theirs.Value / r.Ours.Value, true
}

// Verdict is "reached", "missed", or empty where there is no goal or nothing to
// judge it by.
func (r *Row) Verdict() string {
	if r.Ours == nil {
		return ""
	}
	word := func(ok bool) string {
		if ok {
			return "reached"
		}
		return "missed"
	}
	if r.Goal.Within > 0 {
		if r.Unit.HigherIsBetter {
			return word(r.Ours.Value >= r.Goal.Within)
		}
		return word(r.Ours.Value <= r.Goal.Within)
	}
	if ratio, ok := r.Ratio(); ok && r.Goal.Ratio > 0 {
		return word(ratio >= r.Goal.Ratio)
	}
	return ""
}

// goal prints the goal.
func (r *Row) goal() string {
	switch {
	case r.Goal.Within > 0 && r.Unit.HigherIsBetter:
		return "≥ " + number(r.Goal.Within) + " " + r.Unit.Name
	case r.Goal.Within > 0:
		return "≤ " + number(r.Goal.Within) + " " + r.Unit.Name
	case r.Goal.Ratio > 0:
		return "≥ " + number(r.Goal.Ratio) + "×"
	}
	return ""
}

// number prints a figure with three digits, and thousands apart.
func number(v float64) string {
	switch {
	case v >= 1000:
		s := strconv.FormatFloat(v, 'f', 0, 64)
		for i := len(s) - 3; i > 0; i -= 3 {
			s = s[:i] + "," + s[i:]
		}
		return s
	case v >= 100:
		return strconv.FormatFloat(v, 'f', 0, 64)
	}
	return strconv.FormatFloat(v, 'g', 3, 64)
}

// figure prints a figure with its unit; a dash for none.
func (r *Row) figure(f *Figure) string {
	if f == nil {
		return "–"
	}
	return number(f.Value) + " " + r.Unit.Name
}

// latency prints the percentiles; empty where nothing was timed.
func (f *Figure) latency() string {
	if f == nil || f.Max == 0 {
		return ""
	}
	return fmt.Sprintf("%s / %s / %s", number(f.P50), number(f.P99), number(f.Max))
}
