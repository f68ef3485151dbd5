package load

import (
	"context"
	"errors"
	"io"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/quorumail/quorumail/bench/report"
)

// All scenarios that a server without QRESYNC can be driven by, twice, against
// two servers in turn.
func TestCompare(t *testing.T) {
	a, b := memoryServer(t), memoryServer(t)
	b.LMTP = ""
	a.Name, b.Name = "A", "B"
	restarts := 0
	a.Restart = func(context.Context) error { restarts++; return nil }
	var progress strings.Builder
	rows, err := Compare(contextOf(t), Options{Scale: tiny, Only: regexp.MustCompile("append|store|fetch|select|lmtp"), Progress: &progress}, a, b)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, r := range rows {
		names = append(names, r.Name)
		if r.Failed != "" {
			t.Errorf("%s: %s", r.Name, r.Failed)
			continue
		}
		checkFigure(t, r.Name+" of A", r.Ours)
		onlyA := r.Name == "lmtp-to-idle" || r.Name == "select-restart"
		if onlyA != (r.Theirs == nil) {
			t.Errorf("%s of B: %+v", r.Name, r.Theirs)
		}
		if r.Theirs != nil {
			checkFigure(t, r.Name+" of B", r.Theirs)
		}
	}
	want := []string{"append", "store", "fetch-flags", "fetch-envelope", "fetch-body", "fetch-huge",
		"append-to-idle", "lmtp-to-idle", "select", "select-again", "select-restart"}
	if !slices.Equal(names, want) {
		t.Errorf("rows %v, want %v", names, want)
	}
	if restarts != 2 {
		t.Errorf("%d restarts, want one each round", restarts)
	}
	turns := regexp.MustCompile(`(?m)^store: ([AB]) round (\d)$`).FindAllStringSubmatch(progress.String(), -1)
	var order string
	for _, m := range turns {
		order += m[1] + m[2] + " "
	}
	if order != "A1 B1 A2 B2 " {
		t.Errorf("rounds are in the order %q", order)
	}
}

func checkFigure(t *testing.T, name string, f *report.Figure) {
	t.Helper()
	if f == nil {
		t.Errorf("%s: no figure", name)
		return
	}
	if f.Value <= 0 || len(f.Runs) != tiny.Rounds || f.Ops == 0 || f.P50 <= 0 || f.P99 < f.P50 || f.Max < f.P99*0.99 {
		t.Errorf("%s: %+v", name, *f)
	}
}

func TestCompare_FailuresAreRows(t *testing.T) {
	dead := memoryServer(t)
	dead.Accounts = []Account{{"a@example.org", "wrong"}}
	rows, err := Compare(contextOf(t), Options{Scale: tiny, Only: regexp.MustCompile("^select$"), Progress: io.Discard}, dead)
	if err != nil || len(rows) != 1 {
		t.Fatalf("%v, %d rows", err, len(rows))
	}
	if rows[0].Failed == "" || rows[0].Ours != nil {
		t.Errorf("got %+v", rows[0])
	}
}

func TestCompare_Refuses(t *testing.T) {
	good := memoryServer(t)
	for name, o := range map[string]struct {
		only    string
		targets []*Target
	}{
		"no target":    {"select", nil},
		"three":        {"select", []*Target{good, good, good}},
		"no scenario":  {"nothing", []*Target{good}},
		"no address":   {"select", []*Target{{Accounts: good.Accounts}}},
		"no accounts":  {"select", []*Target{{IMAP: good.IMAP}}},
		"second is so": {"select", []*Target{good, {}}},
	} {
		if _, err := Compare(t.Context(), Options{Scale: tiny, Only: regexp.MustCompile(o.only), Progress: io.Discard}, o.targets...); err == nil {
			t.Errorf("%s: not refused", name)
		}
	}
}

// A server that loses a message it has acknowledged must not get a figure.
func TestAppendRound_CountsWhatIsThere(t *testing.T) {
	target := memoryServer(t)
	e := env(target)
	s := appendScenario()
	if err := s.Prepare(contextOf(t), e); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Round(contextOf(t), e); err != nil {
		t.Fatal(err)
	}
	c, err := target.open(contextOf(t), target.account(0))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	// Three clients on two accounts: the first account has two thirds.
	n, err := count(c, "INBOX")
	if err != nil || int64(n) != tiny.MaxOps*2/3 {
		t.Errorf("%d messages, %v", n, err)
	}
}

func TestIdleMemory_NeedsSessions(t *testing.T) {
	target := memoryServer(t)
	asked := 0
	target.Memory = func() ([]int, error) { asked++; return nil, errors.New("not known") }
	rows, err := Compare(contextOf(t), Options{Scale: tiny, Only: regexp.MustCompile("idle-memory"), Progress: io.Discard}, target)
	if err != nil {
		t.Fatal(err)
	}
	if asked != 1 || !strings.Contains(rows[0].Failed, "not known") {
		t.Errorf("asked %d times: %+v", asked, rows[0])
	}
}

func TestFigureOf_MergesRounds(t *testing.T) {
	if figureOf(nil) != nil {
		t.Error("a figure of nothing")
	}
	var samples []Sample
	for _, v := range []float64{5, 1, 3} {
		s := Sample{Figure: v, Ops: 2, Latency: newHistogram(), Note: "note"}
		record(s.Latency, 1500*1000)  // 1.5 ms
		record(s.Latency, 3e9*1000*9) // beyond the range: counted at its end
		samples = append(samples, s)
	}
	f := figureOf(samples)
	if f.Value != 3 || f.Ops != 6 || f.Note != "note" || len(f.Runs) != 3 || f.P50 < 1.4 || f.P50 > 1.6 {
		t.Errorf("got %+v", *f)
	}
}

func TestDerived_QResyncFlat(t *testing.T) {
	rows := []report.Row{
		{Name: "qresync-large", Ours: &report.Figure{Value: 3}},
		{Name: "qresync-few", Ours: &report.Figure{Value: 2}, Theirs: &report.Figure{Value: 1}},
	}
	got := derived(rows)
	if len(got) != 1 || got[0].Ours.Value != 1.5 || got[0].Theirs != nil || got[0].Verdict() != "reached" {
		t.Errorf("got %+v", got)
	}
	if derived(rows[:1]) != nil {
		t.Error("a row of half of what it needs")
	}
}

func TestScenarios_NamesAreUnique(t *testing.T) {
	seen := make(map[string]bool)
	for _, s := range Scenarios() {
		if seen[s.Name] || s.What(tiny) == "" || s.Unit.Name == "" || s.Round == nil {
			t.Errorf("%+v", s.Name)
		}
		seen[s.Name] = true
	}
}
