package imapfront_test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/quorumail/quorumail/imapfront/auth"
	"github.com/quorumail/quorumail/imapfront/session"
	"github.com/quorumail/quorumail/imapfront/wire"
	"github.com/quorumail/quorumail/node/client"
	"github.com/quorumail/quorumail/node/nodetest"
	pb "github.com/quorumail/quorumail/proto/quorumail/v1"
)

// slowStore is a store whose searches take until they are let go, or given up.
type slowStore struct {
	session.Store
	letGo, givenUp chan struct{}
}

func (s slowStore) wait(ctx context.Context) error {
	select {
	case <-s.letGo:
		return nil
	case <-ctx.Done():
		s.givenUp <- struct{}{}
		return ctx.Err()
	}
}

func (s slowStore) Search(ctx context.Context, req *pb.SearchRequest) (*pb.SearchResponse, error) {
	if err := s.wait(ctx); err != nil {
		return nil, err
	}
	return s.Store.Search(ctx, req)
}

func (s slowStore) Sort(ctx context.Context, req *pb.SortRequest) (*pb.SortResponse, error) {
	if err := s.wait(ctx); err != nil {
		return nil, err
	}
	return s.Store.Sort(ctx, req)
}

func (s slowStore) Thread(ctx context.Context, req *pb.ThreadRequest) (*pb.ThreadResponse, error) {
	if err := s.wait(ctx); err != nil {
		return nil, err
	}
	return s.Store.Thread(ctx, req)
}

// slowClient is the client of a session whose searches are slow.
type slowClient struct {
	net.Conn
	r *bufio.Reader
	slowStore
}

// slowSession starts one, with INBOX selected.
func slowSession(t *testing.T, user string, storage *client.Client) *slowClient {
	t.Helper()
	store := slowStore{letGo: make(chan struct{}), givenUp: make(chan struct{}, 1)}
	conn := serveWith(t, func(account, actor string) session.Store {
		s := store
		s.Store = storage.SessionFor(account, actor)
		return s
	})
	c := &slowClient{conn, bufio.NewReader(conn), store}
	for _, cmd := range []string{"a LOGIN " + user + " secret", "b SELECT INBOX"} {
		c.send(t, cmd)
		c.answer(t, cmd[:1])
	}
	return c
}

// serveWith serves one connection with storage of the test's own, and returns the
// client's side of it.
func serveWith(t *testing.T, storage func(account, actor string) session.Store) net.Conn {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	conn, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	served, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	_ = l.Close() // one connection is enough
	cfg := &session.Config{
		Storage: storage, Verifier: auth.New(), Limits: wire.DefaultLimits(), Log: slog.New(slog.DiscardHandler),
		LoginTimeout: time.Minute, IdleTimeout: time.Minute, WriteTimeout: time.Minute, ProgressEvery: time.Millisecond,
	}
	var done sync.WaitGroup
	done.Go(func() { session.New(cfg, served, false).Serve(context.Background()) })
	t.Cleanup(func() {
		_ = conn.Close() // the test is over
		done.Wait()
	})
	_ = conn.SetDeadline(time.Now().Add(time.Minute)) // what does not come shows as an error of reading
	return conn
}

func (c *slowClient) send(t *testing.T, cmd string) {
	t.Helper()
	if _, err := io.WriteString(c, cmd+"\r\n"); err != nil {
		t.Fatal(err)
	}
}

func (c *slowClient) line(t *testing.T) string {
	t.Helper()
	line, err := c.r.ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(line)
}

// answer returns what is told up to a command's answer, but for INPROGRESS.
func (c *slowClient) answer(t *testing.T, tag string) string {
	t.Helper()
	var lines []string
	for {
		line := c.line(t)
		if !strings.HasPrefix(line, fmt.Sprintf("* OK [INPROGRESS (%q ", tag)) {
			lines = append(lines, line)
		}
		if strings.HasPrefix(line, tag+" ") {
			return strings.Join(lines, "; ")
		}
	}
}

