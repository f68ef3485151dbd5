package session

import (
	"strings"
	"testing"

	"github.com/quorumail/quorumail/imapfront/wire"
)

func TestObjectIDsMatchExactly_RFC8474_6(t *testing.T) {
	for s, want := range map[string]uint64{
		"T1": 1, "T18446744073709551615": 1<<64 - 1,
		"T0": 0, "T01": 0, "T": 0, "": 0, "t1": 0, "E1": 0, "1": 0, "T1 ": 0, "T+1": 0, "T-1": 0, "T18446744073709551616": 0, "TT1": 0,
	} {
		if got, ok := parseObjectID(threadPrefix, s); ok != (want != 0) || ok && got != want {
			t.Errorf("%q is %d, %v", s, got, ok)
		}
	}
}

// A message that was stored before there were threads has none: NIL.
func TestThreadIDOfOldMessages_RFC8474_5_2(t *testing.T) {
	var out strings.Builder
	c := &Conn{w: wire.NewWriter(&out)}
	f := &fetcher{c: c, first: true}
	f.threadID(0)
	f.threadID(7)
	if err := c.w.Flush(); err != nil || out.String() != "THREADID NIL THREADID (T7)" {
		t.Errorf("%q, %v", out.String(), err)
	}
}
