package lmtpfront

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/textproto"
	"strings"
	"testing"

	"github.com/quorumail/quorumail/node/client"
	"github.com/quorumail/quorumail/node/nodetest"
	pb "github.com/quorumail/quorumail/proto/quorumail/v1"
)

// serve starts a server on a loopback port and returns a connection to it.
func serve(t *testing.T, s *Server) *textproto.Conn {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() { done <- s.Serve(l) }()
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	c, err := textproto.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	if _, _, err := c.ReadResponse(220); err != nil {
		t.Fatal(err)
	}
	command(t, c, 250, "LHLO mta.example.org")
	return c
}

func command(t *testing.T, c *textproto.Conn, code int, format string, args ...any) string {
	t.Helper()
	if err := c.PrintfLine(format, args...); err != nil {
		t.Fatal(err)
	}
	_, msg, err := c.ReadResponse(code)
	if err != nil {
		t.Fatalf("%.60s: %v, want %d", fmt.Sprintf(format, args...), err, code)
	}
	return msg
}

// data sends a message and returns the answers, one a recipient.
func data(t *testing.T, c *textproto.Conn, recipients int, text string) []string {
	t.Helper()
	command(t, c, 354, "DATA")
	w := c.DotWriter()
	if _, err := w.Write([]byte(text)); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	var answers []string
	for range recipients {
		line, err := c.ReadLine()
		if err != nil {
			t.Fatal(err)
		}
		answers = append(answers, line)
	}
	return answers
}

const mail = "Message-ID: <1@x>\r\nSubject: hello\r\n\r\nbody\r\n"

func TestDelivery_RFC2033_4_2(t *testing.T) {
	cluster := nodetest.Start(t, nodetest.Options{Nodes: 1, Shards: 2})
	cluster.CreateAccount(t, "alice@example.org", "secret")
	cluster.CreateAccount(t, "bob@example.org", "secret")
	cl := cluster.Client(t)
	s, err := New(Config{Client: cl, Hostname: "mx.example.org", MaxMessage: 3 << 20})
	if err != nil {
		t.Fatal(err)
	}
	c := serve(t, s)
	send := func(text string, to ...string) []string {
		command(t, c, 250, "MAIL FROM:<sender@example.net>")
		for _, r := range to {
			command(t, c, 250, "RCPT TO:<%s>", r)
		}
		return data(t, c, len(to), text)
	}
	inbox := func(account string) *pb.MailboxInfo {
		t.Helper()
		l, err := cl.Session(account).ListMailboxes(context.Background())
		if err != nil {
			t.Fatal(err)
		}
		return l.GetMailboxes()[0]
	}
	expect := func(what string, answers []string, code string) {
		t.Helper()
		for _, a := range answers {
			if !strings.HasPrefix(a, code) {
				t.Errorf("%s: %q, want %s", what, a, code)
			}
		}
	}
	command(t, c, 250, "MAIL FROM:<sender@example.net>")
	command(t, c, 550, "RCPT TO:<nobody@example.org>")
	command(t, c, 250, "RSET")

	expect("two recipients", send(mail, "Alice@Example.org", "bob+lists@example.org"), "250")
	if a, b := inbox("alice@example.org").GetExists(), inbox("bob@example.org").GetExists(); a != 1 || b != 1 {
		t.Errorf("alice has %d messages, bob %d", a, b)
	}
	// The MTA has lost the answer for alice.
	expect("again", send(mail, "Alice@Example.org"), "250")
	if n := inbox("alice@example.org").GetExists(); n != 1 {
		t.Errorf("after the same delivery again alice has %d messages", n)
	}
	for range 2 {
		expect("without Message-ID", send("Subject: x\r\n\r\nsame\r\n", "alice@example.org"), "250")
	}
	if n := inbox("alice@example.org").GetExists(); n != 3 {
		t.Errorf("two equal messages without a Message-ID: alice has %d messages, want 3", n)
	}
	expect("large", send(mail+strings.Repeat("0123456789abcdef\r\n", 100_000), "alice@example.org"), "250")
	expect("too large", send(mail+strings.Repeat("0123456789abcdef\r\n", 200_000), "alice@example.org"), "552")
	if n := inbox("alice@example.org").GetExists(); n != 4 {
		t.Errorf("alice has %d messages, want 4", n)
	}
}

// broken is storage that cannot be reached.
type broken struct {
	err error
}

func (b *broken) GetAccount(context.Context) (*pb.GetAccountResponse, error) {
	return &pb.GetAccountResponse{}, nil
}

func (b *broken) PutChunk(context.Context, []byte, *pb.BodyChunk) error { return b.err }

func (b *broken) Propose(context.Context, *pb.Entry) (*pb.Result, error) { return nil, b.err }

// What may succeed later is answered 4xx, so that the MTA keeps the message.
func TestUnavailableStorageIsTemporary_RFC5321_4_2(t *testing.T) {
	b := &broken{err: fmt.Errorf("no leader: %w", client.ErrUnavailable)}
	c := serve(t, newServer(Config{Hostname: "mx"}, func(string) Storage { return b }))
	for _, err := range []error{b.err, errors.New("something else")} {
		b.err = err
		command(t, c, 250, "MAIL FROM:<>")
		command(t, c, 250, "RCPT TO:<a@b>")
		if got := data(t, c, 1, mail)[0]; !strings.HasPrefix(got, "451") {
			t.Errorf("%v: %q", err, got)
		}
	}
}

func TestTraceFieldsCannotBeBrokenOutOf(t *testing.T) {
	if got := clean("a\r\nX-Evil: b\x00"); got != "aX-Evil: b" {
		t.Errorf("%q", got)
	}
}
