package node_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/quorumail/quorumail/node/client"
	"github.com/quorumail/quorumail/node/nodetest"
	"github.com/quorumail/quorumail/proto/imapnum"
	pb "github.com/quorumail/quorumail/proto/quorumail/v1"
)

// Everything that the services offer, once, against three real nodes.
func TestMailboxInACluster(t *testing.T) {
	c := nodetest.Start(t, nodetest.Options{})
	c.CreateAccount(t, "Alice@Example.org", "secret")
	cl := c.Client(t)
	const account = "alice@example.org"
	u := login(t, cl, account)

	acct, err := u.GetAccount(t.Context())
	if err != nil || acct.GetCredentials().GetIterations() != 4096 {
		t.Fatalf("account: %v, %v", acct, err)
	}
	events := make(chan *pb.WatchResponse, 100)
	watcher := cl.Session(account)
	stop := watcher.Watch(acct.GetModSeq(), func(ev *pb.WatchResponse, err error) {
		if err != nil {
			t.Errorf("watch: %v", err)
			return
		}
		events <- ev
	})
	defer stop()

	for i, want := range []imapnum.UID{1, 2, 3} {
		if uid := u.append("hello", "$k"); uid != want {
			t.Fatalf("message %d has UID %d", i, uid)
		}
	}
	before, _ := u.open()
	seen := u.do(u.storeEntry(imapnum.SetOf(2), pb.StoreOp_MODE_ADD, `\Seen`, `\Deleted`, "$later"))
	gone := u.do(u.expungeEntry())
	for {
		ev := <-events
		if len(ev.GetMailboxIds()) != 1 || ev.GetMailboxIds()[0] != u.inbox {
			t.Errorf("event names mailboxes %v, want %d", ev.GetMailboxIds(), u.inbox)
		}
		if ev.GetModSeq() == gone.GetModSeq() {
			break
		}
	}
	if gone.GetModSeq() <= seen.GetModSeq() {
		t.Errorf("modseq goes from %d to %d", seen.GetModSeq(), gone.GetModSeq())
	}

	// The watcher's session has only been told by its watch.
	info, batches, err := watcher.Changes(t.Context(), u.inbox, &pb.Since{ModSeq: before.GetInfo().GetHighestModSeq()}, false)
	if err != nil || len(batches) != 1 || len(batches[0].GetChanged()) != 0 || set(t, batches[0].GetVanished()).String() != "2" {
		t.Errorf("changes: %v, %v, %v", info, batches, err)
	}
	if info.GetHighestModSeq() != gone.GetModSeq() {
		t.Errorf("HIGHESTMODSEQ is %d, the last change was %d", info.GetHighestModSeq(), gone.GetModSeq())
	}
	opened, uids := u.open()
	if uids.String() != "1,3" || opened.GetInfo().GetUidNext() != 4 || opened.GetFirstUnseen() != 1 {
		t.Errorf("opened: %v", opened)
	}
	var changed []uint32
	_, err = u.OpenMailbox(t.Context(), "INBOX", 0, &pb.Since{ModSeq: 1}, func(b *pb.ChangeBatch) error {
		for _, st := range b.GetChanged() {
			changed = append(changed, st.GetUid())
		}
		return nil
	})
	if err != nil || len(changed) != 2 {
		t.Errorf("changed since 1: %v, %v", changed, err)
	}

	got, keywords, err := u.fetch(&pb.FetchRequest{
		Uids: packed(imapnum.SetOfRange(1, 9)), Envelope: true, Body: pb.FetchRequest_BODY_ALL, IncludeExpunged: true,
	})
	if err != nil || len(got) != 3 || strings.Join(keywords, " ") != "$k $later" {
		t.Fatalf("fetched %d messages, keywords %v, %v", len(got), keywords, err)
	}
	if m := got[2]; !m.msg.GetExpunged() || m.body != "Subject: hello\r\n\r\nhello" {
		t.Errorf("expunged message: %v, body %q", m.msg, m.body)
	}
	if m := got[3]; m.msg.GetExpunged() || string(m.msg.GetEmail().GetEnvelope().GetSubject()) != "hello" || m.msg.GetEmail().GetStructure() != nil {
		t.Errorf("message: %v", m.msg)
	}
	header, _, err := u.fetch(&pb.FetchRequest{Uids: packed(imapnum.SetOf(3)), Body: pb.FetchRequest_BODY_HEADER})
	if err != nil || header[3].body != "Subject: hello\r\n\r\n" {
		t.Errorf("header: %q, %v", header[3].body, err)
	}
	since, _, err := u.fetch(&pb.FetchRequest{Uids: packed(imapnum.SetOfRange(1, 9)), ChangedSince: before.GetInfo().GetHighestModSeq()})
	if err != nil || len(since) != 0 {
		t.Errorf("CHANGEDSINCE gives %d messages, %v", len(since), err)
	}
	list, err := u.ListMailboxes(t.Context())
	if err != nil || len(list.GetMailboxes()) != 1 || list.GetMailboxes()[0].GetName() != "INBOX" {
		t.Errorf("list: %v, %v", list, err)
	}
	stop()

	if _, err := cl.Session("nobody").GetAccount(t.Context()); !errors.Is(err, client.ErrNoAccount) {
		t.Errorf("no account: %v", err)
	}
	if _, err := u.OpenMailbox(t.Context(), "nothing", 0, nil, nil); !errors.Is(err, client.ErrNoMailbox) {
		t.Errorf("no mailbox: %v", err)
	}
	ended := make(chan error, 1)
	defer cl.Session("nobody").Watch(0, func(_ *pb.WatchResponse, err error) { ended <- err })()
	if err := <-ended; !errors.Is(err, client.ErrNoAccount) {
		t.Errorf("watch of no account: %v", err)
	}
	c.HashesEqual(t)
}

// Hundreds of tests start one of these.
func TestSingleNodeStartsFast(t *testing.T) {
	start := time.Now()
	c := nodetest.Start(t, nodetest.Options{Nodes: 1})
	c.CreateAccount(t, "alice", "secret")
	u := login(t, c.Client(t), "alice")
	u.append("hello")
	if d := time.Since(start); d > 3*time.Second { // 0.2 s on a quiet machine
		t.Errorf("took %v", d)
	} else {
		t.Logf("took %v", d)
	}
}
