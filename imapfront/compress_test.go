package imapfront_test

import (
	"bytes"
	"compress/flate"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"slices"
	"strings"
	"testing"

	"github.com/quorumail/quorumail/imapfront"
	"github.com/quorumail/quorumail/imapfront/transcript"
	"github.com/quorumail/quorumail/imapfront/wire"
	"github.com/quorumail/quorumail/node/nodetest"
)

// Every transcript through COMPRESS: nothing that the client is told differs.
func TestTranscriptsCompressed_RFC4978_3(t *testing.T) {
	c := nodetest.Start(t, nodetest.Options{Nodes: 1, Shards: 2})
	c.CreateAccount(t, admin, "secret")
	addr, _ := front(t, c, nil)
	all := scripts(t)
	for n, name := range names(all) {
		s := all[name]
		if slices.ContainsFunc(s.Steps, func(s transcript.Step) bool { return strings.Contains(strings.ToLower(s.Verb+s.Text), "compress") }) {
			continue
		}
		t.Run(name, func(t *testing.T) {
			user := fmt.Sprintf("user%d@example.org", n)
			c.CreateAccount(t, user, "secret")
			transcript.Run(t, s, transcript.Server{User: user, Password: "secret", Another: another(t, c, user), Compress: true, Dial: func() (net.Conn, error) { return net.Dial("tcp", addr) }})
		})
	}
}

// RFC 4978, 3: compressed octets are what TLS encrypts, not the reverse.
func TestCompressBeneathTLS_RFC4978_3(t *testing.T) {
	c := nodetest.Start(t, nodetest.Options{Nodes: 1, Shards: 1})
	cert := certificate(t)
	addr, _ := front(t, c, func(cfg *imapfront.Config) {
		cfg.TLS, cfg.Implicit = &tls.Config{Certificates: []tls.Certificate{cert}}, true
	})
	for _, name := range []string{"append-multi", "idle", "qresync-vanished-live"} {
		user := name + "@example.org"
		c.CreateAccount(t, user, "secret")
		transcript.Run(t, scripts(t)[name], transcript.Server{User: user, Password: "secret", Another: another(t, c, user), Compress: true, Dial: func() (net.Conn, error) {
			return tls.Dial("tcp", addr, &tls.Config{InsecureSkipVerify: true}) //nolint:gosec // the test's own certificate
		}})
	}
}

// compressActive ends COMPRESS's answer, after which all is compressed.
const compressActive = "DEFLATE active\r\n"

// inflated returns what a server has said, of which all after COMPRESS's answer is
// compressed.
func inflated(t testing.TB, said string) string {
	t.Helper()
	head, rest, found := strings.Cut(said, compressActive)
	if !found {
		t.Fatalf("no COMPRESS: %.500q", said)
	}
	// The connection ends where it ends.
	text, _ := io.ReadAll(flate.NewReader(strings.NewReader(rest)))
	return head + compressActive + string(text)
}

func deflated(t testing.TB, text string) string {
	t.Helper()
	var out bytes.Buffer
	w, err := flate.NewWriter(&out, flate.BestCompression)
	if err != nil {
		t.Fatal(err)
	}
	_, _ = io.WriteString(w, text) // into memory
	_ = w.Flush()
	return out.String()
}

// compressedTalk logs in, has all compressed, and then sends octets.
func compressedTalk(t testing.TB, addr, send string) string {
	t.Helper()
	c, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = c.Close() }() // it has been read to its end
	_, _ = io.WriteString(c, "a login alice@example.org secret\r\nb compress deflate\r\n")
	said := readUntil(t, c, compressActive)
	go func() { _, _ = io.WriteString(c, send) }()
	rest, _ := io.ReadAll(c) // the server closes
	return inflated(t, said+string(rest))
}

// readUntil reads no octet further than what is said until it ends in end.
func readUntil(t testing.TB, r io.Reader, end string) string {
	t.Helper()
	var said []byte
	for buf := make([]byte, 1); !bytes.HasSuffix(said, []byte(end)); {
		if _, err := io.ReadFull(r, buf); err != nil {
			t.Fatalf("%q: %v", said, err)
		}
		said = append(said, buf...)
	}
	return string(said)
}

// RFC 4978, 3: what is not compressed after COMPRESS ends the connection, with a
// word that is.
func TestNotCompressed_RFC4978_3(t *testing.T) {
	cluster := nodetest.Start(t, nodetest.Options{Nodes: 1, Shards: 1})
	cluster.CreateAccount(t, "alice@example.org", "secret")
	addr, _ := front(t, cluster, nil)
	if got := compressedTalk(t, addr, "c noop\r\n"); !strings.HasSuffix(got, "* BYE what comes is not compressed\r\n") {
		t.Errorf("%q", got)
	}
	if got := compressedTalk(t, addr, deflated(t, "c noop\r\nd logout\r\n")); !strings.HasSuffix(got, "d OK LOGOUT done\r\n") {
		t.Errorf("%q", got)
	}
}

// The limits of what a client may send hold for what it unfolds to.
func TestCompressedBombs_RFC4978_6(t *testing.T) {
	cluster := nodetest.Start(t, nodetest.Options{Nodes: 1, Shards: 1})
	cluster.CreateAccount(t, "alice@example.org", "secret")
	addr, srv := front(t, cluster, func(cfg *imapfront.Config) { cfg.Limits = wire.Limits{Line: 1000, Literal: 1000, Append: 1 << 20} })
	for name, c := range map[string]struct{ send, want string }{
		"line":            {strings.Repeat("x", 64<<20), "* BYE [TOOBIG]"},
		"literal":         {"c select {64000000+}\r\n" + strings.Repeat("x", 64_000_000), "* BYE [TOOBIG]"},
		"message":         {"c append inbox {64000000+}\r\n" + strings.Repeat("x", 64_000_000), "c NO [TOOBIG]"},
		"commands":        {strings.Repeat("c nonsense\r\n", 1_000_000), "a OK "},
		"a small message": {"c append inbox {1000000+}\r\n" + strings.Repeat("x", 1_000_000) + "\r\nd logout\r\n", "c OK [APPENDUID"},
	} {
		if got := compressedTalk(t, addr, deflated(t, c.send)); !strings.Contains(got, c.want) {
			t.Errorf("%s: %.300q, want %q", name, got, c.want)
		}
	}
	awaitConns(t, srv, 0)
}
