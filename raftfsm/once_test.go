package raftfsm

import (
	"testing"

	"google.golang.org/protobuf/proto"

	pb "github.com/quorumail/quorumail/proto/quorumail/v1"
)

func asked(session string, sequence uint64, e *pb.Entry) *pb.Entry {
	e = proto.CloneOf(e)
	e.Request = &pb.RequestId{Session: []byte(session), Sequence: sequence}
	return e
}

const (
	sessionA = "session A 000000"
	sessionB = "session B 000000"
)

// What was refused once stays refused, even if it would now be done: the client
// has the first answer.
func TestRefusalsAreRemembered(t *testing.T) {
	m := newMachine(t)
	m.ok(newAccount())
	store := asked(sessionA, 1, &pb.Entry{Account: alice, Op: &pb.Entry_DeleteMailbox{DeleteMailbox: &pb.DeleteMailboxOp{Name: "x"}}})
	first := m.apply(store)[0]
	m.ok(create("x"))
	again := m.apply(store)[0]
	if first.GetCode() != pb.Code_CODE_NO_MAILBOX || again.GetCode() != first.GetCode() || !again.GetRepeated() {
		t.Errorf("first %v, again %v", first, again)
	}
}

// Deleting an account must not forget that it was done: a late retry would
// delete the account that has been made anew.
func TestDeleteAccountIsDoneOnce(t *testing.T) {
	m := newMachine(t)
	first := asked(sessionA, 1, newAccount())
	m.ok(first)
	m.ok(m.mail("INBOX"))
	del := asked(sessionB, 1, &pb.Entry{Account: alice, Op: &pb.Entry_DeleteAccount{DeleteAccount: &pb.DeleteAccountOp{}}})
	m.ok(del)
	if res := m.apply(del)[0]; res.GetCode() != pb.Code_CODE_OK || !res.GetRepeated() {
		t.Errorf("retry of the deletion: %v", res)
	}
	if res := m.apply(m.mail("INBOX"))[0]; res.GetCode() != pb.Code_CODE_NO_ACCOUNT {
		t.Errorf("append to an account that is gone: %v", res)
	}
	validity := m.ok(newAccount()).GetUidValidity()
	if res := m.apply(del)[0]; !res.GetRepeated() {
		t.Errorf("retry of the deletion after another creation: %v", res)
	}
	box := m.inbox()
	if got := box.Info().GetUidValidity(); got != validity || got <= 7 || box.Info().GetExists() != 0 {
		t.Errorf("INBOX of the new account: %v", box.Info())
	}
	m.check(alice)
}

// An MTA that got no answer delivers again, by another connection and so under
// another request id (RFC 2033).
func TestDeliveryIsDoneOnce(t *testing.T) {
	m := newMachine(t)
	m.ok(newAccount())
	e := m.mail("INBOX")
	e.GetAppend().DeliveryId = []byte("0123456789abcdef0123456789abcdef")
	first := m.ok(asked(sessionA, 1, e))
	for _, again := range []*pb.Entry{asked(sessionB, 1, e), asked(sessionB, 1, e), e} {
		res := m.ok(again)
		if !res.GetRepeated() {
			t.Errorf("done again: %v", res)
		}
		res.Repeated = false
		if !proto.Equal(res, first) {
			t.Errorf("got %v, first %v", res, first)
		}
	}
	if n := m.inbox().Info().GetExists(); n != 1 {
		t.Errorf("%d messages", n)
	}
}
