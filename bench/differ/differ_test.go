package main

import (
	"io"
	"os"
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
	got := normalise(traffic.Reply{
		Lines:  []string{`OK [UIDVALIDITY 7] valid`, `1 FETCH (FLAGS (b a) INTERNALDATE "01-May-2024 12:00:00 +0000")`, `LIST (\B \A) "/" "INBOX"`},
		Status: traffic.Status{Word: "OK", Code: "READ-WRITE", Text: "done"},
	})
	want := answer{
		"tagged OK [READ-WRITE]",
		`1 FETCH (FLAGS (a b) INTERNALDATE " 1-May-2024 12:00:00 +0000")`,
		`LIST (\A \B) / INBOX`,
		"OK [UIDVALIDITY n]",
	}
	if !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

// What is not listed fails, and what is listed and did not come up.
func TestJudge(t *testing.T) {
	s := script{name: "s", commands: []string{"NOOP"}}
	found := differences(s, []answer{{"tagged OK", "1 RECENT"}}, []answer{{"tagged OK"}})
	if want := []string{"s: NOOP: Dovecot: 1 RECENT"}; !slices.Equal(found, want) {
		t.Fatalf("got %q, want %q", found, want)
	}
	if err := judge(io.Discard, expected{lines: found}, found); err != nil {
		t.Error(err)
	}
	if judge(io.Discard, expected{}, found) == nil || judge(io.Discard, expected{lines: found}, nil) == nil {
		t.Error("no error")
	}
}
