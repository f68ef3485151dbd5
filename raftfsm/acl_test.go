package raftfsm

import (
	"fmt"
	"maps"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"github.com/quorumail/quorumail/proto/imapnum"
	pb "github.com/quorumail/quorumail/proto/quorumail/v1"
	"github.com/quorumail/quorumail/raftfsm/model"
)

const (
	bob   = "bob@example.org"
	carol = "carol@example.org"
)

func newModel() *model.Account {
	m := model.New(7)
	m.Owner = alice
	return m
}

// share makes an account of which much is shared, by an owner who is seldom
// there: left to chance, few steps would be another's that has some rights.
func (p *pair) share() {
	p.shared = true
	p.names = []string{"INBOX", "a", "a/b", "b"}
	for _, name := range p.names[1:3] {
		p.equal("create", p.do(create(name)).GetCode() == pb.Code_CODE_OK, p.model.Create(name, 5))
	}
	for range 3 {
		p.grant()
	}
}

// byRights are the steps that another account may be allowed.
var byRights = []string{"append", "replace", "store", "store", "expunge", "copy", "copy", "copy", "create", "create", "delete", "rename", "grant", "grant"}

// actFor chooses for whom a step is.
func (p *pair) actFor(step string) {
	actors := []string{"", "", "", bob, carol}
	if p.shared {
		actors = []string{"", bob, bob, bob, carol}
	}
	p.model.Actor = ""
	if slices.Contains(byRights, step) {
		p.model.Actor = rapid.SampledFrom(actors).Draw(p.T, "actor")
	}
	p.model.Refused = ""
}

// refusedAlike checks why a step was refused for want of rights. What the model
// has done before is not known here if it did the same twice, so only a refusal
// is compared.
func (p *pair) refusedAlike() {
	why := p.model.Refused
	if p.model.Actor == "" || why == "" || p.last.GetPutChunk() != nil {
		return
	}
	p.equal("why it is refused", p.res.GetCode(), "CODE_"+why)
}

// grant changes an access control list.
func (p *pair) grant() {
	name := p.name()
	id := rapid.SampledFrom([]string{bob, bob, carol, "anyone", "-" + bob, "-anyone", alice, "-" + alice}).Draw(p.T, "identifier")
	// All but a few: with rights drawn one by one hardly anybody could do a thing.
	rights := imapnum.Rights(imapnum.AllRights)
	for range rapid.IntRange(0, 4).Draw(p.T, "less") {
		rights &^= 1 << rapid.IntRange(0, 10).Draw(p.T, "right")
	}
	if rapid.IntRange(0, 3).Draw(p.T, "few") == 0 {
		rights = imapnum.AllRights &^ rights
	}
	mode := rapid.SampledFrom([]string{"replace", "replace", "add", "remove"}).Draw(p.T, "mode")
	want := p.model.Grant(name, id, mode, rights.String())
	res := p.do(&pb.Entry{Op: &pb.Entry_SetAcl{SetAcl: &pb.SetACLOp{
		Mailbox: name, Identifier: id, Rights: uint32(rights), Mode: map[string]pb.SetACLOp_Mode{
			"replace": pb.SetACLOp_MODE_REPLACE, "add": pb.SetACLOp_MODE_ADD, "remove": pb.SetACLOp_MODE_REMOVE,
		}[mode],
	}}})
	p.equal("grant", res.GetCode() == pb.Code_CODE_OK, want)
}

// meddle lets another account try what is the owner's alone.
func (p *pair) meddle() {
	p.model.Actor = bob
	e := rapid.SampledFrom([]*pb.Entry{
		{Op: &pb.Entry_Subscribe{Subscribe: &pb.SubscribeOp{Name: "a", Subscribed: true}}},
		{Op: &pb.Entry_SetCredentials{SetCredentials: &pb.SetCredentialsOp{}}},
		{Op: &pb.Entry_CreateAccount{CreateAccount: &pb.CreateAccountOp{}}},
		{Op: &pb.Entry_DeleteAccount{DeleteAccount: &pb.DeleteAccountOp{}}},
		{Op: &pb.Entry_Collect{Collect: &pb.CollectOp{Limit: 1}}},
		{Op: &pb.Entry_CompactQueue{CompactQueue: &pb.CompactQueueOp{MailboxId: 1, NewFloor: 99, Limit: 9}}},
		{Op: &pb.Entry_NoteShare{NoteShare: &pb.NoteShareOp{Owner: bob, Shared: true}}},
		{Op: &pb.Entry_SetMetadata{SetMetadata: &pb.SetMetadataOp{}}},
	}).Draw(p.T, "entry")
	p.equal("meddling", p.do(e).GetCode(), pb.Code_CODE_NO_PERMISSION)
}

