package report

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"time"
	"unicode/utf8"
)

// Table is a whole report.
type Table struct {
	// Title heads it.
	Title string
	// When the run began; how it can be repeated.
	When    time.Time
	Command string
	// Machine is what it ran on.
	Machine Machine
	// Ours and Theirs name the servers with their versions; Theirs is empty if
	// only one was measured.
	Ours, Theirs string
	Rows         []Row
}

// cells are the table as text: a header, then a line for each row.
func (t *Table) cells() [][]string {
	both, bounds := t.Theirs != "", t.bounds()
	head := []string{"scenario", firstWord(t.Ours)}
	if both {
		head = append(head, firstWord(t.Theirs), "ratio", "goal", "")
	} else {
		head = append(head, "operations")
		if bounds {
			head = append(head, "goal", "")
		}
	}
	head = append(head, "p50 / p99 / max ms")
	if both {
		head = append(head, firstWord(t.Theirs)+"'s")
	}
	cells := [][]string{head}
	for i := range t.Rows {
		r := &t.Rows[i]
		line := []string{r.What, r.figure(r.Ours)}
		if both {
			ratio := "–"
			if v, ok := r.Ratio(); ok {
				ratio = number(v) + "×"
			}
			line = append(line, r.figure(r.Theirs), ratio, r.goal(), r.Verdict())
		} else if r.Ours != nil {
			line = append(line, number(float64(r.Ours.Ops)))
		} else {
			line = append(line, "–")
		}
		switch {
		case both || !bounds:
		case r.Goal.Within > 0:
			line = append(line, r.goal(), r.Verdict())
		default:
			line = append(line, "", "")
		}
		line = append(line, r.Ours.latency())
		if both {
			line = append(line, r.Theirs.latency())
		}
		cells = append(cells, line)
	}
	return cells
}

// bounds says whether a goal can be judged without the other server.
func (t *Table) bounds() bool {
	return slices.ContainsFunc(t.Rows, func(r Row) bool { return r.Goal.Within > 0 })
}

func firstWord(s string) string {
	word, _, _ := strings.Cut(s, " ")
	return word
}

// preface is what is said before the table.
func (t *Table) preface() []string {
	lines := []string{
		t.When.UTC().Format("2006-01-02 15:04 MST"),
		t.Ours,
	}
	if t.Theirs != "" {
		lines = append(lines, t.Theirs)
	}
	return append(lines, t.Machine.lines()...)
}

// notes are what is said below the table.
func (t *Table) notes() []string {
	var notes []string
	for i := range t.Rows {
		r := &t.Rows[i]
		if r.Failed != "" {
			notes = append(notes, r.Name+": FAILED: "+r.Failed)
		}
		for _, f := range []struct {
			server string
			*Figure
		}{{firstWord(t.Ours), r.Ours}, {firstWord(t.Theirs), r.Theirs}} {
			if f.Figure == nil {
				continue
			}
			if len(f.Runs) > 1 {
				runs := make([]string, len(f.Runs))
				for i, v := range f.Runs {
					runs[i] = number(v)
				}
				notes = append(notes, fmt.Sprintf("%s, %s: rounds %s %s", r.Name, f.server, strings.Join(runs, ", "), r.Unit.Name))
			}
			if f.Note != "" {
				notes = append(notes, fmt.Sprintf("%s, %s: %s", r.Name, f.server, f.Note))
			}
		}
	}
	return notes
}

// Text writes the table for a terminal.
func (t *Table) Text(w io.Writer) error {
	var sb strings.Builder
	sb.WriteString(t.Title + "\n")
	for _, l := range t.preface() {
		sb.WriteString("  " + l + "\n")
	}
	sb.WriteString("\n")
	cells := t.cells()
	width := make([]int, len(cells[0]))
	for _, line := range cells {
		for i, cell := range line {
			width[i] = max(width[i], utf8.RuneCountInString(cell))
		}
	}
	for _, line := range cells {
		var row strings.Builder
		for i, cell := range line {
			pad := strings.Repeat(" ", width[i]-utf8.RuneCountInString(cell))
			if i == 0 {
				row.WriteString(cell + pad)
			} else {
				row.WriteString("  " + pad + cell)
			}
		}
		sb.WriteString(strings.TrimRight(row.String(), " ") + "\n")
	}
	if notes := t.notes(); len(notes) > 0 {
		sb.WriteString("\n")
		for _, n := range notes {
			sb.WriteString("  " + n + "\n")
		}
	}
	_, err := io.WriteString(w, sb.String())
	return err
}

// Markdown writes the table as a Markdown document.
func (t *Table) Markdown(w io.Writer) error {
	var sb strings.Builder
	fmt.Fprintf(&sb, "# %s\n\n", t.Title)
	for _, l := range t.preface() {
		sb.WriteString("- " + l + "\n")
	}
	if t.Command != "" {
		fmt.Fprintf(&sb, "\nRepeat it with:\n\n    %s\n", t.Command)
	}
	sb.WriteString("\n")
	for i, line := range t.cells() {
		for j := range line {
			line[j] = strings.ReplaceAll(line[j], "|", `\|`)
		}
		sb.WriteString("| " + strings.Join(line, " | ") + " |\n")
		if i == 0 {
			sb.WriteString("|---|" + strings.Repeat("---:|", len(line)-1) + "\n")
		}
	}
	if notes := t.notes(); len(notes) > 0 {
		sb.WriteString("\n")
		for _, n := range notes {
			sb.WriteString("- " + n + "\n")
		}
	}
	_, err := io.WriteString(w, sb.String())
	return err
}
