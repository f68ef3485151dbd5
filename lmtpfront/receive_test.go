package lmtpfront

import (
	"crypto/tls"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http/httptest"
	"net/textproto"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// noise is n octets of text that does not shrink.
func noise(n int) string {
	const letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
	r := rand.New(rand.NewPCG(1, uint64(n)))
	var sb strings.Builder
	for sb.Len() < n {
		for range 76 {
			sb.WriteByte(letters[r.IntN(64)])
		}
		sb.WriteString("\r\n")
	}
	return sb.String()
}

func (c *mta) bdat(chunk string, last bool) {
	c.t.Helper()
	mark := ""
	if last {
		mark = " LAST"
	}
	if _, err := fmt.Fprintf(c.W, "BDAT %d%s\r\n%s", len(chunk), mark, chunk); err != nil {
		c.t.Fatal(err)
	}
	if err := c.W.Flush(); err != nil {
		c.t.Fatal(err)
	}
}

func TestChunking_RFC3030(t *testing.T) {
	storage := newCluster(alice, bob)
	s := newServer(Config{Hostname: "mx", MaxMessage: 100_000}, storage.storage)
	c := connect(t, start(t, s))
	body := mailText + ".\r\nlong " + strings.Repeat("x", 50_000)
	c.envelope(alice, bob)
	c.bdat(body[:20], false)
	c.expect(250)
	c.bdat(body[20:], false)
	c.expect(250)
	c.bdat("", true)
	c.check("chunks", c.answers(2), "250", "250")
	for _, name := range []string{alice, bob} {
		if got := storage.inbox(t, name); len(got) != 1 || !strings.HasSuffix(got[0], body) {
			t.Errorf("%s has %d messages", name, len(got))
		}
	}
}

// A message that is given up half way is not delivered, and its connection takes
// no other: go-smtp would mix up their answers.
func TestChunkingGivenUp_RFC3030_4_2(t *testing.T) {
	storage := newCluster(alice, bob)
	s := newServer(Config{Hostname: "mx", MaxMessage: 100_000}, storage.storage)
	addr := start(t, s)
	for name, giveUp := range map[string]func(*mta){
		"reset": func(c *mta) {
			if err := c.PrintfLine("RSET\r\nMAIL FROM:<a@b>\r\nRCPT TO:<%s>", bob); err != nil {
				t.Fatal(err)
			}
			c.bdat("Subject: next\r\n\r\n", true)
			c.expect(250) // RSET
			for {
				// The connection may end before all of them have been read.
				line, err := c.ReadLine()
				if err != nil {
					break
				}
				if !strings.HasPrefix(line, "421") && !strings.HasPrefix(line, "502") {
					t.Errorf("%q", line)
				}
			}
		},
		"greeting again": func(c *mta) { c.do(250, "LHLO again") },
		"too big": func(c *mta) {
			c.bdat(filler(99_000), true)
			c.expect(552)
		},
		"quit": func(c *mta) { c.do(221, "QUIT") },
		"gone": func(c *mta) { _ = c.Close() },
	} {
		c := connect(t, addr)
		c.envelope(alice)
		c.bdat(mailText+filler(3000), false)
		c.expect(250)
		giveUp(c)
		if name == "too big" || name == "greeting again" {
			c.expect(421)
		}
	}
	c := connect(t, addr)
	c.envelope(bob)
	c.bdat("Subject: after\r\n\r\n", true)
	c.check("afterwards", c.answers(1), "250")
	if err := s.Close(); err != nil {
		t.Error(err)
	}
	if a, b := len(storage.inbox(t, alice)), len(storage.inbox(t, bob)); a != 0 || b != 1 {
		t.Errorf("alice has %d messages, bob %d", a, b)
	}
}

func TestLargeMessagesGoThroughAFile(t *testing.T) {
	storage := newCluster(alice, bob)
	dir := t.TempDir()
	c := connect(t, start(t, newServer(Config{Hostname: "mx", SpoolDir: dir}, storage.storage)))
	for _, size := range []int{inMemory - len(mailText), inMemory - len(mailText) + 64, 3 << 20} {
		text := mailText + filler(size)
		c.envelope(alice, bob)
		c.check("large", c.data(2, text), "250", "250")
		for _, name := range []string{alice, bob} {
			got := storage.inbox(t, name)
			if !strings.HasSuffix(got[len(got)-1], text) {
				t.Errorf("%d octets: %s has another message", size, name)
			}
		}
	}
	if left, err := os.ReadDir(dir); err != nil || len(left) > 0 {
		t.Errorf("%v are left, %v", left, err)
	}
}

func TestFullDisk(t *testing.T) {
	storage := newCluster(alice)
	s := newServer(Config{Hostname: "mx", SpoolDir: filepath.Join(t.TempDir(), "missing")}, storage.storage)
	c := connect(t, start(t, s))
	for range 2 {
		c.envelope(alice)
		c.check("DATA", c.data(1, mailText+filler(2<<20)), "452")
	}
	// go-smtp would answer once, not for each recipient, if the rest were not read.
	c.envelope(alice, alice)
	c.bdat(mailText+filler(2<<20), false)
	c.expect(250)
	c.bdat(filler(1<<20), true)
	c.check("BDAT", c.answers(2), "452", "452")
	c.envelope(alice)
	c.check("small", c.data(1, mailText), "250")
}

func TestLongLines(t *testing.T) {
	storage := newCluster(alice)
	addr := start(t, newServer(Config{Hostname: "mx"}, storage.storage))
	c := connect(t, addr)
	c.envelope(alice)
	c.check("long", c.data(1, mailText+strings.Repeat("x", 100_000)+"\r\n"), "250")
	c.envelope(alice)
	c.check("too long", c.data(1, mailText+strings.Repeat("x", 200_000)+"\r\n"), "554")
	c = connect(t, addr)
	if err := c.PrintfLine("%s", strings.Repeat("x", 200_000)); err == nil {
		if _, _, err := c.ReadResponse(250); err == nil {
			t.Error("a command of 200,000 octets was taken")
		}
	}
	if got := storage.inbox(t, alice); len(got) != 1 {
		t.Errorf("%d messages", len(got))
	}
}

func TestConnectionLostInData(t *testing.T) {
	storage := newCluster(alice)
	s := newServer(Config{Hostname: "mx"}, storage.storage)
	c := connect(t, start(t, s))
	c.envelope(alice)
	c.do(354, "DATA")
	if err := c.PrintfLine("%s", mailText); err != nil {
		t.Fatal(err)
	}
	_ = c.Close()
	_ = s.Close()
	if got := storage.inbox(t, alice); len(got) != 0 {
		t.Errorf("half a message was delivered: %q", got)
	}
}

func TestSTARTTLS_RFC3207(t *testing.T) {
	web := httptest.NewTLSServer(nil) // for its certificate
	defer web.Close()
	storage := newCluster(alice)
	s := newServer(Config{Hostname: "mx", TLS: web.TLS}, storage.storage)
	c := connect(t, start(t, s))
	c.do(220, "STARTTLS")
	enc := tls.Client(c.nc, &tls.Config{InsecureSkipVerify: true}) //nolint:gosec // the test's own server
	c = &mta{textproto.NewConn(enc), enc, t}
	c.do(250, "LHLO mta")
	c.envelope(alice)
	c.check("encrypted", c.data(1, mailText), "250")
	if raw := storage.inbox(t, alice)[0]; !strings.Contains(raw, "with LMTPS\r\n") {
		t.Errorf("%q", raw)
	}
	if err := s.Shutdown(t.Context()); err != nil {
		t.Error(err)
	}
	if _, err := c.ReadLine(); err != nil && err != io.EOF {
		// 421 comes, encrypted, before the end.
		t.Errorf("%v", err)
	}
}

func TestGarbage(t *testing.T) {
	storage := newCluster(alice)
	addr := start(t, newServer(Config{Hostname: "mx"}, storage.storage))
	for _, in := range []string{
		"\x00\x01\x02\r\n\r\n\xff\xfe\r\n", "\x16\x03\x01\x02\x00\x01\x00", strings.Repeat("\r\n", 100), "DATA\r\nBDAT 5\r\nxxxxxBDAT -1\r\n",
		"LHLO\r\nLHLO x\r\nRCPT TO:<a@b>\r\nMAIL FROM:<\r\nMAIL FROM:<a@b> X=Y\r\nBDAT 99999999999\r\n", "LHLO x\r\nAUTH PLAIN AAAA\r\nVRFY x\r\nTURN\r\n",
		"LHLO x\r\nMAIL FROM:<a@b>\r\nMAIL FROM:<c@d>\r\nDATA\r\nRSET\r\nQUIT\r\n",
	} {
		c := dial(t, addr)
		if _, err := io.WriteString(c.nc, in); err != nil {
			t.Fatal(err)
		}
		_ = c.Close()
	}
	c := connect(t, addr)
	c.envelope(alice)
	c.check("after all that", c.data(1, mailText), "250")
}
