package raftfsm

import (
	"flag"
	"fmt"
	"os"
	"strings"
	"testing"
)

var rewrite = flag.Bool("rewrite", false, "write the transcripts anew with what the state machine now says")

// command is one line of a transcript: a name and arguments key=value, where a
// value in parentheses may hold spaces.
type command struct {
	t    *testing.T
	at   string // file and line
	name string
	args map[string]string
}

func (c *command) fatalf(format string, args ...any) {
	c.t.Helper()
	c.t.Fatalf("%s: %s", c.at, fmt.Sprintf(format, args...))
}

// arg returns an argument, or what it is without one.
func (c *command) arg(key, without string) string {
	if v, ok := c.args[key]; ok {
		return v
	}
	return without
}

func (c *command) number(key string, without int64) int64 {
	c.t.Helper()
	v, ok := c.args[key]
	if !ok {
		return without
	}
	var n int64
	if _, err := fmt.Sscan(v, &n); err != nil {
		c.fatalf("%s=%s: %v", key, v, err)
	}
	return n
}

// parseCommand reads a line. Arguments without "=" are not known.
func parseCommand(t *testing.T, at, line string) *command {
	t.Helper()
	c := &command{t: t, at: at, args: map[string]string{}}
	c.name, line, _ = strings.Cut(line, " ")
	for line = strings.TrimSpace(line); line != ""; line = strings.TrimSpace(line) {
		key, rest, ok := strings.Cut(line, "=")
		if !ok {
			c.fatalf("%q is no argument", line)
		}
		var value string
		if in, found := strings.CutPrefix(rest, "("); found {
			value, line, ok = strings.Cut(in, ")")
			if !ok {
				c.fatalf("%s: no closing parenthesis", key)
			}
		} else {
			value, line, _ = strings.Cut(rest, " ")
		}
		c.args[key] = value
	}
	return c
}

// runScript runs each command of a transcript and compares what it says with
// what stands below "----", up to an empty line. Lines with "#" are comments.
func runScript(t *testing.T, path string, run func(*command) string) {
	t.Helper()
	src, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var out strings.Builder
	lines := strings.Split(strings.TrimRight(string(src), "\n"), "\n")
	for i := 0; i < len(lines); i++ {
		fmt.Fprintln(&out, lines[i])
		if lines[i] == "" || strings.HasPrefix(lines[i], "#") {
			continue
		}
		c := parseCommand(t, fmt.Sprintf("%s:%d", path, i+1), lines[i])
		got := strings.TrimRight(run(c), "\n")
		var want []string
		if i+1 < len(lines) && lines[i+1] == "----" {
			for i += 2; i < len(lines) && lines[i] != ""; i++ {
				want = append(want, lines[i])
			}
			i-- // the empty line is copied above
		}
		if w := strings.Join(want, "\n"); got != w && !*rewrite {
			t.Errorf("%s: %s\ngot:\n%s\nwant:\n%s", c.at, c.name, got, w)
		}
		fmt.Fprintf(&out, "----\n%s\n", got)
	}
	if *rewrite {
		if err := os.WriteFile(path, []byte(out.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}
