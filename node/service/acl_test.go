package service_test

import (
	"errors"
	"testing"

	"google.golang.org/protobuf/proto"

	"github.com/quorumail/quorumail/node/client"
	"github.com/quorumail/quorumail/proto/imapnum"
	pb "github.com/quorumail/quorumail/proto/quorumail/v1"
)

const bob = "bob@example.org"

func (b *bench) grant(mailbox, id, rights string) {
	b.t.Helper()
	r, err := imapnum.ParseRights(rights)
	if err != nil {
		b.t.Fatal(err)
	}
	b.do(&pb.Entry{Op: &pb.Entry_SetAcl{SetAcl: &pb.SetACLOp{
		Mailbox: mailbox, Identifier: id, Mode: pb.SetACLOp_MODE_REPLACE, Rights: uint32(r),
	}}})
}

// reads are all reads of a mailbox, as a session makes them.
func (b *bench) reads(s *client.Session) map[string]func() error {
	ctx, all := b.t.Context(), pack(imapnum.SetOf(1))
	return map[string]func() error{
		"open by name": func() error { _, err := s.OpenMailbox(ctx, "INBOX", 0, nil, nil); return err },
		"open by id":   func() error { _, err := s.OpenMailbox(ctx, "", b.inbox, nil, nil); return err },
		"changes":      func() error { _, _, err := s.Changes(ctx, b.inbox, nil, false); return err },
		"fetch": func() error {
			return s.Fetch(ctx, &pb.FetchRequest{MailboxId: b.inbox, Uids: all}, func(*pb.FetchResponse) error { return nil })
		},
		"flags": func() error { _, err := s.GetFlags(ctx, b.inbox, all); return err },
		"search": func() error {
			_, err := s.Search(ctx, &pb.SearchRequest{MailboxId: b.inbox, Key: &pb.SearchKey{Key: &pb.SearchKey_All{All: true}}})
			return err
		},
	}
}

// What an actor may not read is as if it were not there; if it may look it up, it
// is told that it may not read it. A right that is taken is gone with the next
// read.
func TestReadsNeedRights_RFC4314_4(t *testing.T) {
	b := newBench(t)
	b.fill(1)
	s := b.c.Client(t).SessionFor(account, bob)
	for _, step := range []struct {
		rights string
		want   error
	}{{"", client.ErrNoMailbox}, {"lr", nil}, {"l", client.ErrNoPermission}, {"r", nil}, {"swipkxtea", client.ErrNoMailbox}, {"lr", nil}, {"", client.ErrNoMailbox}} {
		b.grant("INBOX", bob, step.rights)
		for name, read := range b.reads(s) {
			if err := read(); !errors.Is(err, step.want) || step.want == nil && err != nil {
				t.Errorf("with %q: %s: %v, want %v", step.rights, name, err, step.want)
			}
		}
	}
	for name, read := range b.reads(b.c.Client(t).SessionFor(account, account)) {
		if err := read(); err != nil {
			t.Errorf("by the owner: %s: %v", name, err)
		}
	}
	if _, err := s.GetAccount(t.Context()); !errors.Is(err, client.ErrNoMailbox) {
		t.Errorf("credentials: %v", err)
	}
}

