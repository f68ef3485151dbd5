package main

import (
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
)

// differences returns the lines that one server sent and the other didn't:
// "script: command: Dovecot: line", or "Quorumail".
func differences(s script, theirs, ours []answer) []string {
	var list []string
	for i, command := range s.commands {
		for _, line := range without(theirs[i], ours[i]) {
			list = append(list, s.name+": "+command+": Dovecot: "+line)
		}
		for _, line := range without(ours[i], theirs[i]) {
			list = append(list, s.name+": "+command+": Quorumail: "+line)
		}
	}
	return list
}

// without returns what a has more of than b.
func without(a, b []string) []string {
	left := slices.Clone(b)
	var list []string
	for _, line := range a {
		if i := slices.Index(left, line); i >= 0 {
			left = slices.Delete(left, i, i+1)
		} else {
			list = append(list, line)
		}
	}
	return list
}

// expected are the known differences: for each reason, its lines.
type expected struct {
	reasons []string
	lines   []string
}

// readExpected reads expected.txt: a reason in brackets, then its differences.
func readExpected(file string) (expected, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return expected{}, err
	}
	var e expected
	for _, line := range contentLines(string(text)) {
		if name, ok := strings.CutPrefix(line, "["); ok && strings.HasSuffix(name, "]") {
			e.reasons = append(e.reasons, strings.TrimSuffix(name, "]"))
			continue
		}
		if len(e.reasons) == 0 {
			return expected{}, fmt.Errorf("%s: %q has no reason", file, line)
		}
		e.lines = append(e.lines, line)
	}
	return e, nil
}

// judge says what was found, and fails unless it is what is known.
func judge(w io.Writer, known expected, found []string) error {
	news, stale := without(found, known.lines), without(known.lines, found)
	for _, line := range news {
		fmt.Fprintln(w, "not explained: "+line)
	}
	for _, line := range stale {
		fmt.Fprintln(w, "did not come up: "+line)
	}
	if len(news)+len(stale) > 0 {
		return fmt.Errorf("%d differences are not explained, %d did not come up", len(news), len(stale))
	}
	fmt.Fprintf(w, "%d differences, all explained by %d reasons\n", len(found), len(known.reasons))
	return nil
}
