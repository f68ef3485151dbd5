package node_test

import (
	"sync/atomic"
	"testing"
	"time"

	"github.com/quorumail/quorumail/node"
)

// A bit is flipped in mail that nobody reads: the node finds it by itself, and is built
// anew.
func TestDamageIsFoundThoughNobodyReads(t *testing.T) {
	var failed atomic.Pointer[error]
	c, _ := withMail(t, func(cfg *node.Config) {
		cfg.Scrub = 50 * time.Millisecond
		cfg.OnFatal = func(err error) { failed.Store(&err) }
	})
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
