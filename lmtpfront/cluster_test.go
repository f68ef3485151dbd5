package lmtpfront

import (
	"context"
	"fmt"
	"testing"

	"github.com/quorumail/quorumail/node/nodetest"
	pb "github.com/quorumail/quorumail/proto/quorumail/v1"
)

// A leader that is killed in the middle of it all costs time, never a message and
// never a second copy.
func TestDeliveryToRealStorage(t *testing.T) {
	storage := nodetest.Start(t, nodetest.Options{Nodes: 3, Shards: 1})
	storage.CreateAccount(t, alice, "secret")
	storage.CreateAccount(t, bob, "secret")
	cl := storage.Client(t)
	s, err := New(Config{Client: cl, Hostname: "mx.example.org"})
	if err != nil {
		t.Fatal(err)
	}
	c := connect(t, start(t, s))
	inbox := func(account string) *pb.MailboxInfo {
		t.Helper()
		l, err := cl.Session(account).ListMailboxes(context.Background())
		if err != nil {
			t.Fatal(err)
		}
		return l.GetMailboxes()[0]
	}
	texts := []string{mailText, mailText + filler(3<<20)}
	for _, text := range texts {
		c.envelope(alice, "bob+lists@example.org")
		c.do(550, "RCPT TO:<nobody@example.org>")
		c.check(fmt.Sprintf("%d octets", len(text)), c.data(2, text), "250", "250")
	}
	storage.KillLeader(t, alice)
	for _, text := range texts {
		c.envelope(alice)
		c.check("again", c.data(1, text), "250")
	}
	c.envelope(bob)
	c.check("new", c.data(1, "Message-ID: <2@x>\r\n\r\n"), "250")
	if a, b := inbox(alice).GetExists(), inbox(bob).GetExists(); a != 2 || b != 3 {
		t.Errorf("alice has %d messages, want 2; bob has %d, want 3", a, b)
	}
}

func TestNewWantsAClient(t *testing.T) {
	if _, err := New(Config{}); err == nil {
		t.Error("no error")
	}
}

// A mailbox over quota bounces mail (RFC 3463, 3.3, X.2.2), for its own recipient
// only; once there is room the same message comes in.
func TestOverQuota_RFC2033_4_2(t *testing.T) {
	storage := nodetest.Start(t, nodetest.Options{Nodes: 1, Shards: 1})
	storage.CreateAccount(t, alice, "secret")
	storage.CreateAccount(t, bob, "secret")
	cl := storage.Client(t)
	s, err := New(Config{Client: cl, Hostname: "mx.example.org"})
	if err != nil {
		t.Fatal(err)
	}
	c := connect(t, start(t, s))
	limit := func(l *pb.QuotaLimits) {
		t.Helper()
		res, err := cl.Session(alice).Propose(context.Background(), &pb.Entry{Op: &pb.Entry_SetQuota{SetQuota: &pb.SetQuotaOp{Limits: l}}})
		if err != nil || res.GetCode() != pb.Code_CODE_OK {
			t.Fatal(res, err)
		}
	}
	n := uint64(700)
	limit(&pb.QuotaLimits{Storage: &n})
	for _, text := range []string{mailText + noise(800_000), mailText} { // staged, and in the entry
		c.envelope(alice, bob)
		want := []string{"552 5.2.2", "250"}
		if len(text) < 1000 {
			want[0] = "250"
		}
		c.check(fmt.Sprintf("%d octets", len(text)), c.data(2, text), want...)
	}
	limit(&pb.QuotaLimits{Messages: new(uint64)})
	c.envelope(bob, alice)
	other := "Message-ID: <2@x>\r\n\r\n"
	c.check("no room", c.data(2, other), "250", "552 5.2.2")
	limit(nil)
	c.envelope(alice, bob)
	c.check("room again", c.data(2, other), "250", "250")
	for _, account := range []string{alice, bob} {
		a, err := cl.Session(account).GetAccount(context.Background())
		if err != nil {
			t.Fatal(err)
		}
		if want := map[string]uint64{alice: 2, bob: 3}[account]; a.GetQuota().GetMessages() != want {
			t.Errorf("%s: %v, want %d messages", account, a.GetQuota(), want)
		}
	}
}
