package raftlog

import (
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"syscall"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"
	"github.com/hashicorp/raft"
)

// A disk that fails, at whichever operation that changes it, files made, renamed and
// removed and directories synced included, fails the store, and nothing is acknowledged
// from then on. What had been is there when the disk is opened again.
func TestFailedDisk(t *testing.T) {
	for at := 1; ; at++ {
		mem := vfs.NewCrashableMem()
		count, what := 0, ""
		disk := errorfs.Wrap(mem, errorfs.InjectorFunc(func(op errorfs.Op) error {
			if op.Kind != errorfs.OpOpenDir && op.Kind.ReadOrWrite() == errorfs.OpIsRead {
				return nil
			}
			if count++; count != at {
				return nil
			}
			what = fmt.Sprintf("operation %d of %s", op.Kind, op.Path)
			return &fs.PathError{Op: "write", Path: op.Path, Err: syscall.EIO}
		}))
		var told error
		acked, err := writeUntilItFails(disk, func(err error) { told = err })
		if what != "" && err == nil {
			t.Errorf("%d, %s: nothing is told", at, what)
		}
		if err != nil && !errors.Is(err, syscall.EIO) && !errors.Is(told, syscall.EIO) {
			t.Errorf("%d, %s: told %v, %v", at, what, err, told)
		}
		for seed, unsynced := range []int{0, 50, 100} {
			left := mem.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: unsynced, RNG: rand.New(rand.NewPCG(uint64(seed), uint64(at)))})
			wantAcked(t, left, acked, fmt.Sprintf("%d, %s, %d %% unsynced", at, what, unsynced))
		}
		if t.Failed() || what == "" {
			t.Logf("%d operations", at-1)
			return
		}
	}
}

// writeUntilItFails uses a log as Raft does, with segments so small that they are freed
// and written over. It returns the last index that was acknowledged.
func writeUntilItFails(disk vfs.FS, onFatal func(error)) (acked uint64, err error) {
	s, err := Open(disk, "log", Options{SegmentBytes: 400, OnFatal: onFatal})
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, s.Close(), s.Err()) }()
	g, err := s.Group(1)
	if err != nil {
		return 0, err
	}
	for i := uint64(1); i <= 40; i++ {
		if err := g.StoreLogs(entries(i, i, 1)); err != nil {
			return acked, err
		}
		acked = i
		if i%7 == 0 {
			if err := g.DeleteRange(1, i-3); err != nil {
				return acked, err
			}
		}
	}
	return acked, nil
}

func wantAcked(t *testing.T, disk vfs.FS, acked uint64, what string) {
	t.Helper()
	s, err := Open(disk, "log", Options{SegmentBytes: 400})
	if err != nil {
		t.Errorf("%s: does not open: %v", what, err)
		return
	}
	defer s.Close()
	g := group(t, s, 1)
	if last, _ := g.LastIndex(); last < acked || last > acked+1 {
		t.Errorf("%s: log ends at %d, acknowledged was %d", what, last, acked)
		return
	}
	first, _ := g.FirstIndex()
	for i := first; i <= acked && acked > 0; i++ {
		var l raft.Log
		if err := g.GetLog(i, &l); err != nil || string(l.Data) != string(entries(i, i, 1)[0].Data) {
			t.Errorf("%s: entry %d: %q, %v", what, i, l.Data, err)
		}
	}
}
