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

// What another session did just before a STORE is known from the result of the STORE
// alone, if no watch has told of it yet.
func TestSilentStoreOvertaken_RFC9051_6_4_6(t *testing.T) {
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
	var served sync.WaitGroup
	defer served.Wait()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	transcript.Run(t, scripts(t)["store-silent-overtaken"], transcript.Server{User: user, Password: "secret", Dial: func() (net.Conn, error) {
		client, server := net.Pipe()
		served.Go(func() { session.New(&cfg, server, false).Serve(ctx) })
		return client, nil
	}})
}
