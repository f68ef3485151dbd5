package imapfront_test

import (
	"bufio"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/quorumail/quorumail/imapfront"
	"github.com/quorumail/quorumail/imapfront/wire"
	"github.com/quorumail/quorumail/node/nodetest"
)

// talk sends octets and returns all that the server says until it closes or is
// silent for a while.
func talk(t testing.TB, addr, send string) string {
	t.Helper()
	c, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = c.Close() }() // it has been read to its end
	go func() { _, _ = io.WriteString(c, send) }()
	_ = c.SetReadDeadline(time.Now().Add(time.Minute))
	got, _ := io.ReadAll(c) // the server closes, or the deadline shows in what is missing
	return string(got)
}

// Input that is no IMAP gets a clear answer and the connection's end.
func TestBadInputIsAnswered(t *testing.T) {
	addr, srv := front(t, nodetest.Start(t, nodetest.Options{Nodes: 1, Shards: 1}), func(cfg *imapfront.Config) {
		cfg.Limits = wire.Limits{Line: 1000, Append: 1000}
	})
	for name, c := range map[string]struct{ send, want string }{
		"TLS hello":         {"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", "* BYE"},
		"HTTP":              {"GET / HTTP/1.1\r\nHost: x\r\n\r\n" + strings.Repeat("Header: x\r\n", 20), "* BYE"},
		"garbage":           {strings.Repeat("\x00\xff\x01 \r\n", 50), "* BYE"},
		"endless line":      {strings.Repeat("x", 2<<20), "* BYE [TOOBIG]"},
		"guessing":          {strings.Repeat("a login x y\r\n", 20), "* BYE too many failed logins"},
		"unknown commands":  {strings.Repeat("a nonsense\r\n", 20), "a BAD unknown command"},
		"literal too large": {"a login {99999999}\r\nb logout\r\n", "a NO [TOOBIG]"},
		"after logout":      {"a logout\r\nb noop\r\n", "a OK"},
	} {
		if got := talk(t, addr, c.send); !strings.Contains(got, c.want) {
			t.Errorf("%s: %.300q, want %q", name, got, c.want)
		}
	}
	awaitConns(t, srv, 0)
}

func awaitConns(t testing.TB, srv *imapfront.Server, n int) {
	t.Helper()
	for deadline := time.Now().Add(20 * time.Second); srv.Conns() != n; runtime.Gosched() {
		if time.Now().After(deadline) {
			t.Fatalf("%d connections, want %d", srv.Conns(), n)
		}
	}
}

// Connections that are opened and abandoned leave nothing behind.
func TestAbandonedConnections(t *testing.T) {
	addr, srv := front(t, nodetest.Start(t, nodetest.Options{Nodes: 1, Shards: 1}), nil)
	before := runtime.NumGoroutine()
	for round := range 10 {
		var conns []net.Conn
		for i := range 100 {
			c, err := net.Dial("tcp", addr)
			if err != nil {
				t.Fatal(err)
			}
			if i%3 == 0 {
				_, _ = fmt.Fprintf(c, "a%d login x {5}\r\n", round) // and never the literal
			}
			conns = append(conns, c)
		}
		for _, c := range conns {
			_ = c.Close()
		}
	}
	awaitConns(t, srv, 0)
	for deadline := time.Now().Add(10 * time.Second); runtime.NumGoroutine() > before+20; runtime.Gosched() {
		if time.Now().After(deadline) {
			t.Fatalf("%d goroutines, before %d", runtime.NumGoroutine(), before)
		}
	}
}

func TestTooManyConnections(t *testing.T) {
	addr, srv := front(t, nodetest.Start(t, nodetest.Options{Nodes: 1, Shards: 1}), func(cfg *imapfront.Config) { cfg.MaxConns = 1 })
	c, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = c.Close() }() // it was only there
	if line, err := bufio.NewReader(c).ReadString('\n'); err != nil || !strings.HasPrefix(line, "* OK") {
		t.Fatalf("%q, %v", line, err)
	}
	awaitConns(t, srv, 1)
	if got := talk(t, addr, ""); !strings.HasPrefix(got, "* BYE [UNAVAILABLE]") {
		t.Errorf("%q", got)
	}
}

