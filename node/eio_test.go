package node_test

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io/fs"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"

	"github.com/quorumail/quorumail/node"
	"github.com/quorumail/quorumail/node/client"
	"github.com/quorumail/quorumail/node/nodetest"
	"github.com/quorumail/quorumail/node/shard"
)

var eioPoints = flag.Int("eio-points", 10, "at how many writes and fsyncs TestFailedWriteEndsTheNode has one fail")

// failOnce lets one write or fsync of a disk fail, and looks whether an fsync is tried
// again after it has failed. Safe for concurrent use.
type failOnce struct {
	mu      sync.Mutex
	armed   bool
	at      int // that is to fail, counted from 1; 0: none
	count   int
	failed  string // what has failed
	synced  string // path of the fsync that has failed
	retried bool
}

func (f *failOnce) String() string { return "fail once" }

// MaybeError implements errorfs.Injector.
func (f *failOnce) MaybeError(op errorfs.Op) error {
	sync := false
	switch op.Kind {
	case errorfs.OpFileSync, errorfs.OpFileSyncData, errorfs.OpFileSyncTo:
		sync = true
	case errorfs.OpCreate, errorfs.OpFileWrite, errorfs.OpFileWriteAt, errorfs.OpRename, errorfs.OpReuseForWrite, errorfs.OpOpenDir, errorfs.OpLink:
	default:
		return nil
	}
	if strings.HasSuffix(op.Path, ".blob") || strings.Contains(op.Path, "MANIFEST") {
		return nil // what comes then needs a process; see TestFailedWriteEndsTheProcess
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if !f.armed {
		return nil
	}
	f.retried = f.retried || sync && f.synced != "" && op.Path == f.synced
	f.count++
	if f.count != f.at {
		return nil
	}
	f.failed = fmt.Sprintf("operation %d on %s, fsync %v", op.Kind, op.Path, sync)
	if sync {
		f.synced = op.Path
	}
	return &fs.PathError{Op: "write", Path: op.Path, Err: syscall.EIO}
}

// end returns what has failed. If nothing has, nothing will: not the start that follows.
func (f *failOnce) end() (failed string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.armed = f.armed && f.failed != ""
	return f.failed
}

// over says that the node has ended: what this process goes on to do, no other would.
func (f *failOnce) over() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.armed = false
}

func (f *failOnce) triedAgain() bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.retried
}

// A write or an fsync that fails, of the log or the state, ends the node with that error, and
// is not tried again. All that had been acknowledged is there when the node starts on
// what the disk has then.
func TestFailedWriteEndsTheNode(t *testing.T) {
	all := &failOnce{}
	failAt(t, all)
	if all.count < 20 {
		t.Fatalf("%d writes and fsyncs, want more", all.count)
	}
	for i := range *eioPoints {
		f := &failOnce{at: 1 + i*all.count / *eioPoints}
		t.Run(fmt.Sprint(f.at), func(t *testing.T) { failAt(t, f) })
	}
}

func failAt(t *testing.T, f *failOnce) {
	var disk vfs.FS
	var told atomic.Pointer[error]
	c := nodetest.Start(t, nodetest.Options{Nodes: 1, Adjust: func(cfg *node.Config) {
		cfg.Limits = shard.Limits{SnapshotBytes: 16 << 10, SnapshotEvery: 20 * time.Millisecond, TrailingBytes: 1, TrailingLogs: 8}
		cfg.OnFatal = func(err error) {
			f.over()
			told.Store(&err)
		}
		if disk == nil {
			disk = errorfs.Wrap(cfg.FS, f)
			cfg.FS = disk
		}
	}})
	c.CreateAccount(t, "alice", "secret")
	u := login(t, c.Client(t), "alice")
	f.mu.Lock()
	f.armed = true
	f.mu.Unlock()
	acked := make(map[string]bool)
	for i := 0; i < 40 && told.Load() == nil; i++ {
		text := fmt.Sprintf("%d %s", i, strings.Repeat("body ", 1000))
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		if _, err := u.Propose(ctx, appendEntry(message(text))); err == nil {
			acked[text] = true
		} else if !client.Retryable(err) && told.Load() == nil {
			t.Errorf("append: %v", err)
		}
		cancel()
	}
	failed := f.end()
	for deadline := time.Now().Add(5 * time.Second); failed != "" && told.Load() == nil && time.Now().Before(deadline); {
		time.Sleep(time.Millisecond)
	}
	retried := f.triedAgain()
	switch {
	case failed != "" && told.Load() == nil:
		t.Errorf("%s: the node goes on", failed)
	case failed != "" && !errors.Is(*told.Load(), syscall.EIO):
		t.Errorf("%s: the node ends with %v", failed, *told.Load())
	case retried:
		t.Errorf("%s: was tried again", failed)
	}
	c.Kill(t, "n1")
	told.Store(nil)
	c.Restart(t, "n1")
	if _, uids := u.open(); uids.Len() < uint64(len(acked)) {
		t.Errorf("%s: %d messages, %d were acknowledged", failed, uids.Len(), len(acked))
	}
	c.HashesEqual(t)
	if why := told.Load(); why != nil {
		t.Errorf("%s: after the restart: %v", failed, *why)
	}
	t.Logf("%s; %d were acknowledged", failed, len(acked))
}
