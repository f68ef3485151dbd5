package check_test

import (
	"strings"
	"testing"
	"time"

	"github.com/quorumail/quorumail/bench/check"
)

// span is a command under way from start to end, in seconds.
func span(start, end time.Duration) check.Span {
	return check.Span{Start: start * time.Second, End: end * time.Second}
}

func open(start time.Duration) check.Span {
	return check.Span{Start: start * time.Second, End: check.Never}
}

func numbers(conn string, s check.Span, fresh bool, uidNext uint32, modSeq uint64) check.Numbers {
	return check.Numbers{Span: s, Conn: conn, Fresh: fresh, UIDValidity: 7, UIDNext: uidNext, HighestModSeq: modSeq}
}

// story is a history and what is there after it. good is true in itself: <1> to
// <4> appended, 2 expunged, 3 flagged, <5> not answered and done, <6> not
// answered and not done.
type story struct {
	appends  []check.Append
	stores   []check.Store
	expunges []check.Expunge
	numbers  []check.Numbers
	final    check.Mailbox
}

func good() *story {
	appendOf := func(s check.Span, id string, uid uint32) check.Append {
		return check.Append{Span: s, MessageID: id, UIDValidity: 7, UID: uid}
	}
	return &story{
		appends: []check.Append{
			appendOf(span(1, 2), "<1>", 1),
			appendOf(span(2, 4), "<2>", 3), // at the same time as <3>: any order
			appendOf(span(3, 4), "<3>", 2),
			appendOf(span(5, 6), "<4>", 4),
			appendOf(open(7), "<5>", 0),
			appendOf(open(8), "<6>", 0),
		},
		stores: []check.Store{
			{Span: span(5, 6), UID: 3, Flag: "$A", Set: true, ModSeq: 15},
			{Span: span(7, 8), UID: 3, Flag: "$A", Set: false, ModSeq: 16},
			{Span: span(9, 10), UID: 3, Flag: "$A", Set: true, ModSeq: 17},
			{Span: span(9, 10), UID: 1, Flag: "$B", Set: true, ModSeq: 18},
			{Span: open(11), UID: 1, Flag: "$B", Set: false},
			{Span: span(9, 10), UID: 2, Flag: `\Deleted`, Set: true, ModSeq: 19},
		},
		expunges: []check.Expunge{{Span: span(11, 12), UIDs: []uint32{2}}},
		numbers: []check.Numbers{
			numbers("c1", span(0, 1), true, 1, 10),
			numbers("c2", span(5, 6), true, 4, 14),
			numbers("c1", span(12, 13), false, 5, 20),
			numbers("c2", span(14, 15), true, 5, 20),
		},
		final: check.Mailbox{UIDValidity: 7, UIDNext: 6, HighestModSeq: 21, Messages: map[uint32]check.Message{
			1: {ModSeq: 18, MessageID: "<1>"},
			3: {ModSeq: 17, MessageID: "<2>", Flags: []string{"$a"}},
			4: {ModSeq: 14, MessageID: "<4>"},
			5: {ModSeq: 21, MessageID: "<5>"},
		}},
	}
}

func (s *story) check() []check.Violation {
	h := new(check.History)
	for _, a := range s.appends {
		h.AddAppend(a)
	}
	for _, st := range s.stores {
		h.AddStore(st)
	}
	for _, e := range s.expunges {
		h.AddExpunge(e)
	}
	for _, n := range s.numbers {
		h.AddNumbers(n)
	}
	return h.Check(&s.final)
}

func TestHistory_GoodIsAccepted(t *testing.T) {
	if bad := good().check(); len(bad) > 0 {
		t.Fatal(bad)
	}
}

