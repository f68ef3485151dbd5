package shard

import (
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"
)

// failAt lets one of the operations below a path that change a disk fail, fsyncs and
// renames of directories included. Safe for concurrent use.
type failAt struct {
	path string

	mu     sync.Mutex
	left   int // until then; 0: none fails
	count  int
	failed string
}

func (f *failAt) String() string { return "fail at" }

// MaybeError implements errorfs.Injector.
func (f *failAt) MaybeError(op errorfs.Op) error {
	if !strings.Contains(op.Path, f.path) || op.Kind != errorfs.OpOpenDir && op.Kind.ReadOrWrite() == errorfs.OpIsRead {
		return nil
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.count++
	if f.count != f.left {
		return nil
	}
	f.failed = fmt.Sprintf("operation %d of %s", op.Kind, op.Path)
	return &fs.PathError{Op: "write", Path: op.Path, Err: syscall.EIO}
}

func (f *failAt) what() string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.failed
}

// A follower whose disk fails while it receives a snapshot stops, at whichever of the
// operations on the file and its directory that is, and does not try the disk again.
// From what is on it, it comes back.
func TestDiskFailsWhileASnapshotIsReceived(t *testing.T) {
	for at := 1; ; at++ {
		f := &failAt{path: "received", left: at}
		receiveOnFailingDisk(t, f)
		if t.Failed() {
			t.Fatalf("operation %d: %s", at, f.what())
		}
		if f.what() == "" {
			t.Logf("%d operations", at-1)
			if at < 6 {
				t.Errorf("only %d operations: is nothing received?", at-1)
			}
			return
		}
	}
}

func receiveOnFailingDisk(t *testing.T, f *failAt) {
	h := newByHand(t, nil)
	n := h.follow(vfs.NewCrashableMem())
	h.add(3)
	h.commitAll(n)
	h.c.wrap = func(_ string, fs vfs.FS) vfs.FS { return errorfs.Wrap(fs, f) }
	disk := h.c.crash(n, 0, 1)
	h.add(5)
	h.commit, h.cut = h.last(), h.last()
	n, err := h.tryFollow(disk)
	if err == nil {
		err = h.replicate()
	}
	switch what := f.what(); {
	case what == "" && err != nil:
		t.Fatal(err)
	case what != "" && n == nil && !errors.Is(err, syscall.EIO):
		t.Errorf("does not start: %v", err)
	case what != "" && n != nil:
		select {
		case err := <-n.failed:
			if !errors.Is(err, syscall.EIO) {
				t.Errorf("stops with %v", err)
			}
		case <-time.After(10 * time.Second):
			t.Error("goes on")
		}
	}
	h.c.wrap = nil
	if n != nil {
		disk = h.c.crash(n, 50, uint64(f.left))
	}
	n = h.follow(disk)
	h.commitAll(n)
	if err := h.check(n); err != nil {
		t.Error(err)
	}
	h.c.stop(n)
}
