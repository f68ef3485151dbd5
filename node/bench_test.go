package node_test

import (
	"context"
	"testing"

	"github.com/quorumail/quorumail/node/nodetest"
)

// BenchmarkAppend measures the whole way of a small message to three nodes: from
// the client library to the answer. Disks are real, in a temporary directory.
func BenchmarkAppend(b *testing.B) {
	c := nodetest.Start(b, nodetest.Options{Dir: b.TempDir(), Shards: 4})
	cl := c.Client(b)
	names := []string{"a", "b", "c", "d", "e", "f", "g", "h"}
	for _, name := range names {
		c.CreateAccount(b, name, "secret")
	}
	for _, load := range []struct {
		name    string
		clients int
	}{{"1-client", 1}, {"32-clients", 32}} {
		b.Run(load.name, func(b *testing.B) {
			work := make(chan struct{}, load.clients)
			done := make(chan error, load.clients)
			for i := range load.clients {
				go func() {
					s := cl.Session(names[i%len(names)])
					var err error
					for range work {
						if _, e := s.Propose(context.Background(), appendEntry(message("hello"))); e != nil {
							err = e
						}
					}
					done <- err
				}()
			}
			for b.Loop() {
				work <- struct{}{}
			}
			close(work)
			for range load.clients {
				if err := <-done; err != nil {
					b.Error(err)
				}
			}
		})
	}
}

// BenchmarkOpenMailbox measures a linearizable read: a quorum is asked.
func BenchmarkOpenMailbox(b *testing.B) {
	c := nodetest.Start(b, nodetest.Options{Shards: 1})
	c.CreateAccount(b, "a", "secret")
	s := c.Client(b).Session("a")
	for b.Loop() {
		if _, err := s.OpenMailbox(context.Background(), "INBOX", 0, nil, nil); err != nil {
			b.Fatal(err)
		}
	}
}
