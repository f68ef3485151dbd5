package raftfsm

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/quorumail/quorumail/proto/imapnum"
	pb "github.com/quorumail/quorumail/proto/quorumail/v1"
	"github.com/quorumail/quorumail/raftfsm/keys"
)

// messageIDs gives an email some of a few Message-IDs, and returns them.
func (p *pair) messageIDs(e *pb.Email) []string {
	ids := rapid.SliceOfNDistinct(rapid.SampledFrom([]string{"1@x", "2@x", "3@x", "4@x", "5@x", "6@x"}), 0, 3, rapid.ID).Draw(p.T, "Message-IDs")
	if len(ids) > 0 && rapid.Bool().Draw(p.T, "own") {
		e.Envelope = &pb.Envelope{MessageId: []byte(" <" + ids[0] + ">")}
		e.References = ids[1:]
	} else {
		e.References = ids
	}
	return ids
}

// collected tells the model what a CollectOp has removed: when that is, is
// the state machine's to say, but not of messages that are in a mailbox.
func (p *pair) collected() {
	v, err := p.m.f.View()
	if err != nil {
		p.Fatal(err)
	}
	defer func() { _ = v.Close() }()
	a, err := v.Account(alice)
	if err != nil {
		p.Fatal(err)
	}
	kept := make(map[string]bool)
	for _, id := range emails(p, a) {
		e, err := a.Email(id)
		if err != nil {
			p.Fatal(err)
		}
		kept[string(e.GetBodyId())] = true
	}
	if !p.model.Collect(func(body string) bool { return kept[body] }) {
		p.Fatal("a message of a mailbox has been collected")
	}
}

func emails(t interface{ Fatal(...any) }, a *Account) (ids []uint64) {
	start, end := a.space.Kind(keys.Email)
	err := scan(a.v.snap, start, end, func(key, _ []byte) (bool, error) {
		id, err := keys.ParseID(a.space.Rest(key))
		ids = append(ids, id)
		return true, err
	})
	if err != nil {
		t.Fatal(err)
	}
	return ids
}

// letter makes an append to INBOX of a message with a Message-ID and ancestors.
func (m *machine) letter(id string, refs ...string) *pb.Entry {
	e := m.mail("INBOX")
	email := e.GetAppend().GetMessages()[0].GetEmail()
	email.References = refs
	if id != "" {
		email.Envelope = &pb.Envelope{MessageId: []byte(id)}
	}
	return e
}

func (m *machine) threads() (list []uint64) {
	m.t.Helper()
	err := m.inbox().Messages(imapnum.SetOfRange(1, 100), func(msg *pb.FetchedMessage) (bool, error) {
		list = append(list, msg.GetThreadId())
		return true, nil
	})
	if err != nil {
		m.t.Fatal(err)
	}
	return list
}

func TestThreadOfWhatCountsAsMessageID_RFC8474_5_2(t *testing.T) {
	for name, c := range map[string]struct {
		id   string
		refs []string
		want uint64
	}{
		"reply":               {"<b@x>", []string{"a@x"}, 1},
		"the same message":    {"<a@x>", nil, 1},
		"comment around":      {"(c) <a@x> (d)", nil, 1},
		"no brackets":         {"a@x", nil, 2},
		"unclosed":            {"<a@x", nil, 2},
		"other case":          {"<A@x>", nil, 2},
		"empty":               {"<>", []string{""}, 2},
		"nothing at all":      {"", nil, 2},
		"too long":            {"<" + strings.Repeat("a", maxThreadID+1) + ">", nil, 2},
		"not UTF-8":           {"<\xff@x>", nil, 2},
		"first of many":       {"<b@x>", append([]string{"a@x"}, others(200)...), 1},
		"last of many":        {"<b@x>", append(others(200), "a@x"), 1},
		"lost in the middle":  {"<b@x>", slices.Concat(others(30), []string{"a@x"}, others(100)[50:]), 2},
		"the 20th from below": {"<b@x>", slices.Concat(others(30), []string{"a@x"}, others(100)[81:]), 1},
	} {
		t.Run(name, func(t *testing.T) {
			m := newMachine(t)
			m.ok(newAccount())
			m.ok(m.letter("<a@x>"))
			m.ok(m.letter(c.id, c.refs...))
			if got := m.threads(); got[1] != c.want {
				t.Errorf("threads %v, want %d for the second", got, c.want)
			}
			m.check(alice)
		})
	}
}

func others(n int) (ids []string) {
	for i := range n {
		ids = append(ids, fmt.Sprintf("other%d@x", i))
	}
	return ids
}

// Two threads that a later message connects stay two: THREADID must not change
// (RFC 8474, 5.2).
func TestThreadsNeverMerge_RFC8474_5_2(t *testing.T) {
	m := newMachine(t)
	m.ok(newAccount())
	m.ok(m.letter("<a@x>"))
	m.ok(m.letter("<b@x>"))
	m.ok(m.letter("<c@x>", "b@x", "a@x"))
	m.ok(m.letter("<d@x>", "b@x"))
	m.ok(m.letter("<b@x>"))
	if got := fmt.Sprint(m.threads()); got != "[1 2 1 1 1]" {
		t.Errorf("threads %v", got)
	}
}

// What is collected leaves no key behind, and its thread goes on without it.
func TestThreadOutlivesItsFirstMessage(t *testing.T) {
	m := newMachine(t)
	m.ok(newAccount())
	m.ok(m.letter("<a@x>"))
	m.ok(m.letter("<b@x>", "a@x"))
	m.ok(store(pb.StoreOp_MODE_ADD, set(1), `\Deleted`))
	m.ok(expunge())
	collect := &pb.Entry{Account: alice, Op: &pb.Entry_Collect{Collect: &pb.CollectOp{BodiesBefore: 1 << 60, Limit: 100}}}
	m.ok(collect)
	m.check(alice)
	m.ok(m.letter("<c@x>", "a@x"))
	m.ok(m.letter("<d@x>", "b@x"))
	if got := fmt.Sprint(m.threads()); got != "[1 1 1]" {
		t.Errorf("threads %v", got)
	}
	m.ok(store(pb.StoreOp_MODE_ADD, set(2, 3, 4), `\Deleted`))
	m.ok(expunge())
	collect.Time = 0
	m.ok(collect)
	m.check(alice)
	a := m.inbox().a
	start, end := a.space.Kind(keys.Thread)
	err := scan(a.v.snap, start, end, func(key, _ []byte) (bool, error) { return false, fmt.Errorf("key %x is left", key) })
	if err != nil {
		t.Error(err)
	}
	m.ok(m.letter("<e@x>", "a@x"))
	if got := fmt.Sprint(m.threads()); got != "[5]" {
		t.Errorf("threads %v", got)
	}
}

// A message record of before there were threads reads as one without; a record
// says no thread when there is none.
func TestMessageRecordOfBeforeThreads(t *testing.T) {
	rec := messageRecord{modSeq: 5, keywords: []uint32{1, 7}, emailID: 9}
	old := rec.encode()
	got, err := decodeMessage(old)
	if err != nil || got.threadID != 0 {
		t.Fatalf("%+v, %v", got, err)
	}
	rec.threadID = 300
	if got, err = decodeMessage(rec.encode()); err != nil || got.threadID != 300 || !bytes.HasPrefix(rec.encode(), old) {
		t.Fatalf("%+v, %v", got, err)
	}
}
