package imapfront_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"

	"github.com/quorumail/quorumail/imapfront/session"
	"github.com/quorumail/quorumail/node/nodetest"
	pb "github.com/quorumail/quorumail/proto/quorumail/v1"
)

// noClaims is a store that cannot tell who has been told of a message.
type noClaims struct{ session.Store }

func (s noClaims) Propose(ctx context.Context, e *pb.Entry) (*pb.Result, error) {
	if e.GetClaimRecent() != nil {
		return nil, errors.New("no quorum")
	}
	return s.Store.Propose(ctx, e)
}

// A session that cannot learn whether it is the first to be told takes what nobody
// has claimed for recent, and goes on.
func TestRecentIfNobodyCanTell_RFC3501_2_3_2(t *testing.T) {
	c := nodetest.Start(t, nodetest.Options{Nodes: 1, Shards: 1})
	const user = "recent@example.org"
	c.CreateAccount(t, user, "secret")
	storage := c.Client(t)
	conn := serveWith(t, func(account, actor string) session.Store { return noClaims{storage.SessionFor(account, actor)} })
	r := bufio.NewReader(conn)
	ask := func(n int, cmd string) (lines []string) {
		t.Helper()
		tag := fmt.Sprintf("t%d ", n)
		if _, err := io.WriteString(conn, tag+cmd+"\r\n"); err != nil {
			t.Fatal(err)
		}
		for {
			line, err := r.ReadString('\n')
			if err != nil {
				t.Fatalf("%s: %v", cmd, err)
			}
			lines = append(lines, strings.TrimSpace(line))
			if strings.HasPrefix(line, tag) {
				return lines
			}
		}
	}
	ask(1, "LOGIN "+user+" secret")
	ask(2, "APPEND INBOX {1+}\r\nx")
	for _, n := range []int{3, 5} { // and the next SELECT, since nobody has claimed them
		told := ask(n, "SELECT INBOX")
		if !slices.Contains(told, "* 1 RECENT") || !strings.HasPrefix(told[len(told)-1], fmt.Sprintf("t%d OK [READ-WRITE]", n)) {
			t.Errorf("SELECT: %q", told)
		}
		if told := ask(n+1, "FETCH 1 FLAGS"); told[0] != `* 1 FETCH (FLAGS (\Recent))` {
			t.Errorf("FETCH: %q", told)
		}
	}
}
