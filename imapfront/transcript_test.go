package imapfront_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/quorumail/quorumail/imapfront"
	"github.com/quorumail/quorumail/imapfront/transcript"
	"github.com/quorumail/quorumail/node/nodetest"
)

// front starts a frontend of a cluster on a loopback port.
func front(t testing.TB, c *nodetest.Cluster, change func(*imapfront.Config)) (addr string, srv *imapfront.Server) {
	t.Helper()
	cfg := imapfront.Config{Client: c.Client(t), Version: "test", Comment: "Shared comment", Admin: "mailto:postmaster@example.org"}
	if change != nil {
		change(&cfg)
	}
	srv, err := imapfront.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	served := make(chan error, 1)
	go func() { served <- srv.Serve(l) }()
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		defer cancel()
		if err := srv.Shutdown(ctx); err != nil && !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("shutdown: %v", err)
		}
		if err := <-served; err != nil {
			t.Errorf("serve: %v", err)
		}
	})
	return l.Addr().String(), srv
}

// scripts reads all transcripts.
func scripts(t testing.TB) map[string]*transcript.Script {
	t.Helper()
	files, err := filepath.Glob("testdata/*.imap")
	if err != nil || len(files) == 0 {
		t.Fatalf("no transcripts: %v", err)
	}
	all := make(map[string]*transcript.Script)
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		s, err := transcript.Parse(string(text))
		if err != nil {
			t.Fatalf("%s: %v", file, err)
		}
		all[strings.TrimSuffix(filepath.Base(file), ".imap")] = s
	}
	return all
}

// runAll runs all transcripts against frontends of a cluster.
func runAll(t *testing.T, c *nodetest.Cluster, between func(account string) func(int)) {
	var addrs []string
	for range 2 {
		addr, _ := front(t, c, nil)
		addrs = append(addrs, addr)
	}
	n := 0
	for name, s := range scripts(t) {
		n++
		user := fmt.Sprintf("user%d@example.org", n)
		t.Run(name, func(t *testing.T) {
			c.CreateAccount(t, user, "secret")
			dials := 0
			srv := transcript.Server{User: user, Password: "secret", Dial: func() (net.Conn, error) {
				dials++
				return net.Dial("tcp", addrs[dials%len(addrs)])
			}}
			if between != nil {
				srv.Between = between(user)
				srv.Timeout = 30 * time.Second
			}
			transcript.Run(t, s, srv)
		})
	}
}

// Every transcript on one replica, each connection on one of two frontends.
func TestTranscripts(t *testing.T) {
	runAll(t, nodetest.Start(t, nodetest.Options{Nodes: 1, Shards: 2}), nil)
}

// Every transcript on three replicas.
func TestTranscriptsReplicated(t *testing.T) {
	runAll(t, nodetest.Start(t, nodetest.Options{Nodes: 3, Shards: 2}), nil)
}

// Transcripts on three replicas whose leader is killed in the middle: the
// connections stay, and nothing that the client is told differs.
func TestTranscriptsWithLeaderKilled(t *testing.T) {
	c := nodetest.Start(t, nodetest.Options{Nodes: 3, Shards: 1})
	addr, _ := front(t, c, nil)
	all := scripts(t)
	for n, name := range []string{
		"append-multi", "condstore-unchangedsince", "expunge-not-during-fetch", "idle", "metadata-unsolicited", "move-vanished",
		"objectid-threadid-immutable", "qresync-select",
		"qresync-uid-fetch-vanished", "rename", "search-keys", "searchres", "store-told-to-others", "vanished-only-shown",
	} {
		s := all[name]
		if s == nil {
			t.Fatalf("no transcript %q", name)
		}
		t.Run(name, func(t *testing.T) {
			user := fmt.Sprintf("user%d@example.org", n)
			c.CreateAccount(t, user, "secret")
			killAt := 1 + n%max(len(s.Steps)-1, 1)
			killed := ""
			transcript.Run(t, s, transcript.Server{
				User: user, Password: "secret", Timeout: 30 * time.Second,
				Dial: func() (net.Conn, error) { return net.Dial("tcp", addr) },
				Between: func(step int) {
					if step == killAt {
						killed = c.KillLeader(t, user)
					}
				},
			})
			if killed != "" {
				c.Restart(t, killed)
			}
		})
	}
	c.HashesEqual(t)
}
