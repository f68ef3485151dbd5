package fault

import (
	"bufio"
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"math/big"
	mrand "math/rand/v2"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/quorumail/quorumail/bench/traffic"
)

// target is a frontend that is spoken to as no mail client would.
type target struct {
	front       *Process
	imap, imaps string
}

// newTarget starts a node and a frontend with a certificate.
func newTarget(t *testing.T) *target {
	t.Helper()
	dir := t.TempDir()
	c, err := StartCluster(t.Context(), build(t), dir, 1, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	if err := c.AddUser(t.Context(), user, password); err != nil {
		t.Fatal(err)
	}
	cert, key := selfSigned(t, dir)
	tg := new(target)
	// Passwords are taken without TLS only by a frontend without a certificate, so
	// there are two.
	if err := c.startFront(t.Context(), 1); err != nil {
		t.Fatal(err)
	}
	if tg.imap, err = c.IMAP(1); err != nil {
		t.Fatal(err)
	}
	tg.front = c.Front(1)
	secure, err := start(dir, "front2", c.bin, "front", "--nodes", c.nodeList(), "--imaps", "127.0.0.1:0", "--tls-cert", cert, "--tls-key", key)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := stopIfAlive(secure); err != nil {
			t.Error(err)
		}
	})
	if err := secure.WaitReady(t.Context()); err != nil {
		t.Fatal(err)
	}
	if tg.imaps, err = secure.Value("IMAPS"); err != nil {
		t.Fatal(err)
	}
	return tg
}

