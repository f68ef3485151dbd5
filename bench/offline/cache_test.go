package offline

import (
	"slices"
	"strings"
	"testing"
)

func take(t *testing.T, c *Cache, lines ...string) {
	t.Helper()
	for _, line := range lines {
		if status, ok := strings.CutPrefix(line, "tagged "); ok {
			if err := c.Tagged(status); err != nil {
				t.Fatal(err)
			}
			continue
		}
		if err := c.Take(line); err != nil {
			t.Fatalf("%s: %v", line, err)
		}
	}
}

// The example of RFC 7162, 6: the client stays below what is held back.
func TestHighestModSeq_RFC7162_6(t *testing.T) {
	c := &Cache{}
	c.Opened()
	c.Asking = true
	take(t, c, "3 EXISTS", "OK [UIDVALIDITY 7] valid", "OK [HIGHESTMODSEQ 95] highest", "tagged OK [READ-WRITE] done")
	take(t, c, "1 FETCH (UID 6 MODSEQ (103))", "2 FETCH (UID 7 MODSEQ (101))", "OK [HIGHESTMODSEQ 99] delayed", "tagged OK [MODIFIED 3] done")
	if c.HighestModSeq != 99 || c.UIDValidity != 7 {
		t.Fatalf("HIGHESTMODSEQ %d UIDVALIDITY %d", c.HighestModSeq, c.UIDValidity)
	}
	take(t, c, "3 FETCH (UID 8 MODSEQ (104))")
	if got := c.Silenced(); !slices.Equal(got, []uint32{8}) {
		t.Fatalf("silenced: %v", got)
	}
	take(t, c, "tagged OK [HIGHESTMODSEQ 99] delayed")
	if c.HighestModSeq != 99 {
		t.Fatalf("HIGHESTMODSEQ %d", c.HighestModSeq)
	}
	take(t, c, "VANISHED 8", "tagged OK [HIGHESTMODSEQ 104] done")
	if c.HighestModSeq != 104 || !slices.Equal(c.Numbers(), []uint32{6, 7}) {
		t.Fatalf("HIGHESTMODSEQ %d, numbers %v", c.HighestModSeq, c.Numbers())
	}
	take(t, c, "1 FETCH (FLAGS (\\Seen b A) UID 6 MODSEQ (110))", "tagged OK done")
	if c.HighestModSeq != 110 || c.Flags[6] != `\seen a b` || c.ModSeqs[6] != 110 {
		t.Fatalf("HIGHESTMODSEQ %d, flags %q", c.HighestModSeq, c.Flags[6])
	}
}

func TestViolations(t *testing.T) {
	for _, line := range []string{
		"1 EXPUNGE", "4 FETCH (UID 9 FLAGS ())", "1 FETCH (FLAGS ())", "VANISHED x", "VANISHED 1:4", "1 EXISTS",
		"OK [HIGHESTMODSEQ x] no number", "1 FETCH (UID 1 ENVELOPE ())",
	} {
		c := &Cache{}
		c.Opened()
		take(t, c, "3 EXISTS")
		if err := c.Take(line); err == nil {
			t.Errorf("%s: taken", line)
		}
	}
}
