package node_test

import (
	"context"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/quorumail/quorumail/node"
	"github.com/quorumail/quorumail/node/client"
	"github.com/quorumail/quorumail/node/nodetest"
)

// filledDisk is a disk that says how much of it is free. Safe for concurrent use.
type filledDisk struct {
	vfs.FS
	free *atomic.Uint64
}

func (d filledDisk) GetDiskUsage(string) (vfs.DiskUsage, error) {
	return vfs.DiskUsage{AvailBytes: d.free.Load()}, nil
}

// When there is little space, commands are refused, as something that may do better
// later, while reads go on; when there is space again, commands are done again.
func TestFullDiskIsReadOnly(t *testing.T) {
	var free atomic.Uint64
	free.Store(1 << 30)
	c := nodetest.Start(t, nodetest.Options{Nodes: 1, Adjust: func(cfg *node.Config) {
		cfg.FS, cfg.MinFree = filledDisk{cfg.FS, &free}, 1<<20
	}})
	c.CreateAccount(t, "alice", "secret")
	u := login(t, c.Client(t), "alice")
	u.append("before")
	acked := uint64(1)
	free.Store(1<<20 - 1)
	for deadline := time.Now().Add(20 * time.Second); ; time.Sleep(100 * time.Millisecond) {
		ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
		_, err := u.Propose(ctx, appendEntry(message("in between")))
		cancel()
		if err == nil && time.Now().Before(deadline) {
			acked++ // it is looked at every few seconds
			continue
		}
		if !client.Retryable(err) || !strings.Contains(err.Error(), "disk is nearly full") {
			t.Fatalf("a command on a full disk: %v", err)
		}
		break
	}
	if _, uids := u.open(); uids.Len() != acked {
		t.Errorf("%d messages on the full disk, want %d", uids.Len(), acked)
	}
	free.Store(1 << 30)
	for deadline := time.Now().Add(20 * time.Second); ; time.Sleep(100 * time.Millisecond) {
		_, err := u.Propose(t.Context(), appendEntry(message("after")))
		if err == nil {
			break
		}
		if !client.Retryable(err) || time.Now().After(deadline) {
			t.Fatalf("a command when there is space again: %v", err)
		}
	}
	if _, uids := u.open(); uids.Len() != acked+1 {
		t.Errorf("%d messages, want %d: all that was accepted, and nothing that was refused", uids.Len(), acked+1)
	}
}

// When the disk of one node of three fills up, what it leads is handed over, and
// commands are done as before: none is refused.
func TestFullDiskOfOneNodeIsNotNoticed(t *testing.T) {
	free := make(map[string]*atomic.Uint64)
	for _, name := range []string{"n1", "n2", "n3"} {
		free[name] = &atomic.Uint64{}
		free[name].Store(1 << 30)
	}
	c := nodetest.Start(t, nodetest.Options{Shards: 1, Adjust: func(cfg *node.Config) {
		cfg.FS, cfg.MinFree = filledDisk{cfg.FS, free[cfg.ID]}, 1<<20
	}})
	c.CreateAccount(t, "alice", "secret")
	u := login(t, c.Client(t), "alice")
	was := c.Leader(t, "alice")
	free[was].Store(0)
	for deadline := time.Now().Add(20 * time.Second); c.Leader(t, "alice") == was; time.Sleep(10 * time.Millisecond) {
		u.append("while it leads")
		if time.Now().After(deadline) {
			t.Fatalf("%s goes on leading", was)
		}
	}
	for range 20 {
		u.append("after")
	}
}
