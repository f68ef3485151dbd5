package lmtpfront

import (
	"errors"
	"fmt"
	"net/mail"
	"strings"
	"testing"

	"github.com/quorumail/quorumail/node/client"
	pb "github.com/quorumail/quorumail/proto/quorumail/v1"
)

const (
	alice = "alice@example.org"
	bob   = "bob@example.org"
)

func TestExtensions_RFC2033_5(t *testing.T) {
	s := newServer(Config{Hostname: "mx.example.org", MaxMessage: 1000}, newCluster().storage)
	c := dial(t, start(t, s))
	if got := c.expect(220); !strings.HasPrefix(got, "mx.example.org") {
		t.Errorf("greeting: %q", got)
	}
	c.do(500, "EHLO mta")
	got := c.do(250, "LHLO mta")
	for _, want := range []string{"PIPELINING", "8BITMIME", "ENHANCEDSTATUSCODES", "CHUNKING", "SMTPUTF8", "SIZE 1000"} {
		if !strings.Contains(got, want) {
			t.Errorf("%s is not offered: %q", want, got)
		}
	}
	if strings.Contains(got, "BINARYMIME") || strings.Contains(got, "STARTTLS") {
		t.Errorf("offered: %q", got)
	}
}

func TestDelivery_RFC2033_4_2(t *testing.T) {
	storage := newCluster(alice, bob)
	c := connect(t, start(t, newServer(Config{Hostname: "mx.example.org"}, storage.storage)))
	c.envelope("Alice@Example.org", "bob+lists@example.org")
	c.do(550, "RCPT TO:<nobody@example.org>")
	c.check("two recipients", c.data(2, mailText), "250", "250")
	raw := storage.inbox(t, bob)[0]
	m, err := mail.ReadMessage(strings.NewReader(raw))
	if err != nil {
		t.Fatal(err)
	}
	if !strings.HasSuffix(raw, mailText) || len(storage.inbox(t, alice)) != 1 {
		t.Errorf("%q", raw)
	}
	received := m.Header.Get("Received")
	for _, want := range []string{"from mta.example.org ([127.0.0.1])", "by mx.example.org with LMTP", "for <bob+lists@example.org>;"} {
		if !strings.Contains(received, want) {
			t.Errorf("no %q in %q", want, received)
		}
	}
	if m.Header.Get("Return-Path") != "<sender@example.net>" || m.Header.Get("Delivered-To") != "bob+lists@example.org" {
		t.Errorf("%v", m.Header)
	}
	if at := strings.LastIndexByte(received, ';'); at < 0 {
		t.Errorf("%q has no date", received)
	} else if _, err := mail.ParseDate(strings.TrimSpace(received[at+1:])); err != nil {
		t.Error(err)
	}
	stored := storage.accounts[alice].inbox[0]
	if stored.GetInternalDate() == 0 || len(stored.GetFlags()) != 0 || string(stored.GetEmail().GetEnvelope().GetSubject()) != "hello" {
		t.Errorf("%v", stored)
	}
	// The empty reverse path and the UTF-8 of RFC 6531.
	c.do(250, "MAIL FROM:<> SMTPUTF8 BODY=8BITMIME")
	c.do(250, "RCPT TO:<%s>", alice)
	c.check("notification", c.data(1, "Subject: gr\xc3\xbc\xc3\x9fe\r\n\r\n"), "250")
	if raw := storage.inbox(t, alice)[1]; !strings.HasPrefix(raw, "Return-Path: <>\r\n") || !strings.Contains(raw, "with UTF8LMTP\r\n") {
		t.Errorf("%q", raw)
	}
}

const mailText = "Message-ID: <1@x>\r\nSubject: hello\r\n\r\nbody\r\n"

// An MTA that pipelines sends all commands before it reads an answer (RFC 2920).
func TestPipelining_RFC2033_4_2(t *testing.T) {
	storage := newCluster(alice, bob)
	c := connect(t, start(t, newServer(Config{Hostname: "mx"}, storage.storage)))
	for range 3 {
		if err := c.PrintfLine("MAIL FROM:<a@b>\r\nRCPT TO:<%s>\r\nRCPT TO:<none@x>\r\nRCPT TO:<%s>\r\nDATA", alice, bob); err != nil {
			t.Fatal(err)
		}
		for _, code := range []int{250, 250, 550, 250, 354} {
			c.expect(code)
		}
		if err := c.PrintfLine("Subject: x\r\n\r\n..dot\r\n."); err != nil {
			t.Fatal(err)
		}
		c.check("answers", c.answers(2), "250", "250")
	}
	if got := storage.inbox(t, bob); len(got) != 3 || !strings.HasSuffix(got[2], "\r\n\r\n.dot\r\n") {
		t.Errorf("%q", got)
	}
}

func TestRepeatedDeliveryIsDoneOnce(t *testing.T) {
	storage := newCluster(alice, bob)
	addr := start(t, newServer(Config{Hostname: "mx"}, storage.storage))
	again := start(t, newServer(Config{Hostname: "other"}, storage.storage))
	send := func(addr, text string, to ...string) {
		c := connect(t, addr)
		c.envelope(to...)
		for _, a := range c.data(len(to), text) {
			if !strings.HasPrefix(a, "250") {
				t.Errorf("%q", a)
			}
		}
	}
	expect := func(what string, a, b int) {
		t.Helper()
		if na, nb := len(storage.inbox(t, alice)), len(storage.inbox(t, bob)); na != a || nb != b {
			t.Errorf("%s: alice has %d messages, bob %d, want %d and %d", what, na, nb, a, b)
		}
	}
	send(addr, mailText, alice, bob)
	send(again, mailText, alice, bob)
	expect("again, by another frontend", 1, 1)
	send(addr, mailText+".\r\n", alice)
	expect("other octets", 2, 1)
	send(addr, mailText, "alice+x@example.org")
	expect("another address", 3, 1)
	send(addr, mailText, alice, alice)
	expect("named twice", 3, 1)
	for range 2 {
		send(addr, "Subject: disk is full\r\n\r\n", bob)
	}
	expect("without a Message-ID", 3, 3)
}

