package imapfront_test

import (
	"bufio"
	"crypto/tls"
	"encoding/base64"
	"fmt"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/xdg-go/scram"

	"github.com/quorumail/quorumail/imapfront"
	"github.com/quorumail/quorumail/node/nodetest"
)

func withScram(cfg *imapfront.Config) { cfg.Scram = true }

// sasl is a connection that authenticates.
type sasl struct {
	t    *testing.T
	conn net.Conn
	r    *bufio.Reader
	tag  int
}

func newSASL(t *testing.T, conn net.Conn) *sasl {
	t.Helper()
	t.Cleanup(func() { _ = conn.Close() }) // it has been read
	if err := conn.SetDeadline(time.Now().Add(30 * time.Second)); err != nil {
		t.Fatal(err)
	}
	s := &sasl{t: t, conn: conn, r: bufio.NewReader(conn)}
	s.line()
	return s
}

func (s *sasl) send(line string) {
	s.t.Helper()
	if _, err := io.WriteString(s.conn, line+"\r\n"); err != nil {
		s.t.Fatal(err)
	}
}

func (s *sasl) line() string {
	s.t.Helper()
	line, err := s.r.ReadString('\n')
	if err != nil {
		s.t.Fatal(err)
	}
	return strings.TrimRight(line, "\r\n")
}

// challenge returns the server's challenge, or its answer if it sends none.
func (s *sasl) challenge() (text, answer string) {
	s.t.Helper()
	line := s.line()
	rest, ok := strings.CutPrefix(line, "+ ")
	if !ok {
		_, answer, _ = strings.Cut(line, " ")
		return "", answer
	}
	raw, err := base64.StdEncoding.DecodeString(rest)
	if err != nil {
		s.t.Fatalf("%s: %v", line, err)
	}
	return string(raw), ""
}

// run authenticates, with an initial response or without, and returns the answer.
// The client checks that the server knows the password's keys, too.
func (s *sasl) run(mechanism string, conv *scram.ClientConversation, initial bool) (answer, first string) {
	s.t.Helper()
	msg, err := conv.Step("")
	if err != nil {
		s.t.Fatal(err)
	}
	s.tag++
	coded := base64.StdEncoding.EncodeToString([]byte(msg))
	if initial {
		s.send(fmt.Sprintf("t%d AUTHENTICATE %s %s", s.tag, mechanism, coded))
	} else {
		s.send(fmt.Sprintf("t%d AUTHENTICATE %s", s.tag, mechanism))
		if text, answer := s.challenge(); text != "" || answer != "" {
			return answer, ""
		}
		s.send(coded)
	}
	for {
		text, answer := s.challenge()
		if answer != "" {
			if strings.HasPrefix(answer, "OK") != conv.Valid() {
				s.t.Errorf("%s, and the client takes the server to be proved: %t", answer, conv.Valid())
			}
			return answer, first
		}
		if first == "" {
			first = text
		}
		if msg, err = conv.Step(text); err != nil {
			s.t.Fatalf("the client does not take %q: %v", text, err)
		}
		s.send(base64.StdEncoding.EncodeToString([]byte(msg)))
	}
}

