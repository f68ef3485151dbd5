package imapfront_test

import (
	"context"
	"log/slog"
	"net"
	"sync"
	"testing"
	"time"

	"github.com/quorumail/quorumail/imapfront/auth"
	"github.com/quorumail/quorumail/imapfront/session"
	"github.com/quorumail/quorumail/imapfront/transcript"
	"github.com/quorumail/quorumail/imapfront/wire"
	"github.com/quorumail/quorumail/node/nodetest"
	pb "github.com/quorumail/quorumail/proto/quorumail/v1"
)

// unwatched is storage whose watches tell nothing, as if each event came late.
type unwatched struct{ session.Store }

func (unwatched) Watch(uint64, func(*pb.WatchResponse, error)) func() { return func() {} }

// runUnwatched runs a transcript on connections whose storage is like that.
func runUnwatched(t *testing.T, script *transcript.Script) {
	t.Helper()
	c := nodetest.Start(t, nodetest.Options{Nodes: 1, Shards: 1})
	const user = "alice@example.org"
	c.CreateAccount(t, user, "secret")
	storage := c.Client(t)
	cfg := session.Config{
		Storage:  func(account, actor string) session.Store { return unwatched{storage.SessionFor(account, actor)} },
		Verifier: auth.New(), Secret: storage.ClusterID, Limits: wire.DefaultLimits(),
		LoginTimeout: time.Minute, IdleTimeout: time.Minute, WriteTimeout: time.Minute, ProgressEvery: time.Minute,
		Log: slog.New(slog.DiscardHandler),
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }() // nobody dials any more
	var served sync.WaitGroup
	defer served.Wait()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	transcript.Run(t, script, transcript.Server{User: user, Password: "secret", Dial: func() (net.Conn, error) {
		client, err := net.Dial("tcp", l.Addr().String())
		if err != nil {
			return nil, err
		}
		server, err := l.Accept()
		if err != nil {
			return nil, err
		}
		served.Go(func() { session.New(&cfg, server, false).Serve(ctx) })
		return client, nil
	}})
}

// What another session did just before a STORE is known from the result of the STORE
// alone, if no watch has told of it yet.
func TestSilentStoreOvertaken_RFC9051_6_4_6(t *testing.T) {
	runUnwatched(t, scripts(t)["store-silent-overtaken"])
}

// That the selected mailbox is gone is not taken for a destination that is to be made.
func TestCopyFromWhatIsGone_RFC9051_7_1(t *testing.T) {
	for _, command := range []string{"copy 1 other", "uid move 1 other"} {
		script, err := transcript.Parse(`# RFC 9051, 7.1: TRYCREATE
connections: 2
messages: 1
state: auth

1 ok create other
1 ok create box
1 ok append box {{{
x
}}}
2 ok select box
...
1 ok delete box
2 no [NONEXISTENT] ` + command + `
* OK [CLOSED] $*
1 ok status other (messages)
* STATUS other (MESSAGES 0)
`)
		if err != nil {
			t.Fatal(err)
		}
		runUnwatched(t, script)
	}
}
