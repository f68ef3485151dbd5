package imapfront_test

import (
	"bytes"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/quorumail/quorumail/imapfront"
	"github.com/quorumail/quorumail/node/nodetest"
)

// fuzzSeeds are what FuzzConnection starts from: some command or other of each
// extension, well formed, so that what is made of them gets past the grammar.
var fuzzSeeds = []string{
	"a noop\r\nb capability\r\n",
	"a append INBOX {3}\r\nabc\r\nb search all\r\n",
	"a fetch 1:* (flags body[1.mime]<1.2>)\r\n",
	"a uid store 1:* (unchangedsince 1) -flags.silent (x)\r\nb expunge\r\nc move * y\r\n",
	"a idle\r\nDONE\r\nb list \"\" *\r\n",
	"a enable qresync\r\nb select INBOX (qresync (1 1 1:5 (1 1)))\r\n",
	"a search or text x not modseq 1\r\nb close\r\n",
	"a create x/y\r\nb rename x/y INBOX/z\r\nc delete x\r\nd status INBOX (size)\r\n",
	"a authenticate plain\r\nAGFAYgBz\r\n",
	"a unauthenticate\r\nb login a@b s\r\n",
	"a setacl INBOX x +lr\r\nb getacl \"Other Users/x/INBOX\"\r\nc select \"Other Users/x/y\"\r\nd list \"\" \"Other Users/*\" return (myrights)\r\ne copy 1 \"Other Users/x/y\"\r\n",
	"a fetch 1 (binary[1] bodystructure envelope preview)\r\n",
	"a sort (reverse arrival subject displayfrom) utf-8 or seen text {1+}\r\nx\r\nb uid sort return (partial 1:2 count) (size date) us-ascii all\r\n",
	"a thread references utf-8 all\r\nb uid thread orderedsubject us-ascii not subject {1+}\r\nx\r\n",
	"a notify set status (selected (messagenew (uid body.peek[header.fields (from)]) messageexpunge flagchange)) (personal (mailboxname subscriptionchange messagenew messageexpunge)) (subtree (x y) (mailboxmetadatachange))\r\nb create y\r\nc append y {2+}\r\nx\n\r\nd notify set (selected-delayed (messagenew messageexpunge))\r\ne notify none\r\n",
	"a append INBOX (x) catenate (url /INBOX/;UID=1/;SECTION=HEADER text {2+}\r\nx\n url \"/INBOX;UIDVALIDITY=1/;UID=1\") {1+}\r\nx\r\n",
	"a append INBOX catenate (text {2+}\r\nx\n text {1+}\r\ny)\r\n",
	"a replace 1 INBOX (\\Draft) \"05-Jan-2024 09:08:07 -0730\" {3+}\r\nabc\r\nb uid replace 1 y ~{3+}\r\nabc\r\n",
	"a enable uidonly qresync utf8=accept imap4rev2\r\nb select INBOX\r\nc uid fetch 1:* (flags modseq) (changedsince 1 vanished partial -1:-2)\r\nd uid store 1 flags x\r\ne uid expunge 1:*\r\n",
	"a esearch in (mailboxes (INBOX x) subtree y subtree-one z personal selected subscribed inboxes) return (min max count all) subject {1+}\r\nx\r\nb uid search return (save) all\r\nc uid copy $ x\r\n",
	"a setmetadata INBOX (/private/comment {1+}\r\nx /shared/x/y ~{1+}\r\n\x00 /private/z nil)\r\nb getmetadata (maxsize 1024 depth infinity) INBOX (/private /shared)\r\nc list \"\" % return (metadata (/private/comment) status (messages mailboxid) children)\r\nd getmetadata \"\" /shared/admin\r\n",
	"a setquota a@b (storage 510 message 9)\r\nb getquotaroot INBOX\r\nc getquota a@b\r\nd status INBOX (deleted deleted-storage)\r\n",
	"a search return (partial -1:-2) older 5 younger 7 emailid M1 savedsince 1-Jan-2020 savedatesupported\r\nb fetch 1 (emailid threadid savedate preview (lazy))\r\n",
	"a list (special-use recursivematch subscribed) \"\" (% y/*) return (special-use subscribed)\r\nb create z (use (\\Sent))\r\nc subscribe z\r\nd lsub \"\" *\r\ne namespace\r\nf id (\"name\" nil)\r\n",
	"a append INBOX {1+}\r\nx (x) {1+}\r\ny \"05-Jan-2024 09:08:07 -0730\" utf8 (~{1+}\r\nz)\r\n",
}