func scramClient(t *testing.T, user, password, identity string) *scram.Client {
	t.Helper()
	c, err := scram.SHA256.NewClient(user, password, identity)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// A client of another implementation logs in by SCRAM-SHA-256, and by it only who
// knows the password, and as himself only.
func TestScram_RFC7677(t *testing.T) {
	cluster := nodetest.Start(t, nodetest.Options{Nodes: 1, Shards: 1})
	cluster.CreateAccount(t, "alice@example.org", "secret")
	addr, _ := front(t, cluster, withScram)
	dial := func() *sasl {
		conn, err := net.Dial("tcp", addr)
		if err != nil {
			t.Fatal(err)
		}
		return newSASL(t, conn)
	}
	for _, c := range []struct{ user, password, identity, want string }{
		{"alice@example.org", "secret", "", "OK [CAPABILITY "},
		{"Alice@Example.org", "secret", "alice@example.org", "OK [CAPABILITY "},
		{"alice@example.org", "wrong", "", "NO [AUTHENTICATIONFAILED] "},
		{"alice@example.org", "secret", "bob@example.org", "NO [AUTHORIZATIONFAILED] "},
		{"nobody@example.org", "secret", "", "NO [AUTHENTICATIONFAILED] "},
		{"no,body=x", "secret", "", "NO [AUTHENTICATIONFAILED] "},
		{"a/b", "secret", "", "NO [AUTHENTICATIONFAILED] "},
	} {
		for _, initial := range []bool{true, false} {
			s := dial()
			answer, _ := s.run("SCRAM-SHA-256", scramClient(t, c.user, c.password, c.identity).NewConversation(), initial)
			if !strings.HasPrefix(answer, c.want) {
				t.Errorf("%+v, initial %t: %s", c, initial, answer)
			}
			s.send("n NOOP")
			if line := s.line(); !strings.HasPrefix(line, "n OK") {
				t.Errorf("%+v: then NOOP: %s", c, line)
			}
		}
	}
	s := dial()
	s.send("c CAPABILITY")
	if line := s.line(); !strings.Contains(line, " AUTH=PLAIN AUTH=SCRAM-SHA-256") || strings.Contains(line, "PLUS") {
		t.Errorf("without TLS: %s", line)
	}
	s.line()
	s.send("p AUTHENTICATE SCRAM-SHA-256-PLUS")
	if line := s.line(); !strings.HasPrefix(line, "p NO ") {
		t.Errorf("without TLS: %s", line)
	}
}

// Whether there is an account is not told: one that there is not has the same salt
// each time, also on another frontend, and another than other accounts.
func TestScramOfNoAccount_RFC5802(t *testing.T) {
	cluster := nodetest.Start(t, nodetest.Options{Nodes: 1, Shards: 1})
	cluster.CreateAccount(t, "alice@example.org", "secret")
	salts := make(map[string]string)
	owners := make(map[string]string)
	for range 2 {
		addr, _ := front(t, cluster, withScram)
		for _, user := range []string{"nobody@example.org", "Nobody@example.org", "somebody@example.org", "alice@example.org", "a/b"} {
			conn, err := net.Dial("tcp", addr)
			if err != nil {
				t.Fatal(err)
			}
			answer, first := newSASL(t, conn).run("SCRAM-SHA-256", scramClient(t, user, "guess", "").NewConversation(), true)
			if answer != "NO [AUTHENTICATIONFAILED] wrong name or password" {
				t.Errorf("%s: %s", user, answer)
			}
			parts := strings.SplitN(first, ",", 3)
			salt, iterations := parts[1], parts[2]
			name := strings.ToLower(user)
			if old, ok := salts[name]; ok && old != salt {
				t.Errorf("%s: salt %s, then %s", user, old, salt)
			}
			if other, ok := owners[salt]; ok && other != name {
				t.Errorf("%s and %s have the same salt", user, other)
			}
			if raw, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(salt, "s=")); err != nil || len(raw) != 16 {
				t.Errorf("%s: salt %s", user, salt)
			}
			if name != "alice@example.org" && iterations != "i=600000" {
				t.Errorf("%s: %s", user, iterations)
			}
			salts[name], owners[salt] = salt, name
		}
	}
}