// A client that waits for a search is told that it is under way, again and again,
// with the tag of its command (RFC 9585, 4).
func TestProgress_RFC9585_4(t *testing.T) {
	cluster := nodetest.Start(t, nodetest.Options{Nodes: 1, Shards: 1})
	cluster.CreateAccount(t, "alice", "secret")
	storage := cluster.Client(t)
	for i, c := range []struct{ cmd, progress, result string }{
		{"SEARCH ALL", "NIL NIL", "* SEARCH"},
		{"UID SORT (ARRIVAL) UTF-8 ALL", "NIL NIL", "* SORT"},
		{"THREAD REFERENCES UTF-8 ALL", "NIL NIL", "* THREAD"},
		{"ESEARCH IN (SELECTED PERSONAL) ALL", "0 1", ""},
	} {
		slow := slowSession(t, "alice", storage)
		tag := fmt.Sprintf("c%d", i)
		slow.send(t, tag+" "+c.cmd)
		want := fmt.Sprintf(`* OK [INPROGRESS (%q %s)]`, tag, c.progress)
		for range 3 {
			if line := slow.line(t); !strings.HasPrefix(line, want) {
				t.Fatalf("%s: told %q, want %q", c.cmd, line, want)
			}
		}
		close(slow.letGo)
		got := slow.answer(t, tag)
		if !strings.HasPrefix(got, c.result) || !strings.Contains(got, tag+" OK") {
			t.Errorf("%s: %s", c.cmd, got)
		}
	}
}

// A search for a client that has gone is given up.
func TestSearchOfGoneClientIsGivenUp(t *testing.T) {
	cluster := nodetest.Start(t, nodetest.Options{Nodes: 1, Shards: 1})
	cluster.CreateAccount(t, "alice", "secret")
	storage := cluster.Client(t)
	slow := slowSession(t, "alice", storage)
	slow.send(t, "c SEARCH ALL")
	slow.line(t) // it is under way
	if err := slow.Close(); err != nil {
		t.Fatal(err)
	}
	select {
	case <-slow.givenUp:
	case <-time.After(time.Minute):
		t.Fatal("the search goes on though nobody waits for it")
	}
}

// What is expunged while storage searches is missing from the result; the answer
// says so (RFC 5530, 3).
func TestExpungedWhileSearched_RFC5530_3(t *testing.T) {
	cluster := nodetest.Start(t, nodetest.Options{Nodes: 1, Shards: 1})
	storage := cluster.Client(t)
	addr, _ := front(t, cluster, nil)
	for i, c := range []struct{ cmd, result string }{
		{"SEARCH ALL", "* SEARCH 1 3"},
		{"SORT (ARRIVAL) UTF-8 ALL", "* SORT 1 3"},
		{"THREAD ORDEREDSUBJECT UTF-8 ALL", "* THREAD (1 3)"},
		{"ESEARCH IN (SELECTED PERSONAL) ALL", "ALL 1,3"},
	} {
		user := fmt.Sprintf("alice%d", i)
		cluster.CreateAccount(t, user, "secret")
		do := func(commands string) {
			t.Helper()
			if got := talk(t, addr, "a LOGIN "+user+" secret\r\n"+commands+"z LOGOUT\r\n"); !strings.Contains(got, "b OK") {
				t.Fatalf("%q: %q", commands, got)
			}
		}
		do("b APPEND INBOX {7+}\r\nA: 1\r\n\n {7+}\r\nB: 1\r\n\n {7+}\r\nC: 1\r\n\n\r\n")
		slow := slowSession(t, user, storage)
		slow.send(t, "c "+c.cmd)
		slow.line(t) // it is under way
		do("a SELECT INBOX\r\na STORE 2 +FLAGS (\\Deleted)\r\nb EXPUNGE\r\n")
		close(slow.letGo)
		all := slow.answer(t, "c")
		expunged := strings.Contains(all, "c OK [EXPUNGEISSUED]") || strings.Contains(all, "* 2 EXPUNGE")
		if !strings.Contains(all, c.result) || !expunged {
			t.Errorf("%s: %s", c.cmd, all)
		}
	}
}
