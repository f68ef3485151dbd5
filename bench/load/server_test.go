package load

import (
	"bytes"
	"context"
	"io"
	"log"
	"net"
	"testing"
	"time"

	"github.com/emersion/go-imap/v2"
	"github.com/emersion/go-imap/v2/imapserver"
	"github.com/emersion/go-imap/v2/imapserver/imapmemserver"
	"github.com/emersion/go-smtp"
)

// tiny is a scale for tests: each scenario does something, and little.
var tiny = Scale{
	Name: "tiny", Rounds: 2, Clients: 3, Duration: time.Minute, MaxOps: 30,
	FetchFlags: 120, FetchEnvelope: 20, Fetches: 2, Bodies: 8, HugeBodies: 1, HugeSize: 1 << 20,
	Large: 120, Selects: 2, Few: 100, Resyncs: 1, Deliveries: 3,
	Idle: 4, IdleMessages: 10, Settle: time.Millisecond,
}

// memoryServer is a server that keeps mail in memory, with two accounts, and an
// LMTP server in front of the first.
func memoryServer(t *testing.T) *Target {
	t.Helper()
	accounts := []Account{{"a@example.org", "x"}, {"b@example.org", "y"}}
	store := imapmemserver.New()
	var first *imapmemserver.User
	for _, a := range accounts {
		u := imapmemserver.NewUser(a.Name, a.Password)
		if err := u.Create("INBOX", nil); err != nil {
			t.Fatal(err)
		}
		store.AddUser(u)
		if first == nil {
			first = u
		}
	}
	server := imapserver.New(&imapserver.Options{
		NewSession: func(*imapserver.Conn) (imapserver.Session, *imapserver.GreetingData, error) {
			return pollingSession{store.NewSession()}, nil, nil
		},
		Caps:         imap.CapSet{imap.CapIMAP4rev1: {}, imap.CapUIDPlus: {}, imap.CapLiteralPlus: {}},
		InsecureAuth: true,
		Logger:       log.New(io.Discard, "", 0),
	})
	mta := smtp.NewServer(mtaBackend{first})
	mta.LMTP = true
	target := &Target{Name: "Memory", Version: "Memory 1", Accounts: accounts}
	target.IMAP = []Endpoint{{Addr: serve(t, server.Serve, server.Close)}}
	target.LMTP = serve(t, mta.Serve, mta.Close)
	return target
}

// pollingSession looks for news while it idles: the library's own Idle misses
// what comes between its consent and its start.
type pollingSession struct{ imapserver.Session }

func (s pollingSession) Idle(w *imapserver.UpdateWriter, stop <-chan struct{}) error {
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for {
		select {
		case <-stop:
			return nil
		case <-tick.C:
			if err := s.Poll(w, true); err != nil {
				return err
			}
		}
	}
}

// serve runs a server on a free port until the test ends.
func serve(t *testing.T, serve func(net.Listener) error, stop func() error) string {
	t.Helper()
	lis, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() { defer close(done); serve(lis) }()
	t.Cleanup(func() { lis.Close(); stop(); <-done })
	return lis.Addr().String()
}

// mtaBackend delivers to one user, to whomever the mail is.
type mtaBackend struct{ user *imapmemserver.User }

func (b mtaBackend) NewSession(*smtp.Conn) (smtp.Session, error) { return mtaSession(b), nil }

type mtaSession struct{ user *imapmemserver.User }

func (mtaSession) Reset()                               {}
func (mtaSession) Logout() error                        { return nil }
func (mtaSession) Mail(string, *smtp.MailOptions) error { return nil }
func (mtaSession) Rcpt(string, *smtp.RcptOptions) error { return nil }
func (s mtaSession) Data(r io.Reader) error {
	body, err := io.ReadAll(r)
	if err != nil {
		return err
	}
	_, err = s.user.Append("INBOX", literal{bytes.NewReader(body), int64(len(body))}, &imap.AppendOptions{})
	return err
}

type literal struct {
	io.Reader
	size int64
}

func (l literal) Size() int64 { return l.size }

// env is an Env of a target for tests of parts.
func env(t *Target) *Env { return &Env{Target: t, Scale: tiny, Progress: io.Discard} }

func contextOf(t *testing.T) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	t.Cleanup(cancel)
	return ctx
}