// SCRAM-SHA-256-PLUS is offered over TLS and bound to the connection (RFC 9266), and
// leaving it out of what is offered is noticed (RFC 5802, 6).
func TestScramPlus_RFC9266(t *testing.T) {
	for _, implicit := range []bool{true, false} {
		addr, user := secured(t, func(cfg *imapfront.Config) { cfg.Implicit, cfg.Scram = implicit, true })
		dial := func(max uint16) (*sasl, scram.ChannelBinding) {
			cfg := &tls.Config{InsecureSkipVerify: true, MaxVersion: max} //nolint:gosec // the test's own certificate
			conn, err := net.Dial("tcp", addr)
			if err != nil {
				t.Fatal(err)
			}
			if !implicit {
				plain := newSASL(t, conn)
				plain.send("s STARTTLS")
				plain.line()
			}
			tc := tls.Client(conn, cfg)
			if err := tc.Handshake(); err != nil {
				t.Fatal(err)
			}
			s := &sasl{t: t, conn: tc, r: bufio.NewReader(tc)}
			if implicit {
				s = newSASL(t, tc)
			}
			s.send("c CAPABILITY")
			if line := s.line(); !strings.Contains(line, " AUTH=SCRAM-SHA-256 AUTH=SCRAM-SHA-256-PLUS") {
				t.Errorf("over TLS: %s", line)
			}
			s.line()
			state := tc.ConnectionState()
			bound, err := scram.NewTLSExporterBinding(&state)
			if err != nil {
				t.Fatal(err)
			}
			return s, bound
		}
		for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
			s, bound := dial(version)
			if answer, _ := s.run("SCRAM-SHA-256-PLUS", scramClient(t, user, "secret", "").NewConversationWithChannelBinding(bound), true); !strings.HasPrefix(answer, "OK") {
				t.Errorf("bound, TLS %x: %s", version, answer)
			}
		}
		s, _ := dial(0)
		_, elsewhere := dial(0)
		for mechanism, conv := range map[string]*scram.ClientConversation{
			"SCRAM-SHA-256-PLUS": scramClient(t, user, "secret", "").NewConversationWithChannelBinding(elsewhere),
			"SCRAM-SHA-256":      scramClient(t, user, "secret", "").NewConversationAdvertisingChannelBinding(),
		} {
			if answer, _ := s.run(mechanism, conv, true); !strings.HasPrefix(answer, "NO [AUTHENTICATIONFAILED]") {
				t.Errorf("%s with something between: %s", mechanism, answer)
			}
		}
		if answer, _ := s.run("SCRAM-SHA-256", scramClient(t, user, "secret", "").NewConversation(), false); !strings.HasPrefix(answer, "OK") {
			t.Errorf("not bound: %s", answer)
		}
	}
}

// What is no message of SCRAM ends the exchange, and so does a client that goes back.
func TestScramMalformed_RFC5802_7(t *testing.T) {
	cluster := nodetest.Start(t, nodetest.Options{Nodes: 1, Shards: 1})
	cluster.CreateAccount(t, "alice@example.org", "secret")
	addr, _ := front(t, cluster, withScram)
	for _, script := range [][]string{
		{"", "NO"}, {"n", "NO"}, {"n,,", "NO"}, {"n,,n=alice@example.org", "NO"}, {"n,,n=,r=x", "c=biws,r=x,p=AAAA", "NO"}, {"x,,n=a,r=b", "NO"},
		{"n,,m=ext,n=a,r=b", "NO"}, {"n,,n=a=2X,r=b", "NO"}, {"p=tls-exporter,,n=alice@example.org,r=x", "NO"},
		{"n,,n=\xff\xfe,r=x", "c=biws,r=x,p=AAAA", "NO"},
		{"n,,n=alice@example.org,r=x", "", "NO"}, {"n,,n=alice@example.org,r=x", "c=biws,r=x,p=AAAA", "NO"},
		{"n,,n=alice@example.org,r=x", "c=biws", "NO"}, {"n,,n=alice@example.org,r=x", strings.Repeat("c=", 2000), "NO"},
		{"n,,n=alice@example.org,r=x", "*", "BAD"}, {"n,,n=" + strings.Repeat("a", 5000) + ",r=x", "*", "BAD"},
	} {
		conn, err := net.Dial("tcp", addr)
		if err != nil {
			t.Fatal(err)
		}
		s := newSASL(t, conn)
		s.send("t AUTHENTICATE SCRAM-SHA-256")
		answer := ""
		for _, msg := range script[:len(script)-1] {
			if _, answer = s.challenge(); answer != "" {
				break
			}
			if msg != "*" {
				msg = base64.StdEncoding.EncodeToString([]byte(msg))
			}
			s.send(msg)
		}
		if answer == "" {
			_, answer = s.challenge()
		}
		if want := script[len(script)-1]; !strings.HasPrefix(answer, want+" ") {
			t.Errorf("%.60q: %q, want %s", script, answer, want)
		}
		s.send("n NOOP")
		if line := s.line(); !strings.HasPrefix(line, "n OK") {
			t.Errorf("%.60q: then NOOP: %s", script, line)
		}
	}
}
