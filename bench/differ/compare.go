package main

import (
	"fmt"
	"io"
	"os"
	"regexp"
	"slices"
	"strings"
)

// differences returns the lines that one server sent and the other didn't:
// "script: step: Dovecot: line", or "Quorumail"; and where the lines that both
// sent came in different orders, these.
func differences(s script, theirs, ours []answer) []string {
	var list []string
	for i, st := range s.steps {
		where := s.name + ": " + st.String() + ": "
		their, our := without(theirs[i], ours[i]), without(ours[i], theirs[i])
		for _, line := range their {
			list = append(list, where+"Dovecot: "+line)
		}
		for _, line := range our {
			list = append(list, where+"Quorumail: "+line)
		}
		their, our = without(theirs[i], their), without(ours[i], our)
		if !slices.Equal(their, our) {
			list = append(list, where+"Dovecot: order: "+strings.Join(their, "; "),
				where+"Quorumail: order: "+strings.Join(our, "; "))
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

// expected are the known differences. A line that begins with "~" is a regular
// expression for all differences that it matches.
type expected struct {
	reasons  []string
	lines    []string
	patterns []*regexp.Regexp
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
		if pattern, ok := strings.CutPrefix(line, "~"); ok {
			re, err := regexp.Compile("^(?:" + pattern + ")$")
			if err != nil {
				return expected{}, fmt.Errorf("%s: %w", file, err)
			}
			e.patterns = append(e.patterns, re)
			continue
		}
		e.lines = append(e.lines, line)
	}
	return e, nil
}

// judge says what was found, and fails unless it is what is known.
func judge(w io.Writer, known expected, found []string) error {
	news, stale := without(found, known.lines), without(known.lines, found)
	for _, re := range known.patterns {
		if !slices.ContainsFunc(news, re.MatchString) {
			stale = append(stale, "~"+re.String())
		}
	}
	news = slices.DeleteFunc(news, func(line string) bool {
		return slices.ContainsFunc(known.patterns, func(re *regexp.Regexp) bool { return re.MatchString(line) })
	})
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
