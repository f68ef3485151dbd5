package service

import (
	"fmt"
	"testing"

	"github.com/quorumail/quorumail/proto/imapnum"
	pb "github.com/quorumail/quorumail/proto/quorumail/v1"
	"github.com/quorumail/quorumail/raftfsm"
)

// A watch begins with the state that it finds and goes on with what the hub
// tells. The hub may be first: then the state, which is as old or older, must
// still be told whole, or a mailbox that has changed before the watch began is
// never heard of by those who watch all of an account's mailboxes.
func TestWatchTellsTheStateThatTheHubHasOvertaken(t *testing.T) {
	change := func(modSeq imapnum.ModSeq, boxes ...imapnum.MailboxID) raftfsm.Change {
		return raftfsm.Change{Account: "alice", AppliedIndex: uint64(modSeq) + 100, ModSeq: modSeq, Mailboxes: boxes}
	}
	const since = 10
	for name, c := range map[string]struct {
		early []raftfsm.Change // told by the hub before the state is read
		state raftfsm.Change   // ModSeq 0: nothing has changed since
		late  []raftfsm.Change
		want  string
	}{
		"state alone":             {state: change(12, 1, 2), want: "[12 [1 2]]"},
		"state as old as the hub": {early: []raftfsm.Change{change(12, 2)}, state: change(12, 1, 2), want: "[12 [1 2]]"},
		"state older":             {early: []raftfsm.Change{change(12, 2)}, state: change(11, 1), want: "[12 [1 2]]"},
		"state newer":             {early: []raftfsm.Change{change(11, 1)}, state: change(13, 1, 2, 3), want: "[13 [1 2 3]]"},
		"no state":                {early: []raftfsm.Change{change(11, 1)}, want: "[11 [1]]"},
		"nothing":                 {want: "[]"},
		"past":                    {early: []raftfsm.Change{change(9, 1), change(10, 2)}, want: "[]"},
		"afterwards":              {state: change(12, 1), late: []raftfsm.Change{change(12, 1), change(13, 2)}, want: "[12 [1] 13 [2]]"},
	} {
		t.Run(name, func(t *testing.T) {
			h := NewHub()
			s := &watchStream{wake: make(chan struct{}, 1)}
			var got []string
			take := func() {
				for _, ev := range s.take() {
					got = append(got, fmt.Sprint(ev.GetModSeq(), ev.GetMailboxIds()))
				}
			}
			w := &watch{stream: s, id: 1, account: "alice", hub: h, told: since, opening: true}
			h.join("alice", w)
			for _, c := range c.early {
				h.Changed(c)
				take()
			}
			w.open(c.state)
			take()
			for _, c := range c.late {
				h.Changed(c)
				take()
			}
			take()
			if s := fmt.Sprint(got); s != c.want {
				t.Errorf("told %s, want %s", s, c.want)
			}
		})
	}
}

// What ends a watch is told whether or not its state has been.
func TestWatchThatFailsWhileItOpens(t *testing.T) {
	for name, end := range map[string]func(*Hub, *watch){
		"deleted": func(h *Hub, _ *watch) { h.Changed(raftfsm.Change{Account: "alice", ModSeq: 12, Deleted: true}) },
		"reset":   func(h *Hub, _ *watch) { h.Reset() },
		"refused": func(_ *Hub, w *watch) { w.fail(&pb.ErrorDetail{Kind: pb.ErrorDetail_KIND_NO_ACCOUNT}) },
	} {
		t.Run(name, func(t *testing.T) {
			h := NewHub()
			s := &watchStream{wake: make(chan struct{}, 1)}
			w := &watch{stream: s, id: 1, account: "alice", hub: h, opening: true}
			h.join("alice", w)
			h.Changed(raftfsm.Change{Account: "alice", ModSeq: 11, Mailboxes: []imapnum.MailboxID{1}})
			end(h, w)
			w.open(raftfsm.Change{ModSeq: 11, Mailboxes: []imapnum.MailboxID{1}})
			if evs := s.take(); len(evs) != 1 || evs[0].GetError() == nil {
				t.Errorf("told %v, want one error", evs)
			}
			if evs := s.take(); len(evs) != 0 {
				t.Errorf("then told %v", evs)
			}
		})
	}
}
