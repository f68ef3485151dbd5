package load

import (
	"context"
	"fmt"
	"io"
	"time"

	"github.com/quorumail/quorumail/bench/report"
)

// Env is what a scenario works with: one target, and what it was told before.
type Env struct {
	Target *Target
	Scale  Scale
	// Progress is told what happens; io.Discard for nobody.
	Progress io.Writer

	round  int   // counts the rounds of all scenarios, for labels
	stores []int // STORE commands of each client, of all rounds
}

// tell reports progress.
func (e *Env) tell(format string, args ...any) {
	fmt.Fprintf(e.Progress, "  "+format+"\n", args...)
}

// Scenario is one thing that is measured.
type Scenario struct {
	// Name selects it; What describes it with the scale's numbers.
	Name string
	What func(Scale) string
	// Unit is that of its figure, and which way is better.
	Unit report.Unit
	// Goal is what the project wants, for the table.
	Goal report.Goal
	// Needs says what of the target it can't do without; nil: nothing.
	Needs func(*Target) bool
	// Prepare makes what rounds need, untimed, before the first one; may be nil.
	Prepare func(context.Context, *Env) error
	// Rounds is how many there are at most; 0: as many as the scale has.
	Rounds int
	// Round measures once.
	Round func(context.Context, *Env) (Sample, error)
}

// scenarioTime bounds a scenario, with its preparation and all rounds on both
// servers, and a trial: a table without one row is better than none.
const scenarioTime = 30 * time.Minute

var errScenarioTime = fmt.Errorf("not done within %v", scenarioTime)

// rounds is how often the scenario is run.
func (s *Scenario) rounds(scale Scale) int {
	if s.Rounds > 0 {
		return min(s.Rounds, scale.Rounds)
	}
	return scale.Rounds
}

// possible reports whether the target can be driven so.
func (s *Scenario) possible(t *Target) bool { return s.Needs == nil || s.Needs(t) }

// Scenarios returns all scenarios, in the order in which they are best run:
// those that restart a server come last.
func Scenarios() []Scenario {
	return []Scenario{
		appendScenario(), storeScenario(),
		fetchFlagsScenario(), fetchEnvelopeScenario(),
		fetchBodyScenario(), fetchHugeScenario(),
		appendToIdleScenario(), lmtpToIdleScenario(),
		selectScenario(), selectAgainScenario(),
		resyncLargeScenario(), resyncFewScenario(),
		selectRestartScenario(),
		idleMemoryScenario(),
	}
}