// selfSigned writes a certificate for 127.0.0.1 and its key.
func selfSigned(t *testing.T, dir string) (cert, key string) {
	t.Helper()
	priv, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	tmpl := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour), IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}}
	der, err := x509.CreateCertificate(rand.Reader, tmpl, tmpl, priv.Public(), priv)
	if err != nil {
		t.Fatal(err)
	}
	pkcs8, err := x509.MarshalPKCS8PrivateKey(priv)
	if err != nil {
		t.Fatal(err)
	}
	cert, key = filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	for file, block := range map[string]*pem.Block{cert: {Type: "CERTIFICATE", Bytes: der}, key: {Type: "PRIVATE KEY", Bytes: pkcs8}} {
		if err := os.WriteFile(file, pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return cert, key
}

// raw is a connection without manners.
type raw struct {
	t *testing.T
	net.Conn
	r *bufio.Reader
}

func dialRaw(t *testing.T, addr string) *raw {
	t.Helper()
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	conn.SetDeadline(time.Now().Add(20 * time.Second))
	return &raw{t, conn, bufio.NewReader(conn)}
}

// in connects to a state: "none", "auth" or "selected".
func in(t *testing.T, addr, state string) *raw {
	t.Helper()
	c := dialRaw(t, addr)
	c.line()
	if state == "none" {
		return c
	}
	c.say("s1 LOGIN " + traffic.Quote(user) + " " + traffic.Quote(password) + "\r\n")
	c.until("s1 OK")
	if state == "selected" {
		c.say("s2 SELECT INBOX\r\n")
		c.until("s2 OK")
	}
	return c
}

func (c *raw) say(s string) { io.WriteString(c.Conn, s) }

func (c *raw) line() string {
	c.t.Helper()
	s, err := c.r.ReadString('\n')
	if err != nil {
		c.t.Fatalf("after %q: %v", s, err)
	}
	return strings.TrimRight(s, "\r\n")
}

// until reads up to a line that starts with prefix.
func (c *raw) until(prefix string) {
	c.t.Helper()
	for {
		if l := c.line(); strings.HasPrefix(l, prefix) {
			return
		} else if !strings.HasPrefix(l, "* ") {
			c.t.Fatalf("got %q, want %q", l, prefix)
		}
	}
}

// answer reads up to the first line that is not data, or to the end.
func (c *raw) answer() string {
	c.t.Helper()
	for {
		s, err := c.r.ReadString('\n')
		switch {
		case errors.Is(err, os.ErrDeadlineExceeded):
			c.t.Fatal("no answer, and the connection is open")
		case err != nil:
			return "closed"
		}
		if s = strings.TrimRight(s, "\r\n"); !strings.HasPrefix(s, "* ") || strings.HasPrefix(s, "* BAD") || strings.HasPrefix(s, "* BYE") {
			return s
		}
	}
}

// badInput is what is said in a state, and the starts of the answers that are
// right.
var badInput = []struct {
	name, state, say string
	want             []string
	// over: the connection may be closed after the answer. Otherwise it must go on.
	over bool
}{
	{"unknown command", "none", "a FROBNICATE\r\n", []string{"a BAD "}, false},
	{"unknown command, logged in", "selected", "a FROBNICATE 1 2\r\n", []string{"a BAD "}, false},
	{"unknown UID command", "selected", "a UID NOOP\r\n", []string{"a BAD "}, false},
	{"FETCH before LOGIN", "none", "a FETCH 1 FLAGS\r\n", []string{"a BAD ", "a NO "}, false},
	{"SELECT before LOGIN", "none", "a SELECT INBOX\r\n", []string{"a BAD ", "a NO "}, false},
	{"FETCH before SELECT", "auth", "a FETCH 1 FLAGS\r\n", []string{"a BAD ", "a NO "}, false},
	{"LOGIN twice", "auth", "a LOGIN x y\r\n", []string{"a BAD ", "a NO "}, false},
	{"empty line", "none", "\r\n", []string{"* BAD "}, false},
	{"only spaces", "none", "    \r\n", []string{"* BAD "}, false},
	{"only a tag", "none", "a\r\n", []string{"a BAD ", "* BAD "}, false},
	{"bad tag", "none", "+a NOOP\r\n", []string{"* BAD "}, false},
	{"a response", "none", "* OK hello\r\n", []string{"* BAD "}, false},
	{"string without end", "auth", "a SELECT \"INBOX\r\n", []string{"a BAD "}, false},
	{"list without end", "selected", "a FETCH 1 (FLAGS\r\n", []string{"a BAD "}, false},
	{"deep list", "selected", "a SEARCH " + strings.Repeat("(", 5000) + "\r\n", []string{"a BAD "}, false},
	{"deep NOT", "selected", "a SEARCH " + strings.Repeat("NOT ", 2000) + "ALL\r\n", []string{"a BAD "}, false},
	{"set with 0", "selected", "a FETCH 0 FLAGS\r\n", []string{"a BAD "}, false},
	{"set beyond 32 bits", "selected", "a UID FETCH 99999999999 FLAGS\r\n", []string{"a BAD "}, false},
	{"MODSEQ beyond 63 bits", "selected", "a FETCH 1 FLAGS (CHANGEDSINCE 99999999999999999999)\r\n", []string{"a BAD "}, false},
	{"flag that is none", "selected", "a STORE 1 +FLAGS (\\)\r\n", []string{"a BAD "}, false},
	{"octet 0", "auth", "a SELECT \x00\r\n", []string{"a BAD "}, false},
	{"octets above 127", "auth", "a SELECT \xff\xfe\r\n", []string{"a BAD ", "a NO "}, false},
	{"modified UTF-7 that is none", "auth", "a CREATE &&&-\r\n", []string{"a BAD ", "a NO "}, false},
	{"literal without number", "none", "a LOGIN {}\r\n", []string{"a BAD "}, false},
	{"literal of letters", "none", "a LOGIN {abc}\r\n", []string{"a BAD "}, false},
	{"literal below 0", "none", "a LOGIN {-1}\r\n", []string{"a BAD "}, false},
	{"literal beyond 64 bits", "none", "a LOGIN {99999999999999999999999}\r\n", []string{"a BAD ", "a NO [TOOBIG]"}, false},
	{"big literal is refused before it is read", "none", "a LOGIN {100000000}\r\n", []string{"a BAD ", "a NO "}, false},
	{"big message is refused before it is read", "auth", "a APPEND INBOX {99999999999}\r\n", []string{"a BAD [TOOBIG]", "a NO [TOOBIG]", "a NO [LIMIT]"}, false},
	{"big literal that does not wait", "none", "a LOGIN {100000000+}\r\n", []string{"a BAD ", "a NO ", "* BYE "}, true},
	{"big message that does not wait", "auth", "a APPEND INBOX {99999999999+}\r\n", []string{"a NO ", "a BAD ", "* BYE "}, true},
	{"line without end", "none", "a " + strings.Repeat("x", 2<<20), []string{"a BAD ", "* BAD ", "* BYE "}, true},
	{"half a TLS hello", "none", "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n", []string{"* BAD ", "* BYE "}, true},
	{"HTTP", "none", "GET / HTTP/1.1\r\n", []string{"GET BAD "}, false},
}

func TestBadInput_IsToldSo(t *testing.T) {
	tg := newTarget(t)
	before := tg.front.resources(t)
	for _, c := range badInput {
		t.Run(c.name, func(t *testing.T) {
			conn := in(t, tg.imap, c.state)
			go conn.say(c.say) // may be more than anybody reads
			got := conn.answer()
			right := false
			for _, w := range c.want {
				right = right || strings.HasPrefix(got, w)
			}
			if !right {
				t.Fatalf("got %q, want one of %q", got, c.want)
			}
			if !c.over {
				conn.say("z NOOP\r\n")
				conn.until("z OK")
			}
		})
	}
	t.Run("garbage", func(t *testing.T) { tg.garbage(t) })
	t.Run("TLS", func(t *testing.T) { tg.tls(t) })
	t.Run("abandoned connections", func(t *testing.T) { tg.abandon(t) })
	tg.front.sameResources(t, before)

	// And it serves on.
	in(t, tg.imap, "selected")
	if !tg.front.Alive() {
		t.Error("the frontend has ended")
	}
}

// garbage says random octets in each state; whatever is answered, it is a line
// or the end.
func (tg *target) garbage(t *testing.T) {
	rng := mrand.New(mrand.NewPCG(1, 2))
	for i := range 60 {
		conn := in(t, tg.imap, []string{"none", "auth", "selected"}[i%3])
		junk := make([]byte, 1+rng.IntN(64<<10))
		for j := range junk {
			junk[j] = byte(rng.Uint32())
		}
		go func() {
			conn.Write(junk)
			conn.Conn.(*net.TCPConn).CloseWrite()
		}()
		if _, err := io.Copy(io.Discard, conn.r); errors.Is(err, os.ErrDeadlineExceeded) {
			t.Fatalf("after %d octets of garbage the connection is still open", len(junk))
		}
	}
}

// tls says to a TLS listener what is no TLS, and half of what is.
func (tg *target) tls(t *testing.T) {
	good := func() {
		t.Helper()
		conn, err := tls.Dial("tcp", tg.imaps, &tls.Config{InsecureSkipVerify: true})
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		if l, err := bufio.NewReader(conn).ReadString('\n'); err != nil || !strings.HasPrefix(l, "* OK ") {
			t.Fatal(l, err)
		}
	}
	good()
	hello := captureHello(t)
	for _, n := range []int{1, 5, 6, len(hello) / 2, len(hello) - 1} {
		conn := dialRaw(t, tg.imaps)
		conn.Write(hello[:n])
		good() // those who stall hold up nobody
		conn.Close()
	}
	conn := dialRaw(t, tg.imaps)
	conn.say("a LOGIN x y\r\n")
	if _, err := io.Copy(io.Discard, conn.r); errors.Is(err, os.ErrDeadlineExceeded) {
		t.Error("a client without TLS is kept")
	}
	good()
}

// captureHello returns what a TLS client says first.
func captureHello(t *testing.T) []byte {
	t.Helper()
	client, server := net.Pipe()
	defer client.Close()
	defer server.Close()
	go tls.Client(client, &tls.Config{InsecureSkipVerify: true}).Handshake()
	buf := make([]byte, 16<<10)
	n, err := server.Read(buf)
	if err != nil {
		t.Fatal(err)
	}
	return buf[:n]
}

// abandon opens 10,000 connections and leaves them, in all the ways there are.
func (tg *target) abandon(t *testing.T) {
	const connections, atOnce = 10_000, 100
	var wg sync.WaitGroup
	errs := make(chan error, atOnce)
	for w := range atOnce {
		wg.Go(func() {
			for i := range connections / atOnce {
				if err := leave(tg.imap, w+i); err != nil {
					errs <- err
					return
				}
			}
		})
	}
	wg.Wait()
	close(errs)
	for err := range errs {
		t.Error(err)
	}
}

// leave connects and goes: at once, after the greeting, in the middle of a
// command, of a literal; with FIN or with RST.
func leave(addr string, how int) error {
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		return err
	}
	defer conn.Close()
	conn.SetDeadline(time.Now().Add(30 * time.Second))
	if how%2 == 0 {
		conn.(*net.TCPConn).SetLinger(0)
	}
	say := ""
	switch how % 5 {
	case 0:
		return nil
	case 2:
		say = "a LOG"
	case 3:
		say = "a LOGIN {5}\r\n"
	case 4:
		say = "a LOGIN {5}\r\nab"
	}
	if _, err := bufio.NewReader(conn).ReadString('\n'); err != nil {
		return fmt.Errorf("greeting: %w", err)
	}
	_, err = io.WriteString(conn, say)
	return err
}

