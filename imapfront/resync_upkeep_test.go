package imapfront_test

import (
	"context"
	"testing"
	"time"

	"github.com/quorumail/quorumail/node"
	"github.com/quorumail/quorumail/node/nodetest"
)

// forgotten waits until upkeep has forgotten expunges of INBOX.
func (h *resyncHistory) forgotten(c *nodetest.Cluster) {
	h.t.Helper()
	s := c.Client(h.t).Session(h.user)
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	for {
		list, err := s.ListMailboxes(ctx)
		if err != nil {
			h.t.Fatalf("nothing has been forgotten: %v", err)
		}
		for _, m := range list.GetMailboxes() {
			if m.GetName() == "INBOX" && m.GetExpungeFloor() > 0 {
				// It may go on, so more may be told than a queue that was whole would need.
				h.merged = m.GetHighestModSeq()
				return
			}
		}
	}
}

// What a client has kept and what it is told are the mailbox, also while storage
// forgets the oldest expunges by itself.
func TestResynchroniseWhileHistoryIsForgotten_RFC7162_3_2_6(t *testing.T) {
	c := nodetest.Start(t, nodetest.Options{Nodes: 1, Shards: 1, Adjust: func(cfg *node.Config) {
		cfg.Upkeep, cfg.ExpungeHistory = 5*time.Millisecond, 3
	}})
	addr, _ := front(t, c, nil)
	const user = "user@example.org"
	c.CreateAccount(t, user, "secret")
	h := newResyncHistory(t, 9208, addr, user, 4)
	for range 3 {
		for range 25 {
			h.step()
		}
		h.forgotten(c)
		h.judgeAll()
	}
}
