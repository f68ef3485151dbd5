package witness

import (
	"slices"
	"strings"
	"testing"

	"github.com/quorumail/quorumail/bench/check"
)

func TestParseFetch_RFC9051_7_5_2(t *testing.T) {
	f, ok, err := parseFetch("12 FETCH (UID 9 BODY[HEADER.FIELDS (MESSAGE-ID)] {22}\r\nMessage-ID: <x@y>\r\n\r\n FLAGS (\\Seen $Work) MODSEQ (3) X \"a\\\"b\")")
	if !ok || err != nil {
		t.Fatal(ok, err)
	}
	if f.uid != 9 || f.messageID != "<x@y>" || f.modSeq != 3 || !slices.Equal(f.flags, []string{"$work", `\seen`}) {
		t.Errorf("got %+v", f)
	}
	if _, ok, _ := parseFetch("12 EXISTS"); ok {
		t.Error("EXISTS taken for FETCH")
	}
}

func TestParseFetch_Malformed(t *testing.T) {
	for _, line := range []string{
		"1 FETCH", "1 FETCH (UID)", "1 FETCH (UID x)", "1 FETCH (UID 1", "1 FETCH (UID 1))", "1 FETCH (MODSEQ 3)",
		"1 FETCH (UID 99999999999)", "1 FETCH (X {9}\r\nabc)", "1 FETCH (X {y}\r\nabc)", `1 FETCH (X "abc)`,
		"1 FETCH " + strings.Repeat("(", 100),
	} {
		if f, ok, err := parseFetch(line); !ok || err == nil {
			t.Errorf("%q: got %+v, %v, %v", line, f, ok, err)
		}
	}
}

func TestParseVanished_RFC7162_3_2_10(t *testing.T) {
	for _, line := range []string{"VANISHED 2,4:5", "VANISHED (EARLIER) 5:4,2"} {
		got, ok, err := parseVanished(line)
		if want := []check.Range{{First: 2, Last: 2}, {First: 4, Last: 5}}; !ok || err != nil || !slices.Equal(got, want) {
			t.Errorf("%s: %v, %v, %v", line, got, ok, err)
		}
	}
}

func TestCodeNumber(t *testing.T) {
	if n, ok := codeNumber("OK [HIGHESTMODSEQ 12] x", "HIGHESTMODSEQ"); !ok || n != 12 {
		t.Error(n, ok)
	}
	if _, ok := codeNumber("OK [UIDNEXT x] y", "UIDNEXT"); ok {
		t.Error("taken")
	}
}

func TestTakeSelect_QRESYNC_RFC7162_3_2_5(t *testing.T) {
	var r check.Resync
	for _, line := range []string{
		`FLAGS (\Seen)`, "OK [UIDVALIDITY 7] v", "OK [UIDNEXT 6] next", "OK [HIGHESTMODSEQ 20] modseq",
		"VANISHED (EARLIER) 2,4", `2 FETCH (UID 3 FLAGS (\Seen) MODSEQ (15))`,
	} {
		if err := takeSelect(&r, line); err != nil {
			t.Fatal(err)
		}
	}
	if r.UIDValidity != 7 || r.UIDNext != 6 || r.HighestModSeq != 20 || len(r.Vanished) != 2 || len(r.Changed) != 1 || r.Changed[0].ModSeq != 15 {
		t.Errorf("got %+v", r)
	}
	if err := takeSelect(&r, `2 FETCH (FLAGS (\Seen) MODSEQ (15))`); err == nil {
		t.Error("FETCH without UID accepted")
	}
}
