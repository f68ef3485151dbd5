package search

import (
	"testing"
	"time"
)

func TestSentDay_RFC5322_3_3(t *testing.T) {
	for in, want := range map[string]string{
		"Fri, 27 Feb 2026 23:30:00 -0800":                 "2026-02-27",
		"27 Feb 2026 23:30 GMT":                           "2026-02-27",
		"Fri , 7 \t Feb  2026 23:30:00 +1400 (no zone)":   "2026-02-07",
		"(1 Jan 1999) Fri, 27 Feb (x (y) \\)) 2026 1:2:3": "2026-02-27",
		"Fri, 27-Feb-2026 23:30:00":                       "2026-02-27",
		"Fri Feb 27 23:30:00 2026":                        "2026-02-27",
		"27 february 2026":                                "2026-02-27",
		// RFC 5322, 4.3: obsolete years.
		"27 Feb 96 10:00 EST":  "1996-02-27",
		"27 Feb 26 10:00 EST":  "2026-02-27",
		"27 Feb 00 10:00 EST":  "2000-02-27",
		"27 Feb 126 10:00 EST": "2026-02-27",
		"1 Jan 1969 00:00":     "1969-01-01",
		// No dates.
		"":                     "",
		"today":                "",
		"30 Feb 2026 10:00:00": "",
		"32 Jan 2026":          "",
		"Feb 2026":             "",
		"27 Feb":               "",
		"27 Foo 2026":          "",
		"27 Ma 2026":           "",
		"99999999999999 Jan 9": "",
	} {
		got := ""
		if n, ok := sentDay(in); ok {
			got = time.Unix(n*secondsADay, 0).UTC().Format(time.DateOnly)
		}
		if got != want {
			t.Errorf("%q: %q, want %q", in, got, want)
		}
	}
}

func TestDayOf(t *testing.T) {
	for seconds, want := range map[int64]int64{0: 0, 86399: 0, 86400: 1, -1: -1, -86400: -1, -86401: -2} {
		if got := dayOf(seconds); got != want {
			t.Errorf("%d: %d, want %d", seconds, got, want)
		}
	}
}

func TestFold_RFC5051(t *testing.T) {
	for _, same := range [][]string{
		{"STRASSE", "strasse"}, {"Größe", "GRÖßE", "Gro\u0308ße"}, {"ΣΊΣΥΦΟΣ", "σίσυφος"}, {"ﬁn", "FIN"}, {"Ⅷ", "viii"},
		{"Ａｂ", "ab"}, {"ſ", "S"}, {"Ǆ", "ǆ", "ǅ"}, {"\u212a", "k"},
	} {
		for _, s := range same[1:] {
			if a, b := string(fold(nil, same[0])), string(fold(nil, s)); a != b {
				t.Errorf("%q folds to %q, %q to %q", same[0], a, s, b)
			}
		}
	}
	if a, b := string(fold(nil, "a")), string(fold(nil, "ä")); a == b {
		t.Errorf("%q and %q are not one", a, b)
	}
	if got := string(fold(nil, "A\xffB\xc3")); got != "a\xffb\xc3" {
		t.Errorf("%q", got)
	}
}

func FuzzSentDay(f *testing.F) {
	f.Add("Fri, 27 Feb 2026 23:30:00 -0800 (x)")
	f.Fuzz(func(t *testing.T, s string) {
		if n, ok := sentDay(s); ok && (n < dayOf(-62135596800) || n > 10000*366) {
			t.Fatalf("%q: day %d", s, n)
		}
	})
}
