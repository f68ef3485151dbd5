package report

import (
	"strings"
	"testing"
	"time"
)

func TestNumber(t *testing.T) {
	for v, want := range map[float64]string{
		0.01234: "0.0123", 1.5: "1.5", 12.34: "12.3", 123.4: "123", 1234.5: "1,234", 1234567: "1,234,567", 999.9: "1000",
	} {
		if got := number(v); got != want {
			t.Errorf("number(%v) = %q, want %q", v, got, want)
		}
	}
}

func TestMedian(t *testing.T) {
	for _, c := range []struct {
		runs []float64
		want float64
	}{{nil, 0}, {[]float64{3}, 3}, {[]float64{9, 1}, 5}, {[]float64{9, 1, 2}, 2}} {
		if got := Median(c.runs); got != c.want {
			t.Errorf("Median(%v) = %v, want %v", c.runs, got, c.want)
		}
	}
}

func TestRow(t *testing.T) {
	rate, ms := Unit{"ops/s", true}, Unit{"ms", false}
	fig := func(v float64) *Figure { return &Figure{Value: v} }
	for _, c := range []struct {
		row            Row
		ratio, verdict string
	}{
		{Row{Unit: rate, Ours: fig(20), Theirs: fig(10), Goal: Goal{Ratio: 2}}, "2", "reached"},
		{Row{Unit: ms, Ours: fig(20), Theirs: fig(10), Goal: Goal{Ratio: 2}}, "0.5", "missed"},
		{Row{Unit: ms, Ours: fig(20), Goal: Goal{Ratio: 2}}, "", ""},
		{Row{Unit: ms, Theirs: fig(20), Goal: Goal{Within: 2}}, "", ""},
		{Row{Unit: ms, Ours: fig(20), Goal: Goal{Within: 50}}, "", "reached"},
		{Row{Unit: rate, Ours: fig(20), Goal: Goal{Within: 50}}, "", "missed"},
		{Row{Unit: ms, Ours: fig(20), Theirs: fig(0)}, "", ""},
	} {
		got := ""
		if v, ok := c.row.Ratio(); ok {
			got = number(v)
		}
		if got != c.ratio || c.row.Verdict() != c.verdict {
			t.Errorf("%+v: ratio %q, verdict %q; want %q, %q", c.row, got, c.row.Verdict(), c.ratio, c.verdict)
		}
	}
}

func sample() *Table {
	return &Table{
		Title: "Speed", When: time.Unix(0, 0), Command: "quorumail bench compare",
		Machine: Machine{CPU: "Some CPU", Cores: 2, GOMAXPROCS: 2, OS: "linux", Go: "go1", FileSystem: "ext4", SyncsPerSecond: 1234},
		Ours:    "Quorumail dev", Theirs: "Dovecot 2.3",
		Rows: []Row{
			{
				Name: "append", What: "APPEND | durable", Unit: Unit{"ops/s", true}, Goal: Goal{Ratio: 2},
				Ours:   &Figure{Value: 2500, Runs: []float64{2400, 2600}, Ops: 10, P50: 1, P99: 2, Max: 3},
				Theirs: &Figure{Value: 1000, Note: "alone"},
			},
			{Name: "lmtp", What: "LMTP", Unit: Unit{"ms", false}, Goal: Goal{Within: 50}, Failed: "no answer"},
		},
	}
}

func TestTable_Text(t *testing.T) {
	var sb strings.Builder
	if err := sample().Text(&sb); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"APPEND | durable  2,500 ops/s  1,000 ops/s   2.5×     ≥ 2×  reached           1 / 2 / 3\n",
		"2 cores", "GOMAXPROCS 2", "ext4, 1,234 writes",
		"append, Quorumail: rounds 2,400, 2,600 ops/s\n", "append, Dovecot: alone\n", "lmtp: FAILED: no answer\n",
	} {
		if !strings.Contains(sb.String(), want) {
			t.Errorf("lacks %q:\n%s", want, sb.String())
		}
	}
}

func TestTable_Markdown(t *testing.T) {
	var sb strings.Builder
	if err := sample().Markdown(&sb); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"# Speed\n", "    quorumail bench compare\n",
		"| scenario | Quorumail | Dovecot | ratio | goal |  | p50 / p99 / max ms | Dovecot's |\n|---|---:|---:|---:|---:|---:|---:|---:|\n",
		`| APPEND \| durable | 2,500 ops/s | 1,000 ops/s | 2.5× | ≥ 2× | reached | 1 / 2 / 3 |  |` + "\n",
	} {
		if !strings.Contains(sb.String(), want) {
			t.Errorf("lacks %q:\n%s", want, sb.String())
		}
	}
}

func TestTable_OneServer(t *testing.T) {
	table := sample()
	table.Theirs = ""
	table.Rows[0].Theirs = nil
	var sb strings.Builder
	if err := table.Markdown(&sb); err != nil {
		t.Fatal(err)
	}
	// A ratio is no goal without the other server; a bound is.
	for _, want := range []string{"| APPEND \\| durable | 2,500 ops/s | 10 |  |  | 1 / 2 / 3 |\n", "| LMTP | – | – | ≤ 50 ms |  |  |\n"} {
		if !strings.Contains(sb.String(), want) {
			t.Errorf("lacks %q:\n%s", want, sb.String())
		}
	}
}

func TestMachine(t *testing.T) {
	m := ThisMachine()
	if m.Cores < 1 || m.GOMAXPROCS < 1 || m.Go == "" {
		t.Errorf("got %+v", m)
	}
}
