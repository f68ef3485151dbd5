package check_test

import (
	"testing"

	"github.com/quorumail/quorumail/bench/check"
)

// resync is a true resynchronisation: 2 was expunged, 3 flagged, 5 has come, 4 came
// and went unseen.
func resync() *check.Resync {
	return &check.Resync{
		Cached: &check.Mailbox{UIDValidity: 7, UIDNext: 4, HighestModSeq: 10, Messages: map[uint32]check.Message{
			1: {ModSeq: 5}, 2: {ModSeq: 6}, 3: {ModSeq: 10},
		}},
		UIDValidity: 7, UIDNext: 6, HighestModSeq: 20, Exists: 3,
		Vanished: []check.Range{{First: 2, Last: 2}, {First: 4, Last: 4}},
		Changed:  []check.Changed{{UID: 3, ModSeq: 15, Flags: []string{`\seen`}}, {UID: 5, ModSeq: 20}},
		Fresh: &check.Mailbox{UIDValidity: 7, UIDNext: 6, HighestModSeq: 20, Messages: map[uint32]check.Message{
			1: {ModSeq: 5}, 3: {ModSeq: 15, Flags: []string{`\seen`}}, 5: {ModSeq: 20},
		}},
	}
}

func TestResync_TrueIsAccepted_RFC7162_3_2_5(t *testing.T) {
	if bad := resync().Check(); len(bad) > 0 {
		t.Fatal(bad)
	}
}

// A client that names its UIDs is told of these only.
func TestResync_KnownUIDs_RFC7162_3_2_5_1(t *testing.T) {
	known := func() *check.Resync {
		r := resync()
		r.Known = true
		r.Vanished, r.Changed = r.Vanished[:1], r.Changed[:1]
		return r
	}
	if bad := known().Check(); len(bad) > 0 {
		t.Fatal(bad)
	}
	r := known()
	r.Changed = resync().Changed
	wantViolation(t, r.Check(), "FETCH of 5, which is not among")
	r = known()
	r.Vanished = resync().Vanished
	wantViolation(t, r.Check(), "VANISHED names 4, which is not among")
	r = known()
	r.Vanished = nil
	wantViolation(t, r.Check(), "2 is gone, the client was not told")
}

func TestResync_FalseIsCondemned_RFC7162_3_2_5(t *testing.T) {
	for _, c := range []struct {
		name string
		do   func(*check.Resync)
		want string
	}{
		{"an expunge is forgotten", func(r *check.Resync) { r.Vanished = r.Vanished[1:] }, "2 is gone, the client was not told"},
		{"a new message is forgotten", func(r *check.Resync) { r.Changed = r.Changed[:1] }, "5 exists, the client was not told"},
		{"a flag change is forgotten", func(r *check.Resync) { r.Changed = r.Changed[1:] }, "the client believes 3 has MODSEQ 10"},
		{"a flag is told wrong", func(r *check.Resync) { r.Changed[0].Flags = nil }, "the client believes 3 has MODSEQ 15 []"},
		{"what exists is said to have vanished", func(r *check.Resync) { r.Vanished[0].Last = 3 }, "VANISHED names 3, which exists"},
		{"what has not come yet is said to have vanished", func(r *check.Resync) { r.Vanished[1].Last = 9 }, "VANISHED names 4:9, UIDNEXT is 6"},
		{"what did not change is told", func(r *check.Resync) { r.Changed = append(r.Changed, check.Changed{UID: 1, ModSeq: 5}) }, "FETCH of 1 with MODSEQ 5, which is not after 10"},
		{"something is told twice", func(r *check.Resync) { r.Changed = append(r.Changed, r.Changed[0]) }, "FETCH of 3 twice"},
		{"HIGHESTMODSEQ goes back", func(r *check.Resync) { r.HighestModSeq = 9 }, "HIGHESTMODSEQ went back from 10 to 9"},
		{"UIDNEXT goes back", func(r *check.Resync) { r.UIDNext = 3 }, "UIDNEXT went back from 4 to 3"},
		{"UIDVALIDITY changes", func(r *check.Resync) { r.UIDValidity = 8 }, "UIDVALIDITY was 7 and is 8"},
		{"sessions differ", func(r *check.Resync) { r.Fresh.HighestModSeq = 21 }, "another session is told 7 6 21"},
		{"EXISTS is wrong", func(r *check.Resync) { r.Exists = 4 }, "EXISTS 4, but there are 3"},
		{"a MODSEQ is above HIGHESTMODSEQ", func(r *check.Resync) { r.Changed[1].ModSeq = 21 }, "above HIGHESTMODSEQ 20"},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := resync()
			c.do(r)
			wantViolation(t, r.Check(), c.want)
		})
	}
}

func TestNormalFlags(t *testing.T) {
	got := check.NormalFlags([]string{`\Seen`, "$Forwarded", `\Recent`, `\seen`})
	if len(got) != 2 || got[0] != "$forwarded" || got[1] != `\seen` {
		t.Error(got)
	}
}
