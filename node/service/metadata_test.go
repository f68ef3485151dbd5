package service_test

import (
	"bytes"
	"errors"
	"fmt"
	"testing"

	"github.com/quorumail/quorumail/node/client"
	"github.com/quorumail/quorumail/proto/imapnum"
	pb "github.com/quorumail/quorumail/proto/quorumail/v1"
)

func (b *bench) annotate(mailbox, name string, value []byte) uint64 {
	b.t.Helper()
	return b.do(&pb.Entry{Op: &pb.Entry_SetMetadata{SetMetadata: &pb.SetMetadataOp{
		Mailbox: mailbox, Entries: []*pb.MetadataEntry{{Name: name, Value: value}},
	}}}).GetModSeq()
}

func (b *bench) metadata(req *pb.GetMetadataRequest) *pb.GetMetadataResponse {
	b.t.Helper()
	resp, err := b.s.Metadata(b.t.Context(), req, true)
	if err != nil {
		b.t.Fatal(err)
	}
	return resp
}

// Annotations that do not fit into one response come in several, each once and
// in order.
func TestGetMetadataInManyResponses(t *testing.T) {
	b := newBench(t)
	value := bytes.Repeat([]byte("x"), imapnum.MaxMetadataValue)
	b.do(&pb.Entry{Op: &pb.Entry_CreateMailbox{CreateMailbox: &pb.CreateMailboxOp{Name: "a"}}})
	var last uint64
	for i := range 60 {
		last = b.annotate([]string{"", "INBOX", "a"}[i%3], fmt.Sprintf("/private/%02d", i), value)
	}
	resp := b.metadata(&pb.GetMetadataRequest{All: true})
	if resp.GetModSeq() != last || len(resp.GetMailboxes()) != 3 {
		t.Fatalf("modseq %d, %d mailboxes", resp.GetModSeq(), len(resp.GetMailboxes()))
	}
	for i, m := range resp.GetMailboxes() {
		if m.GetMailbox() != []string{"", "INBOX", "a"}[i] || len(m.GetEntries()) != 20 {
			t.Errorf("%q has %d", m.GetMailbox(), len(m.GetEntries()))
		}
		for j, e := range m.GetEntries() {
			if e.GetName() != fmt.Sprintf("/private/%02d", 3*j+i) || !bytes.Equal(e.GetValue(), value) || e.GetModSeq() == 0 {
				t.Errorf("%q: %d: %s, %d octets", m.GetMailbox(), j, e.GetName(), len(e.GetValue()))
			}
		}
	}
	one := b.metadata(&pb.GetMetadataRequest{Mailbox: "a"})
	if len(one.GetMailboxes()) != 1 || len(one.GetMailboxes()[0].GetEntries()) != 20 {
		t.Errorf("of one mailbox: %d", len(one.GetMailboxes()))
	}
}

func TestGetMetadata(t *testing.T) {
	b := newBench(t)
	if resp := b.metadata(&pb.GetMetadataRequest{All: true}); resp.GetModSeq() != 0 || resp.GetMailboxes() != nil {
		t.Errorf("of none: %v", resp)
	}
	b.annotate("INBOX", "/private/vendor/x/a", []byte("1"))
	b.annotate("INBOX", "/private/vendor/x/a/b", []byte("22"))
	last := b.annotate("", "/private/comment", []byte{})
	show := func(resp *pb.GetMetadataResponse) string {
		s := fmt.Sprint(resp.GetLongest())
		for _, m := range resp.GetMailboxes() {
			s += " " + m.GetMailbox() + ":"
			for _, e := range m.GetEntries() {
				s += fmt.Sprintf(" %s=%q,%v", e.GetName(), e.GetValue(), e.Value != nil)
			}
		}
		return s
	}
	two := uint64(1)
	for _, c := range []struct {
		req  *pb.GetMetadataRequest
		want string
	}{
		{&pb.GetMetadataRequest{All: true, SinceModSeq: last}, "0"},
		{&pb.GetMetadataRequest{All: true, SinceModSeq: last - 1, NamesOnly: true}, `0 : /private/comment="",false INBOX: /private/vendor/x/a="",false /private/vendor/x/a/b="",false`},
		{&pb.GetMetadataRequest{All: true, Entries: []string{"/private/vendor/x/a"}}, `0 INBOX: /private/vendor/x/a="1",true`},
		{&pb.GetMetadataRequest{All: true, Entries: []string{"/private"}, Depth: 3}, `0 : /private/comment="",true INBOX: /private/vendor/x/a="1",true`},
		{&pb.GetMetadataRequest{Mailbox: "inbox", Entries: []string{"/private/vendor/x/a", "/private/vendor"}, Depth: 5}, `0 INBOX: /private/vendor/x/a="1",true /private/vendor/x/a/b="22",true`},
		{&pb.GetMetadataRequest{Mailbox: "INBOX", MaxSize: &two}, `2 INBOX: /private/vendor/x/a="1",true`},
		{&pb.GetMetadataRequest{}, `0 : /private/comment="",true`},
	} {
		if got := show(b.metadata(c.req)); got != c.want {
			t.Errorf("%v:\ngot  %s\nwant %s", c.req, got, c.want)
		}
	}
	for _, name := range []string{"", "/", "/Private/x", "/private//x", "/other"} {
		if _, err := b.s.Metadata(t.Context(), &pb.GetMetadataRequest{Entries: []string{name}}, false); !errors.Is(err, client.ErrInvalid) {
			t.Errorf("%q: %v", name, err)
		}
	}
	if _, err := b.s.Metadata(t.Context(), &pb.GetMetadataRequest{Mailbox: "nowhere"}, false); !errors.Is(err, client.ErrNoMailbox) {
		t.Errorf("no mailbox: %v", err)
	}
}
