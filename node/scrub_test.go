package node_test

import (
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/quorumail/quorumail/node"
	"github.com/quorumail/quorumail/node/nodetest"
	"github.com/quorumail/quorumail/node/shard"
)

// A bit is flipped in mail that nobody reads: the node finds it by itself, and is built
// anew.
func TestDamageIsFoundThoughNobodyReads(t *testing.T) {
	var failed atomic.Pointer[error]
	c := nodetest.Start(t, nodetest.Options{Shards: 1, Adjust: func(cfg *node.Config) {
		cfg.Limits = shard.Limits{SnapshotBytes: 16 << 10, SnapshotEvery: time.Second, TrailingBytes: 1, TrailingLogs: 8}
		if cfg.ID == "n3" {
			cfg.Scrub = 50 * time.Millisecond
			cfg.OnFatal = func(err error) { failed.Store(&err) }
		}
	}})
	c.CreateAccount(t, "alice", "secret")
	u := login(t, c.Client(t), "alice")
	for i := range 40 {
		u.append(fmt.Sprintf("%d %s", i, strings.Repeat("body ", 1000)))
	}
	c.HashesEqual(t)
	was := c.Node("n3").ServerID()
	c.Stop(t, "n3")
	f, dir := c.Disk(t, "n3")
	path, part, _ := pickFlip(t, f, 0, files(t, f, dir)) // among the bodies
	if _, err := flip(f, path, part); err != nil {
		t.Fatal(err)
	}
	c.Restart(t, "n3")
	for deadline := time.Now().Add(30 * time.Second); failed.Load() == nil; time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("not found")
		}
	}
	c.Kill(t, "n3")
	failed.Store(nil)
	c.Restart(t, "n3")
	c.Whole(t)
	if now := c.Node("n3").ServerID(); now == was {
		t.Error("not built anew")
	}
	c.HashesEqual(t)
	if err := failed.Load(); err != nil {
		t.Errorf("damaged again: %v", *err)
	}
}