// compareRights compares who may do what with a mailbox.
func (p *pair) compareRights(name string, box *Mailbox, want *model.Mailbox) {
	acl, err := box.ACL()
	if err != nil {
		p.Fatal(err)
	}
	got := make(map[string]string)
	for _, e := range acl.GetEntries() {
		got[e.GetIdentifier()] = imapnum.Rights(e.GetRights()).String()
	}
	p.equal(name+": rights granted", got, want.ACL)
	for _, actor := range []string{"", alice, bob, carol, "anyone"} {
		rights, err := box.Rights(actor)
		if err != nil {
			p.Fatal(err)
		}
		all := imapnum.Rights(imapnum.AllRights).String()
		if actor != "" && actor != alice {
			all = want.RightsOf(actor)
		}
		p.equal(fmt.Sprint(name, ": rights of ", actor), rights.String(), all)
	}
}

func (p *pair) compareShares(a *Account) {
	owners, err := a.SharedBy()
	if err != nil {
		p.Fatal(err)
	}
	p.equal("owners that share", owners, slices.Sorted(maps.Keys(p.model.SharedBy)))
}

// as makes an entry another account's.
func as(actor string, e *pb.Entry) *pb.Entry {
	e.Actor = actor
	return e
}

func grant(mailbox, id, rights string) *pb.Entry {
	r, err := imapnum.ParseRights(rights)
	if err != nil {
		panic(err)
	}
	return &pb.Entry{Account: alice, Op: &pb.Entry_SetAcl{SetAcl: &pb.SetACLOp{Mailbox: mailbox, Identifier: id, Mode: pb.SetACLOp_MODE_REPLACE, Rights: uint32(r)}}}
}

// A list takes so many identifiers and no more, and an account is noted to be
// shared with by so many.
func TestAccessControlListsAreBounded(t *testing.T) {
	m := newMachine(t)
	m.ok(newAccount())
	for i := range maxACL {
		m.ok(grant("INBOX", fmt.Sprintf("user%d", i), "lr"))
	}
	if res := m.apply(grant("INBOX", "more", "lr"))[0]; res.GetCode() != pb.Code_CODE_LIMIT {
		t.Errorf("one more identifier: %v", res)
	}
	m.ok(grant("INBOX", "user7", ""))
	m.ok(grant("INBOX", "more", "lr"))
	note := func(i int) *pb.Entry {
		return &pb.Entry{Account: alice, Op: &pb.Entry_NoteShare{NoteShare: &pb.NoteShareOp{Owner: fmt.Sprintf("user%d", i), Shared: true}}}
	}
	for i := range maxSharedBy {
		m.ok(note(i))
	}
	if res := m.apply(note(maxSharedBy))[0]; res.GetCode() != pb.Code_CODE_LIMIT {
		t.Errorf("one more owner: %v", res)
	}
	m.check(alice)
}

// Of annotations, an actor has private ones of its own, and needs "l" and a right
// to the messages (RFC 5464, 3.3).
func TestAnnotationsOfSharedMailboxes_RFC5464_3_3(t *testing.T) {
	m := newMachine(t)
	m.ok(newAccount())
	m.ok(grant("INBOX", bob, "l"))
	if res := m.apply(as(bob, annotation("INBOX", "/private/comment", "mine")))[0]; res.GetCode() != pb.Code_CODE_NO_PERMISSION {
		t.Errorf(`with "l": %v`, res)
	}
	m.ok(grant("INBOX", bob, "lr"))
	m.ok(annotation("INBOX", "/private/comment", "yours"))
	m.ok(as(bob, annotation("INBOX", "/private/comment", "mine")))
	if res := m.apply(as(carol, annotation("INBOX", "/private/comment", "mine")))[0]; res.GetCode() != pb.Code_CODE_NO_MAILBOX {
		t.Errorf("without rights: %v", res)
	}
	if res := m.apply(as(bob, annotation("", "/private/comment", "mine")))[0]; res.GetCode() != pb.Code_CODE_NO_PERMISSION {
		t.Errorf("of the account: %v", res)
	}
	m.check(alice)
	v, err := m.f.View()
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = v.Close() }()
	a, err := v.Account(alice)
	if err != nil {
		t.Fatal(err)
	}
	for actor, want := range map[string]string{"": "yours", bob: "mine"} {
		got := ""
		err := a.Metadata(1, actor, "/private/comment", 0, func(e *pb.MetadataEntry) (bool, error) {
			got = string(e.GetValue())
			return true, nil
		})
		if err != nil || got != want {
			t.Errorf("%q: %q, %v", actor, got, err)
		}
	}
}