// A checker that finds nothing is worth what it finds in histories that are
// known to be bad.
func TestHistory_BadIsCondemned(t *testing.T) {
	set := func(s *story, uid uint32, fn func(*check.Message)) {
		m := s.final.Messages[uid]
		fn(&m)
		s.final.Messages[uid] = m
	}
	for _, c := range []struct {
		name string
		do   func(*story)
		want string
	}{
		{"an acknowledged append is lost", func(s *story) { delete(s.final.Messages, 4) }, "<4> was acknowledged as UID 4 and is lost"},
		{"an append is done twice", func(s *story) { s.final.Messages[5] = check.Message{MessageID: "<4>", ModSeq: 21} }, "<4> is there 2 times"},
		{"an unanswered append is done twice", func(s *story) {
			s.final.UIDNext = 7
			s.final.Messages[6] = check.Message{MessageID: "<5>", ModSeq: 21}
		}, "<5> is there 2 times"},
		{"a message comes from nowhere", func(s *story) { s.final.Messages[5] = check.Message{MessageID: "<x>"} }, `nobody appended "<x>"`},
		{"a message has changed its UID", func(s *story) {
			s.final.Messages[5] = s.final.Messages[4]
			delete(s.final.Messages, 4)
		}, "<4> was given UID 4 and has 5"},
		{"a UID is given twice", func(s *story) { s.appends[3].UID = 3 }, "UID 3 was given to"},
		{"the UID of an expunged message is given again", func(s *story) { s.final.Messages[2] = s.final.Messages[5] }, "UID 2 was given to"},
		{"UIDs are given out of order", func(s *story) {
			s.appends[0].UID, s.appends[3].UID = 4, 1
			s.final.Messages[1], s.final.Messages[4] = s.final.Messages[4], s.final.Messages[1]
		}, "<4> was given UID 1 after"},
		{"an expunged message comes back", func(s *story) { s.final.Messages[2] = check.Message{MessageID: "<3>", ModSeq: 19} }, "UID 2 (<3>) was expunged and is there"},
		{"an acknowledged flag is lost", func(s *story) { set(s, 3, func(m *check.Message) { m.Flags = nil }) }, "STORE of $A (set: true) is lost"},
		{"a flag that was removed comes back", func(s *story) { s.stores = s.stores[:2] }, "STORE of $A (set: false) is lost"},
		{"a MODSEQ of a message goes back", func(s *story) { set(s, 3, func(m *check.Message) { m.ModSeq = 16 }) }, "UID 3 has MODSEQ 16, a STORE was told 17"},
		{"a MODSEQ above HIGHESTMODSEQ", func(s *story) { s.final.HighestModSeq = 20 }, "above HIGHESTMODSEQ 20"},
		{"a UID above UIDNEXT", func(s *story) { s.final.UIDNext = 5 }, "UID 5 is not below UIDNEXT 5"},
		{"UIDNEXT goes back on a connection", func(s *story) { s.numbers[2].UIDNext = 0; s.numbers[3].UIDNext = 3 }, "c2: UIDNEXT went back from 4 to 3"},
		{"HIGHESTMODSEQ goes back on a connection", func(s *story) { s.numbers[2].HighestModSeq = 9 }, "c1: HIGHESTMODSEQ went back from 10 to 9"},
		{"UIDVALIDITY changes", func(s *story) { s.numbers[2].UIDValidity = 8 }, "c1: UIDVALIDITY changed from 7 to 8"},
		{"a fresh look is behind another connection", func(s *story) { s.numbers[3].HighestModSeq = 19 }, "c2 (fresh): HIGHESTMODSEQ went back from 20 to 19"},
		{"a fresh look is behind an acknowledged append", func(s *story) { s.numbers[1].UIDNext = 2 }, "c2 (fresh): UIDNEXT went back from 4 to 2"},
		{"a fresh look is behind an acknowledged store", func(s *story) {
			s.numbers = []check.Numbers{numbers("c3", span(11, 12), true, 5, 18)}
		}, "c3 (fresh): HIGHESTMODSEQ went back from 19 to 18"},
		{"the end is behind what was told", func(s *story) { s.numbers[2].HighestModSeq = 22; s.numbers[3].HighestModSeq = 22 }, "final (fresh): HIGHESTMODSEQ went back from 22 to 21"},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := good()
			c.do(s)
			wantViolation(t, s.check(), c.want)
		})
	}
}

func wantViolation(t *testing.T, got []check.Violation, want string) {
	t.Helper()
	for _, v := range got {
		if strings.Contains(string(v), want) {
			return
		}
	}
	t.Errorf("got %q, want one with %q", got, want)
}

// What runs at the same time has no order, and a flag that one unanswered STORE
// concerns may be either way.
func TestHistory_WhatIsNotKnownIsAccepted(t *testing.T) {
	for name, do := range map[string]func(*story){
		"a fresh look beside an append need not see it": func(s *story) {
			s.numbers[1] = numbers("c2", span(3, 5), true, 2, 10)
		},
		"an unanswered STORE was done": func(s *story) {
			s.final.Messages[1] = check.Message{ModSeq: 20, MessageID: "<1>"}
		},
		"an unanswered STORE was not done": func(s *story) {
			s.final.Messages[1] = check.Message{ModSeq: 18, MessageID: "<1>", Flags: []string{"$b"}}
		},
		"an unanswered append was not done": func(s *story) { delete(s.final.Messages, 5) },
		"an unanswered expunge was done": func(s *story) {
			s.expunges = append(s.expunges, check.Expunge{Span: open(12), UIDs: []uint32{4}})
			delete(s.final.Messages, 4)
		},
	} {
		t.Run(name, func(t *testing.T) {
			s := good()
			do(s)
			if bad := s.check(); len(bad) > 0 {
				t.Error(bad)
			}
		})
	}
}
