package main

import (
	"io"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/quorumail/quorumail/bench/traffic"
)

// Every reason of expected.txt is explained, once.
func TestReasonsAreExplained(t *testing.T) {
	text, err := os.ReadFile("../../imapfront/CONFORMANCE.md")
	if err != nil {
		t.Fatal(err)
	}
	known, err := readExpected("expected.txt")
	if err != nil {
		t.Fatal(err)
	}
	for _, reason := range known.reasons {
		if n := strings.Count(string(text), "\n- **"+reason+"**: "); n != 1 {
			t.Errorf("reason %q is explained %d times", reason, n)
		}
	}
}

func TestNormalise(t *testing.T) {
	got := normalise("SELECT", traffic.Reply{
		Lines: []string{
			`OK [UIDVALIDITY 7] valid`, `OK [HIGHESTMODSEQ 31] highest`,
			`1 FETCH (MODSEQ (30) FLAGS (b a) INTERNALDATE "01-May-2024 12:00:00 +0000")`, `LIST (\B \A) "/" "INBOX"`,
		},
		Status: traffic.Status{Word: "OK", Code: "READ-WRITE", Text: "done"},
	}, map[string]uint64{"h": 30})
	want := answer{
		"tagged OK [READ-WRITE]",
		`1 FETCH (FLAGS (a b) INTERNALDATE " 1-May-2024 12:00:00 +0000" MODSEQ ($h))`,
		`LIST (\A \B) / INBOX`,
		"OK [HIGHESTMODSEQ $h+]",
		"OK [UIDVALIDITY n]",
	}
	if !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestSortPairs(t *testing.T) {
	for text, want := range map[string]string{
		"UID 3 FLAGS (b a)":                         "FLAGS (b a) UID 3",
		`UID 3 BODY[HEADER.FIELDS (A B)]<1> "a b("`: `BODY[HEADER.FIELDS (A B)]<1> "a b(" UID 3`,
		`X "a \" b" A ((c d) "e")`:                  `A ((c d) "e") X "a \" b"`,
		"no pairs at":                               "no pairs at",
	} {
		if got := sortPairs(text); got != want {
			t.Errorf("%q: got %q, want %q", text, got, want)
		}
	}
}

func TestPlainStrings(t *testing.T) {
	for text, want := range map[string]string{
		"1 X {4}\r\na\"b) \"c\" ~{1}\r\nd": `1 X "a\"b)" c d`,
		`"NIL" NIL "" "a b"`:               `"NIL" NIL "" "a b"`,
	} {
		if got := plainStrings(text); got != want {
			t.Errorf("%q: got %q, want %q", text, got, want)
		}
	}
}

func TestCommand(t *testing.T) {
	s := parseScript("s", "messages odd\n# nothing\n2: APPEND x (\\Seen) {{A: b\\n\\n}} $(h)\n")
	if s.messages != "odd" || len(s.steps) != 1 || s.steps[0].conn != "2" {
		t.Fatalf("got %+v", s)
	}
	got, err := s.steps[0].command(map[string]uint64{"h": 7})
	if want := "APPEND x (\\Seen) {8+}\r\nA: b\r\n\r\n 7"; err != nil || got != want {
		t.Errorf("got %q %v, want %q", got, err, want)
	}
	if _, err := s.steps[0].command(nil); err == nil {
		t.Error("a variable without a value is no error")
	}
}

// What is not listed fails, and what is listed and did not come up.
func TestJudge(t *testing.T) {
	s := parseScript("s", "NOOP")
	found := differences(s, []answer{{"tagged OK", "1 RECENT"}}, []answer{{"tagged OK"}})
	if want := []string{"s: NOOP: Dovecot: 1 RECENT"}; !slices.Equal(found, want) {
		t.Fatalf("got %q, want %q", found, want)
	}
	if err := judge(io.Discard, expected{lines: found}, found); err != nil {
		t.Error(err)
	}
	order := differences(s, []answer{{"tagged OK", "1 FETCH x", "2 FETCH y"}}, []answer{{"tagged OK", "2 FETCH y", "1 FETCH x"}})
	if len(order) != 2 {
		t.Errorf("order: got %q", order)
	}
	pattern := expected{patterns: []*regexp.Regexp{regexp.MustCompile(`s: NOOP: Dovecot: \d RECENT`)}}
	if err := judge(io.Discard, pattern, found); err != nil {
		t.Error(err)
	}
	if judge(io.Discard, pattern, nil) == nil {
		t.Error("a pattern that matches nothing is no error")
	}
	if judge(io.Discard, expected{}, found) == nil || judge(io.Discard, expected{lines: found}, nil) == nil {
		t.Error("no error")
	}
}