// LIST tells an actor of what it may look up, and of that no more than it may
// read.
func TestListForActors_RFC4314_4(t *testing.T) {
	b := newBench(t)
	b.fill(2)
	b.do(&pb.Entry{Op: &pb.Entry_CreateMailbox{CreateMailbox: &pb.CreateMailboxOp{Name: "sent", SpecialUse: `\Sent`}}})
	b.do(&pb.Entry{Op: &pb.Entry_CreateMailbox{CreateMailbox: &pb.CreateMailboxOp{Name: "secret"}}})
	b.do(&pb.Entry{Op: &pb.Entry_Subscribe{Subscribe: &pb.SubscribeOp{Name: "sent", Subscribed: true}}})
	b.do(&pb.Entry{Op: &pb.Entry_NoteShare{NoteShare: &pb.NoteShareOp{Owner: "carol", Shared: true}}})
	b.grant("INBOX", bob, "l")
	b.grant("sent", bob, "lrx")
	b.grant("secret", bob, "rswipkxtea")
	l, err := b.c.Client(t).SessionFor(account, bob).ListMailboxes(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if len(l.GetSubscriptions()) > 0 || len(l.GetSharedBy()) > 0 {
		t.Errorf("subscriptions %q, shared by %q", l.GetSubscriptions(), l.GetSharedBy())
	}
	var got []string
	for _, m := range l.GetMailboxes() {
		got = append(got, m.GetName()+" "+imapnum.Rights(m.GetRights()).String())
		if m.GetSpecialUse() != "" || m.GetSubscribed() {
			t.Errorf("%s: %q, %v", m.GetName(), m.GetSpecialUse(), m.GetSubscribed())
		}
		if readable := m.GetName() == "sent"; (m.GetUidNext() != 0) != readable {
			t.Errorf("%s: %v", m.GetName(), m)
		}
	}
	if len(got) != 2 || got[0] != "INBOX l" || got[1] != "sent lrx" {
		t.Errorf("listed: %q", got)
	}
	l, err = b.s.ListMailboxes(t.Context())
	if err != nil || len(l.GetMailboxes()) != 3 || len(l.GetSharedBy()) != 1 || imapnum.Rights(l.GetMailboxes()[0].GetRights()) != imapnum.AllRights {
		t.Errorf("to the owner: %v, %v", l, err)
	}
}

// One of some rights is enough to learn which one has, and only "a" is to see
// those of others (RFC 4314, 4).
func TestGetAcl_RFC4314_4(t *testing.T) {
	b := newBench(t)
	s := b.c.Client(t).SessionFor(account, bob)
	for rights, want := range map[string]error{
		"": client.ErrNoMailbox, "swpte": client.ErrNoMailbox, "l": nil, "r": nil, "i": nil, "k": nil, "x": nil, "a": nil,
	} {
		b.grant("INBOX", bob, rights)
		resp, err := s.GetAcl(t.Context(), "inbox")
		if !errors.Is(err, want) || want == nil && (err != nil || imapnum.Rights(resp.GetInfo().GetRights()).String() != rights) {
			t.Errorf("%q: %v, %v", rights, resp, err)
		}
		if err == nil && (resp.GetAcl() != nil) != (rights == "a") {
			t.Errorf("%q: list %v", rights, resp.GetAcl())
		}
	}
	if _, err := s.GetAcl(t.Context(), "nowhere"); !errors.Is(err, client.ErrNoMailbox) {
		t.Errorf("nowhere: %v", err)
	}
	if _, err := b.c.Client(t).SessionFor("nobody", bob).GetAcl(t.Context(), "INBOX"); !errors.Is(err, client.ErrNoMailbox) {
		t.Errorf("of nobody: %v", err)
	}
}

// Annotations of a mailbox need "l" and a right to its messages, each actor has
// private ones of its own (RFC 5464, 3.3), and the account's are its owner's.
func TestMetadataForActors_RFC5464_3_3(t *testing.T) {
	b := newBench(t)
	b.do(&pb.Entry{Op: &pb.Entry_CreateMailbox{CreateMailbox: &pb.CreateMailboxOp{Name: "secret"}}})
	for _, mailbox := range []string{"", "INBOX", "secret"} {
		b.annotate(mailbox, "/private/comment", []byte("the owner's"))
	}
	b.annotate("INBOX", "/shared/comment", []byte("for all"))
	b.annotate("secret", "/shared/comment", []byte("for the owner"))
	s := b.c.Client(t).SessionFor(account, bob)
	read := func(req *pb.GetMetadataRequest) error { _, err := s.Metadata(t.Context(), req, true); return err }
	for rights, want := range map[string]error{"": client.ErrNoMailbox, "l": client.ErrNoPermission, "r": client.ErrNoMailbox} {
		b.grant("INBOX", bob, rights)
		if err := read(&pb.GetMetadataRequest{Mailbox: "INBOX"}); !errors.Is(err, want) {
			t.Errorf("with %q: %v", rights, err)
		}
	}
	b.grant("INBOX", bob, "lr")
	if err := read(&pb.GetMetadataRequest{}); !errors.Is(err, client.ErrNoMailbox) {
		t.Errorf("of the account: %v", err)
	}
	for _, req := range []*pb.GetMetadataRequest{{Mailbox: "INBOX"}, {All: true}} {
		resp, err := s.Metadata(t.Context(), req, true)
		if err != nil || len(resp.GetMailboxes()) != 1 || len(resp.GetMailboxes()[0].GetEntries()) != 1 ||
			resp.GetMailboxes()[0].GetEntries()[0].GetName() != "/shared/comment" {
			t.Errorf("%v: %v, %v", req, resp, err)
		}
	}
}

// An actor is named in one way only.
func TestProposeForAnActorThatIsNotNormalised(t *testing.T) {
	b := newBench(t)
	e := &pb.Entry{Version: 1, Account: account, Actor: "Bob", Op: &pb.Entry_Subscribe{Subscribe: &pb.SubscribeOp{Name: "a", Subscribed: true}}}
	data, err := proto.Marshal(e)
	if err != nil {
		t.Fatal(err)
	}
	err = b.propose(&pb.Proposal{Shard: b.route.GetShard(), Epoch: b.route.GetEpoch(), Entry: data})
	if kindOf(err) != pb.ErrorDetail_KIND_INVALID {
		t.Errorf("not normalised: %v", err)
	}
}