// Fronts find the account by the exact name first (RFC 5233 for the rest).
func TestAddressesFindAccounts(t *testing.T) {
	storage := newCluster(alice, "bob", "carol+x@example.org", "carol@example.org", "dave@example.org")
	s := newServer(Config{Hostname: "mx.example.org"}, storage.storage)
	defer s.Close()
	for address, want := range map[string]string{
		"alice@example.org":         alice,
		"ALICE@EXAMPLE.ORG":         alice,
		"alice+a+b@example.org":     alice,
		"alice+a/b@example.org":     alice, // the detail need not be a name
		"alice@example.com":         "550",
		"carol+x@example.org":       "carol+x@example.org",
		"carol+y@example.org":       "carol@example.org",
		"+dave@example.org":         "550",
		"bob@mx.example.org":        "bob",
		"bob+x@MX.example.org":      "bob",
		"bob@localhost":             "bob",
		"bob@elsewhere":             "550",
		"a b@example.org":           "553",
		"\xff@example.org":          "553",
		strings.Repeat("a", 300):    "553",
		"nobody+alice@example.org":  "550",
		"alice@example.org@example": "550",
	} {
		got, refused := s.find(t.Context(), address)
		if refused != nil {
			got = fmt.Sprint(refused.Code)
		}
		if got != want {
			t.Errorf("%q: %s, want %s", address, got, want)
		}
	}
}

func TestAnswers_RFC5321_4_2(t *testing.T) {
	storage := newCluster(alice)
	c := connect(t, start(t, newServer(Config{Hostname: "mx", MaxMessage: 1 << 20}, storage.storage)))
	for _, r := range []struct {
		name   string
		down   error
		refuse pb.Code
		text   string
		want   string
	}{
		{"unavailable", fmt.Errorf("no leader: %w", client.ErrUnavailable), 0, mailText, "451 4.3.0"},
		{"unavailable, staged", fmt.Errorf("no leader: %w", client.ErrUnavailable), 0, mailText + noise(600_000), "451 4.3.0"},
		// A front that is not let in must not bounce mail.
		{"not let in", client.ErrInvalid, 0, mailText, "451 4.3.0"},
		{"anything else", errors.New("broken"), 0, mailText, "451 4.3.0"},
		{"account gone", client.ErrNoAccount, 0, mailText, "550 5.1.1"},
		{"account gone, by result", nil, pb.Code_CODE_NO_ACCOUNT, mailText, "550 5.1.1"},
		{"over quota", nil, pb.Code_CODE_OVER_QUOTA, mailText, "552 5.2.2"},
		{"no UIDs left", nil, pb.Code_CODE_UIDS_EXHAUSTED, mailText, "452 4.2.2"},
		{"upload expired", nil, pb.Code_CODE_NO_BODY, mailText, "451 4.3.0"},
		{"refused for good", nil, pb.Code_CODE_INVALID, mailText, "554 5.3.0"},
		{"too big", nil, 0, mailText + filler(2<<20), "552 5.3.4"},
		{"fine after all that", nil, 0, mailText, "250 2.0.0"},
	} {
		c.envelope(alice)
		storage.set(func() { storage.down, storage.refuse = r.down, r.refuse })
		if got := c.data(1, r.text)[0]; !strings.HasPrefix(got, r.want) {
			t.Errorf("%s: %q, want %s", r.name, got, r.want)
		}
		storage.set(func() { storage.down, storage.refuse = nil, 0 })
	}
	c.do(552, "MAIL FROM:<a@b> SIZE=2000000")
	c.do(553, "MAIL FROM:<%s@b>", strings.Repeat("x", 600))
	c.do(250, "MAIL FROM:<a@b>")
	storage.set(func() { storage.down = client.ErrUnavailable })
	if got := c.do(451, "RCPT TO:<%s>", alice); !strings.HasPrefix(got, "4.3.0") {
		t.Errorf("lookup: %q", got)
	}
	if got := storage.inbox(t, alice); len(got) != 1 {
		t.Errorf("%d messages", len(got))
	}
}

// One recipient's trouble is not another's.
func TestEachRecipientIsAnsweredAlone_RFC2033_4_2(t *testing.T) {
	storage := newCluster(alice, bob)
	c := connect(t, start(t, newServer(Config{Hostname: "mx"}, storage.storage)))
	c.envelope(alice, bob)
	storage.set(func() { delete(storage.accounts, alice) })
	c.check("answers", c.data(2, mailText), "550", "250")
}

func TestTraceFieldsCannotBeBrokenOutOf(t *testing.T) {
	if got := clean("a\r\nX-Evil: b\x00"); got != "aX-Evil: b" {
		t.Errorf("%q", got)
	}
	for in, want := range map[string]string{
		"a@b": "a@b", "a b@c": `"a b"@c`, `a"\@c`: `"a\"\\"@c`, "a@b@c": `"a@b"@c`, "": "",
	} {
		if got := path(in); got != want {
			t.Errorf("%q: %s, want %s", in, got, want)
		}
	}
	if got := domain("x (y) <z>" + strings.Repeat("ü", 200)); len(got) > 255 || !strings.HasPrefix(got, "xyz") {
		t.Errorf("%q", got)
	}
}
