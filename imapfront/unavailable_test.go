package imapfront_test

import (
	"bufio"
	"fmt"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/quorumail/quorumail/imapfront"
	"github.com/quorumail/quorumail/node/client"
	"github.com/quorumail/quorumail/node/nodetest"
)

// As long as storage cannot be reached, commands that need it are NO [UNAVAILABLE]
// (RFC 5530, 3): the connection goes on, and so does its mailbox once storage is back.
func TestStorageThatIsDown_RFC5530_3(t *testing.T) {
	cluster := nodetest.Start(t, nodetest.Options{Nodes: 1, Shards: 1})
	cluster.CreateAccount(t, "alice", "secret")
	impatient, err := client.New(client.Config{Nodes: cluster.Addrs(), RequestTimeout: 500 * time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = impatient.Close() }) // it has nothing to do any more
	addr, _ := front(t, cluster, func(cfg *imapfront.Config) { cfg.Client = impatient })
	c, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = c.Close() }() // it has been read
	if err := c.SetDeadline(time.Now().Add(time.Minute)); err != nil {
		t.Fatal(err)
	}
	r := bufio.NewReader(c)
	do := func(command string) (answer string) {
		t.Helper()
		if _, err := fmt.Fprintf(c, "t %s\r\n", command); err != nil {
			t.Fatal(err)
		}
		for !strings.HasPrefix(answer, "t ") {
			if answer, err = r.ReadString('\n'); err != nil {
				t.Fatalf("%s: %v", command, err)
			}
		}
		return answer[len("t "):]
	}
	until := func(command string) { // it is OK, or the deadline over
		t.Helper()
		for got := ""; !strings.HasPrefix(got, "OK"); got = do(command) {
		}
	}
	until("login alice secret")
	until("append INBOX {6+}\r\nA: b\r\n")
	until("select INBOX")
	node := cluster.Nodes()[0]
	cluster.Kill(t, node)
	for _, command := range []string{"noop", "fetch 1 body[]", "store 1 +flags (\\Seen)", "append INBOX {6+}\r\nA: b\r\n", "list \"\" *", "idle"} {
		if got := do(command); !strings.HasPrefix(got, "NO [UNAVAILABLE] ") {
			t.Errorf("%s: %s", command, got)
		}
	}
	cluster.Restart(t, node)
	until("noop")
	if got := do("fetch 1 flags"); !strings.HasPrefix(got, "OK") {
		t.Error(got)
	}
}
