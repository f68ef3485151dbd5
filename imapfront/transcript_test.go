package imapfront_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/quorumail/quorumail/imapfront"
	"github.com/quorumail/quorumail/imapfront/transcript"
	"github.com/quorumail/quorumail/node/nodetest"
)

// admin is the account of an administrator, for transcripts.
const admin = "admin@example.org"

// front starts a frontend of a cluster on a loopback port.
func front(t testing.TB, c *nodetest.Cluster, change func(*imapfront.Config)) (addr string, srv *imapfront.Server) {
	t.Helper()
	cfg := imapfront.Config{Client: c.Client(t), Version: "test", Comment: "Shared comment", Contact: "mailto:postmaster@example.org", Admins: []string{admin}}
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

// names returns the names of all transcripts, in order.
func names(all map[string]*transcript.Script) []string {
	return slices.Sorted(maps.Keys(all))
}

// runAll runs all transcripts against two frontends of a cluster.
func runAll(t *testing.T, c *nodetest.Cluster) {
	c.CreateAccount(t, admin, "secret")
	var addrs []string
	for range 2 {
		addr, _ := front(t, c, nil)
		addrs = append(addrs, addr)
	}
	all := scripts(t)
	for n, name := range names(all) {
		t.Run(name, func(t *testing.T) {
			user := fmt.Sprintf("user%d@example.org", n)
			c.CreateAccount(t, user, "secret")
			dials := 0
			transcript.Run(t, all[name], transcript.Server{User: user, Password: "secret", Another: another(t, c, user), Dial: func() (net.Conn, error) {
				dials++
				return net.Dial("tcp", addrs[dials%len(addrs)])
			}})
		})
	}
}

// Every transcript on one replica, each connection on one of two frontends.
func TestTranscripts(t *testing.T) {
	runAll(t, nodetest.Start(t, nodetest.Options{Nodes: 1, Shards: 2}))
}

// Every transcript on three replicas.
func TestTranscriptsReplicated(t *testing.T) {
	runAll(t, nodetest.Start(t, nodetest.Options{Nodes: 3, Shards: 2}))
}
