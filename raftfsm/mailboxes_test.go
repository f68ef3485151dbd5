package raftfsm

import (
	"fmt"
	"testing"

	pb "github.com/quorumail/quorumail/proto/quorumail/v1"
)

func rename(from, to string) *pb.Entry {
	return &pb.Entry{Account: alice, Op: &pb.Entry_RenameMailbox{RenameMailbox: &pb.RenameMailboxOp{From: from, To: to}}}
}

func (m *machine) names() string {
	m.t.Helper()
	infos, _, err := m.inbox().a.Mailboxes()
	if err != nil {
		m.t.Fatal(err)
	}
	var names []string
	for _, i := range infos {
		names = append(names, i.GetName())
	}
	return fmt.Sprint(names)
}

// RFC 9051, 6.3.6: inferiors are renamed along. That one's new name is another's
// old one is no conflict.
func TestRenameMovesInferiors_RFC9051_6_3_6(t *testing.T) {
	m := newMachine(t)
	m.ok(newAccount())
	for _, name := range []string{"a/b", "a/b/b", "a/b/b/b", "a/bc"} {
		m.ok(create(name))
	}
	m.ok(rename("a/b", "a"))
	if got, want := m.names(), "[INBOX a a/b a/b/b a/bc]"; got != want {
		t.Errorf("mailboxes %s, want %s", got, want)
	}
	m.check(alice)
	m.ok(rename("a", "c"))
	if res := m.apply(rename("c", "c/d"))[0]; res.GetCode() != pb.Code_CODE_INVALID_NAME {
		t.Errorf("into itself: %v", res)
	}
	m.ok(create("d/bc"))
	if res := m.apply(rename("c", "d"))[0]; res.GetCode() != pb.Code_CODE_MAILBOX_EXISTS {
		t.Errorf("onto an inferior that exists: %v", res)
	}
	if got, want := m.names(), "[INBOX c c/b c/b/b c/bc d/bc]"; got != want {
		t.Errorf("mailboxes %s, want %s", got, want)
	}
	m.check(alice)
}

// RFC 9051, 6.3.6: a level of hierarchy that is no mailbox can be renamed too.
func TestRenameLevel_RFC9051_6_3_6(t *testing.T) {
	m := newMachine(t)
	m.ok(newAccount())
	for _, name := range []string{"a/b/c", "a/d", "e"} {
		m.ok(create(name))
	}
	for to, want := range map[string]pb.Code{
		"a": pb.Code_CODE_MAILBOX_EXISTS, "e": pb.Code_CODE_MAILBOX_EXISTS, "a/x": pb.Code_CODE_INVALID_NAME,
	} {
		if res := m.apply(rename("a", to))[0]; res.GetCode() != want {
			t.Errorf("a to %s: %v, want %v", to, res, want)
		}
	}
	m.ok(rename("a", "x/y"))
	m.ok(rename("x/y/b", "b"))
	if res := m.apply(rename("a", "z"))[0]; res.GetCode() != pb.Code_CODE_NO_MAILBOX {
		t.Errorf("of nothing: %v", res)
	}
	if got, want := m.names(), "[INBOX b/c e x/y/d]"; got != want {
		t.Errorf("mailboxes %s, want %s", got, want)
	}
	m.check(alice)
}