// resources are what a process holds.
type resources struct{ fds, rssKiB int }

func (p *Process) resources(t *testing.T) resources {
	t.Helper()
	proc := fmt.Sprintf("/proc/%d", p.PID())
	fds, err := os.ReadDir(proc + "/fd")
	if err != nil {
		t.Fatal(err)
	}
	status, err := os.ReadFile(proc + "/status")
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := bytes.Cut(status, []byte("VmRSS:"))
	fields := strings.Fields(string(rest))
	if len(fields) == 0 {
		t.Fatal("no VmRSS")
	}
	rss, err := strconv.Atoi(fields[0])
	if err != nil {
		t.Fatal(err)
	}
	return resources{len(fds), rss}
}

// sameResources waits until the process holds about what it held before. The
// runtime keeps some memory for the next such rush, so that some growth is none.
func (p *Process) sameResources(t *testing.T, before resources) {
	t.Helper()
	const moreFDs, moreKiB = 10, 100 << 10
	deadline := time.Now().Add(20 * time.Second)
	for {
		now := p.resources(t)
		if now.fds <= before.fds+moreFDs && now.rssKiB <= before.rssKiB+moreKiB {
			t.Logf("before %+v, after %+v", before, now)
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("before %+v, after %+v", before, now)
		}
		if err := Pause(t.Context(), 100*time.Millisecond); err != nil {
			t.Fatal(err)
		}
	}
}
