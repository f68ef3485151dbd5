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

// slowSession starts a session whose searches are slow, with a mailbox selected,
// and returns the client's end.
func slowSession(t *testing.T, user string, store slowStore, storage func(account, actor string) session.Store) (net.Conn, *bufio.Reader) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	client, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	served, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	_ = l.Close() // one connection is enough
	cfg := &session.Config{
		Storage: func(account, actor string) session.Store {
			s := store
			s.Store = storage(account, actor)
			return s
		},
		Verifier: auth.New(), Limits: wire.DefaultLimits(), Log: slog.New(slog.DiscardHandler),
		LoginTimeout: time.Minute, IdleTimeout: time.Minute, WriteTimeout: time.Minute, ProgressEvery: time.Millisecond,
	}
	var done sync.WaitGroup
	done.Go(func() { session.New(cfg, served, false).Serve(context.Background()) })
	t.Cleanup(func() {
		_ = client.Close() // the test is over
		done.Wait()
	})
	_ = client.SetDeadline(time.Now().Add(time.Minute)) // what does not come shows as an error of reading
	r := bufio.NewReader(client)
	for _, cmd := range []string{"a LOGIN " + user + " secret", "b SELECT INBOX"} {
		if _, err := io.WriteString(client, cmd+"\r\n"); err != nil {
			t.Fatal(err)
		}
		for line := ""; !strings.HasPrefix(line, cmd[:2]); {
			if line, err = r.ReadString('\n'); err != nil {
				t.Fatal(err)
			}
		}
	}
	return client, r
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
		slow := slowStore{letGo: make(chan struct{}), givenUp: make(chan struct{}, 1)}
		client, r := slowSession(t, "alice", slow, func(account, actor string) session.Store { return storage.SessionFor(account, actor) })
		tag := fmt.Sprintf("c%d", i)
		if _, err := io.WriteString(client, tag+" "+c.cmd+"\r\n"); err != nil {
			t.Fatal(err)
		}
		want := fmt.Sprintf(`* OK [INPROGRESS (%q %s)]`, tag, c.progress)
		for range 3 {
			if line, err := r.ReadString('\n'); err != nil || !strings.HasPrefix(line, want) {
				t.Fatalf("%s: told %q, %v; want %q", c.cmd, line, err, want)
			}
		}
		close(slow.letGo)
		var rest []string
		for line := ""; !strings.HasPrefix(line, tag+" "); {
			var err error
			if line, err = r.ReadString('\n'); err != nil {
				t.Fatal(err)
			}
			if !strings.HasPrefix(line, want) {
				rest = append(rest, strings.TrimSpace(line))
			}
		}
		got := strings.Join(rest, "; ")
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
	slow := slowStore{letGo: make(chan struct{}), givenUp: make(chan struct{}, 1)}
	client, r := slowSession(t, "alice", slow, func(account, actor string) session.Store { return storage.SessionFor(account, actor) })
	if _, err := io.WriteString(client, "c SEARCH ALL\r\n"); err != nil {
		t.Fatal(err)
	}
	if _, err := r.ReadString('\n'); err != nil {
		t.Fatal(err)
	}
	if err := client.Close(); err != nil {
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
		slow := slowStore{letGo: make(chan struct{}), givenUp: make(chan struct{}, 1)}
		client, r := slowSession(t, user, slow, func(account, actor string) session.Store { return storage.SessionFor(account, actor) })
		if _, err := io.WriteString(client, "c "+c.cmd+"\r\n"); err != nil {
			t.Fatal(err)
		}
		if _, err := r.ReadString('\n'); err != nil { // it is under way
			t.Fatal(err)
		}
		do("a SELECT INBOX\r\na STORE 2 +FLAGS (\\Deleted)\r\nb EXPUNGE\r\n")
		close(slow.letGo)
		var got []string
		for line := ""; !strings.HasPrefix(line, "c "); {
			var err error
			if line, err = r.ReadString('\n'); err != nil {
				t.Fatal(err)
			}
			if !strings.Contains(line, "INPROGRESS") {
				got = append(got, strings.TrimSpace(line))
			}
		}
		all := strings.Join(got, "; ")
		expunged := strings.Contains(all, "c OK [EXPUNGEISSUED]") || strings.Contains(all, "* 2 EXPUNGE")
		if !strings.Contains(all, c.result) || !expunged {
			t.Errorf("%s: %s", c.cmd, all)
		}
	}
}
