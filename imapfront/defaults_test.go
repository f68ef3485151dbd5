package imapfront

import (
	"testing"
	"time"

	"github.com/quorumail/quorumail/node/client"
)

// RFC 9051, 5.4: who has logged in is waited for for half an hour at least, if nobody
// has set anything else.
func TestPatienceByDefault_RFC9051_5_4(t *testing.T) {
	c, err := client.New(client.Config{Nodes: []string{"127.0.0.1:1"}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() }) // it has asked for nothing
	s, err := New(Config{Client: c})
	if err != nil {
		t.Fatal(err)
	}
	if got := s.sess.IdleTimeout; got < 30*time.Minute {
		t.Errorf("%v", got)
	}
}