// RFC 9051, 6.2.1: STARTTLS; before it no password is taken nor asked for.
func TestStartTLS_RFC9051_6_2_1(t *testing.T) {
	cluster := nodetest.Start(t, nodetest.Options{Nodes: 1, Shards: 1})
	cluster.CreateAccount(t, "alice@example.org", "secret")
	cert := certificate(t)
	addr, _ := front(t, cluster, func(cfg *imapfront.Config) { cfg.TLS = &tls.Config{Certificates: []tls.Certificate{cert}} })
	c, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = c.Close() }() // it has been read
	r := bufio.NewReader(c)
	expect := func(r *bufio.Reader, want string) {
		t.Helper()
		for {
			line, err := r.ReadString('\n')
			if err != nil {
				t.Fatalf("want %q: %v", want, err)
			}
			if strings.Contains(line, want) {
				return
			}
		}
	}
	if greeting, err := r.ReadString('\n'); err != nil || !strings.Contains(greeting, "STARTTLS LOGINDISABLED") || strings.Contains(greeting, "AUTH=") {
		t.Fatalf("before TLS: %q, %v", greeting, err)
	}
	_, _ = io.WriteString(c, "a login alice@example.org secret\r\n")
	expect(r, "a NO [PRIVACYREQUIRED]")
	_, _ = io.WriteString(c, "a authenticate PLAIN\r\n")
	expect(r, "a NO [PRIVACYREQUIRED]")
	_, _ = io.WriteString(c, "b starttls\r\n")
	expect(r, "b OK")
	tc := tls.Client(c, &tls.Config{InsecureSkipVerify: true}) //nolint:gosec // the test's own certificate
	tr := bufio.NewReader(tc)
	_, _ = io.WriteString(tc, "c capability\r\n")
	if line, err := tr.ReadString('\n'); err != nil || strings.Contains(line, "STARTTLS") || !strings.Contains(line, "AUTH=PLAIN") {
		t.Errorf("over TLS: %q, %v", line, err)
	}
	_, _ = io.WriteString(tc, "d starttls\r\n")
	expect(tr, "d BAD")
	_, _ = io.WriteString(tc, "e login alice@example.org secret\r\n")
	expect(tr, "e OK")

	addr, _ = front(t, cluster, func(cfg *imapfront.Config) {
		cfg.TLS, cfg.Implicit = &tls.Config{Certificates: []tls.Certificate{cert}}, true
	})
	ic, err := tls.Dial("tcp", addr, &tls.Config{InsecureSkipVerify: true}) //nolint:gosec // the test's own certificate
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = ic.Close() }() // it has been read
	_, _ = io.WriteString(ic, "a starttls\r\nb login alice@example.org secret\r\n")
	ir := bufio.NewReader(ic)
	if greeting, err := ir.ReadString('\n'); err != nil || !strings.Contains(greeting, "AUTH=PLAIN") {
		t.Errorf("implicit TLS: %q, %v", greeting, err)
	}
	expect(ir, "a BAD")
	expect(ir, "b OK")
}

// RFC 9051, 6.2.1: what comes in one buffer with STARTTLS is taken for the beginning
// of the handshake: a client may begin it so, and a command that somebody has put
// there does not become one of the secured stream.
func TestSentAlongWithStartTLS_RFC9051_6_2_1(t *testing.T) {
	cert := certificate(t)
	addr, _ := front(t, nodetest.Start(t, nodetest.Options{Nodes: 1, Shards: 1}), func(cfg *imapfront.Config) {
		cfg.TLS = &tls.Config{Certificates: []tls.Certificate{cert}}
	})
	for along, ok := range map[string]bool{"": true, "b noop\r\n": false} {
		c, err := net.Dial("tcp", addr)
		if err != nil {
			t.Fatal(err)
		}
		if err := c.SetDeadline(time.Now().Add(time.Minute)); err != nil {
			t.Fatal(err)
		}
		first := &sentAlong{Conn: c, r: bufio.NewReader(c), before: "a starttls\r\n" + along}
		secured := tls.Client(first, &tls.Config{InsecureSkipVerify: true}) //nolint:gosec // the test's own certificate
		if err := secured.Handshake(); (err == nil) != ok {
			t.Errorf("with %q before the handshake: %v", along, err)
		}
		if ok {
			_, _ = io.WriteString(secured, "c capability\r\nd logout\r\n")
			got, err := io.ReadAll(secured)
			if !strings.HasPrefix(string(got), "* CAPABILITY ") || !strings.Contains(string(got), "d OK") {
				t.Errorf("%q, %v", got, err)
			}
		}
		_ = c.Close() // it has been read
	}
}

// sentAlong is a connection whose first octets are written in one with what comes
// before them; what is read begins after the second line: the greeting, and the
// answer to STARTTLS.
type sentAlong struct {
	net.Conn
	r      *bufio.Reader
	before string
	lines  int
}

func (s *sentAlong) Write(p []byte) (int, error) {
	_, err := s.Conn.Write(append([]byte(s.before), p...))
	s.before = ""
	return len(p), err
}

func (s *sentAlong) Read(p []byte) (int, error) {
	for ; s.lines < 2; s.lines++ {
		if _, err := s.r.ReadString('\n'); err != nil {
			return 0, err
		}
	}
	return s.r.Read(p)
}

// A client that takes nothing of what it has asked for ends its own connection, and
// holds no other up (RFC 9051, 5.3).
func TestClientThatTakesNothing_RFC9051_5_3(t *testing.T) {
	cluster := nodetest.Start(t, nodetest.Options{Nodes: 1, Shards: 1})
	cluster.CreateAccount(t, "alice", "secret")
	addr, srv := front(t, cluster, func(cfg *imapfront.Config) { cfg.WriteTimeout = 300 * time.Millisecond })
	mail := "Subject: large\r\n\r\n" + strings.Repeat("0123456789abcde\n", 1<<16)
	appended := fmt.Sprintf("a login alice secret\r\nb append INBOX {%d+}\r\n%s\r\nc logout\r\n", len(mail), mail)
	if got := talk(t, addr, appended); !strings.Contains(got, "b OK") {
		t.Fatalf("%.300q", got)
	}
	c, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = c.Close() }() // the server has given it up
	if _, err := io.WriteString(c, "a login alice secret\r\nb select INBOX\r\n"+strings.Repeat("c fetch 1 body.peek[]\r\n", 100)); err != nil {
		t.Fatal(err)
	}
	if got := talk(t, addr, "a login alice secret\r\nb logout\r\n"); !strings.Contains(got, "a OK") {
		t.Errorf("another client: %.300q", got)
	}
	awaitConns(t, srv, 0)
}
