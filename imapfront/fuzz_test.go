package imapfront_test

import (
	"bytes"
	"io"
	"net"
	"testing"
	"time"

	"github.com/quorumail/quorumail/imapfront"
	"github.com/quorumail/quorumail/node/nodetest"
)

// FuzzConnection says arbitrary octets to a frontend in each state: it answers
// and closes when the client does, and never comes upon a bug of its own.
func FuzzConnection(f *testing.F) {
	c := nodetest.Start(f, nodetest.Options{Nodes: 1, Shards: 1})
	c.CreateAccount(f, "a@b", "s")
	addr, _ := front(f, c, func(cfg *imapfront.Config) { cfg.Limits.Append = 10_000 })
	for _, s := range []string{
		"a noop\r\nb capability\r\n", "a append INBOX {3}\r\nabc\r\nb search all\r\n", "a fetch 1:* (flags body[1.mime]<1.2>)\r\n",
		"a uid store 1:* (unchangedsince 1) -flags.silent (x)\r\nb expunge\r\nc move * y\r\n", "a idle\r\nDONE\r\nb list \"\" *\r\n",
		"a enable qresync\r\nb select INBOX (qresync (1 1 1:5 (1 1)))\r\n", "a search or text x not modseq 1\r\nb close\r\n",
		"a create x/y\r\nb rename x/y INBOX/z\r\nc delete x\r\nd status INBOX (size)\r\n", "a authenticate plain\r\nAGFAYgBz\r\n",
		"a unauthenticate\r\nb login a@b s\r\n", "a setacl INBOX x +lr\r\nb getacl \"Other Users/x/INBOX\"\r\nc select \"Other Users/x/y\"\r\nd list \"\" \"Other Users/*\" return (myrights)\r\ne copy 1 \"Other Users/x/y\"\r\n", "a fetch 1 (binary[1] bodystructure envelope preview)\r\n",
	} {
		for state := range byte(3) {
			f.Add([]byte(s), state)
		}
	}
	f.Fuzz(func(t *testing.T, in []byte, state byte) {
		nc, err := net.Dial("tcp", addr)
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = nc.Close() }() // it has been read to its end
		_ = nc.SetDeadline(time.Now().Add(20 * time.Second))
		var say bytes.Buffer
		if state%3 > 0 {
			say.WriteString("x1 login a@b s\r\n")
		}
		if state%3 > 1 {
			say.WriteString("x2 append INBOX {3+}\r\nA: \r\nx3 select INBOX\r\n")
		}
		say.Write(in)
		say.WriteString("\r\n")
		go func() {
			_, _ = nc.Write(say.Bytes())
			_ = nc.(*net.TCPConn).CloseWrite()
		}()
		got, err := io.ReadAll(nc)
		if ne, ok := err.(net.Error); ok && ne.Timeout() {
			t.Fatalf("no end after %q", in)
		}
		if bytes.Contains(got, []byte("SERVERBUG")) {
			t.Fatalf("%q: %q", in, got)
		}
	})
}