// fuzzed is the frontend that is fuzzed and its cluster, which begins anew now and
// then: its disk is in memory, and what executions leave behind on it would be taken
// for a leak of the frontend's.
type fuzzed struct {
	scope *scope
	at    string
	used  int
}

// clusterLife is how many executions a cluster serves.
const clusterLife = 1000

// addr returns where the next execution connects to.
func (z *fuzzed) addr(t testing.TB) string {
	if z.used++; z.scope != nil && z.used <= clusterLife {
		return z.at
	}
	z.end(t)
	z.scope, z.used = &scope{TB: t}, 1
	c := nodetest.Start(z.scope, nodetest.Options{Nodes: 1, Shards: 1})
	c.CreateAccount(z.scope, "a@b", "s")
	z.at, _ = front(z.scope, c, func(cfg *imapfront.Config) { cfg.Limits.Append = 10_000 })
	return z.at
}

// end stops what is running.
func (z *fuzzed) end(t testing.TB) {
	if z.scope != nil {
		z.scope.end(t)
	}
}

// scope is a test of which parts are cleaned up before it ends, or after.
type scope struct {
	testing.TB
	cleanups []func()
}

// Cleanup implements testing.TB.
func (s *scope) Cleanup(f func()) { s.cleanups = append(s.cleanups, f) }

// end cleans up, on behalf of the test that is running.
func (s *scope) end(t testing.TB) {
	s.TB = t
	for i := len(s.cleanups) - 1; i >= 0; i-- {
		s.cleanups[i]()
	}
	s.cleanups = nil
}

// FuzzConnection says arbitrary octets to a frontend in each state, from not
// authenticated to compressed: it answers and closes when the client does, and
// never comes upon a bug of its own.
func FuzzConnection(f *testing.F) {
	var at fuzzed
	f.Cleanup(func() { at.end(f) })
	const (
		authenticated = 1 + iota
		selected
		withUIDOnly
		compressed // what comes is compressed
		notCompressed
		states
	)
	for _, s := range fuzzSeeds {
		for state := range byte(states - 1) {
			f.Add([]byte(s), state)
		}
		f.Add([]byte(deflated(f, s)), byte(notCompressed))
	}
	f.Fuzz(func(t *testing.T, in []byte, state byte) {
		nc, err := net.Dial("tcp", at.addr(t))
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = nc.Close() }() // it has been read to its end
		_ = nc.SetDeadline(time.Now().Add(20 * time.Second))
		state %= states
		var say bytes.Buffer
		if state >= authenticated {
			say.WriteString("x1 login a@b s\r\n")
		}
		if state == withUIDOnly {
			say.WriteString("x2 enable uidonly\r\n")
		}
		if state >= selected {
			// What executions before this one have left is not kept.
			say.WriteString("x3 select INBOX\r\nx4 uid store 1:* +flags.silent (\\Deleted)\r\nx5 expunge\r\nx6 append INBOX {3+}\r\nA: \r\n")
		}
		said := ""
		if state >= compressed {
			say.WriteString("x7 compress deflate\r\n")
			if _, err := nc.Write(say.Bytes()); err != nil {
				t.Fatal(err)
			}
			said = readUntil(t, nc, compressActive)
			say.Reset()
		}
		if state == compressed {
			say.WriteString(deflated(t, string(in)+"\r\n"))
		} else {
			say.Write(in)
			say.WriteString("\r\n")
		}
		go func() {
			_, _ = nc.Write(say.Bytes())
			_ = nc.(*net.TCPConn).CloseWrite()
		}()
		rest, err := io.ReadAll(nc)
		if ne, ok := err.(net.Error); ok && ne.Timeout() {
			t.Fatalf("no end after %q", in)
		}
		said += string(rest)
		if state >= compressed {
			said = inflated(t, said)
		}
		if strings.Contains(said, "SERVERBUG") {
			t.Fatalf("%q: %q", in, said)
		}
	})
}
