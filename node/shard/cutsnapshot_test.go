package shard

import (
	"bytes"
	"errors"
	"io"
	"math/rand/v2"
	"slices"
	"testing"
	"testing/iotest"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/hashicorp/raft"
)

// behindASnapshot returns a leader whose log is cut, and a follower that is behind it.
func behindASnapshot(t *testing.T) (*byHand, *testNode) {
	t.Helper()
	h := newByHand(t, nil)
	n := h.follow(vfs.NewCrashableMem())
	h.add(3)
	h.commitAll(n)
	if err := n.Snapshot(ask(t)); err != nil { // so that a crash leaves the state
		t.Fatal(err)
	}
	h.add(5)
	h.commit, h.cut = h.last(), h.last()
	h.publish()
	return h, n
}

// wantUntouched checks that a snapshot which was not whole has left nothing behind.
func (h *byHand) wantUntouched(n *testNode, items []string) {
	h.t.Helper()
	if got := n.toy.list(); !slices.Equal(got, items) {
		h.t.Errorf("state is %q, was %q", got, items)
	}
	if err := h.check(n); err != nil {
		h.t.Error(err)
	}
	deadline := time.Now().Add(20 * time.Second)
	for {
		names, err := n.fs.List("received")
		if err != nil {
			h.t.Fatal(err)
		}
		if len(names) == 0 && n.snaps.received() == nil {
			return
		}
		if time.Now().After(deadline) {
			h.t.Errorf("left behind: %v, %v", names, n.snaps.received())
			return
		}
		time.Sleep(time.Millisecond) // the sender is not told that the file is gone
	}
}

// A transfer that breaks at any octet is refused, and the next one is taken.
func TestSnapshotCutInTransfer(t *testing.T) {
	h, n := behindASnapshot(t)
	before := n.toy.list()
	size := len(h.state(h.cut))
	for at := range size + 1 {
		err := h.install(h.cut, func(r io.Reader) io.Reader {
			return io.MultiReader(io.LimitReader(r, int64(at)), iotest.ErrReader(errors.New("cut")))
		})
		if err == nil {
			t.Errorf("cut at octet %d of %d: accepted", at, size)
		}
		if h.wantUntouched(n, before); t.Failed() {
			t.Fatalf("cut at octet %d of %d", at, size)
		}
	}
	h.commitAll(n)
	if err := h.check(n); err != nil {
		t.Error(err)
	}
}

// A crash finds a snapshot that was received and not yet taken in, whose file is cut at
// any octet, which no crash does, but a disk may. The replica comes up as it was before,
// and asks for another; with the whole file it asks nobody.
func TestReceivedFileIsCut(t *testing.T) {
	h, n := behindASnapshot(t)
	before := n.toy.list()
	k, err := n.snaps.Create(1, h.cut, h.log[h.cut-1].Term, raft.DecodeConfiguration(h.log[0].Data), 1, nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.Copy(k, bytes.NewReader(h.state(h.cut))); err != nil {
		t.Fatal(err)
	}
	if err := k.Close(); err != nil {
		t.Fatal(err)
	}
	disk := h.c.crash(n, 0, 3)
	path := disk.PathJoin("received", k.ID())
	whole := readFile(t, disk, path)
	for at := range len(whole) {
		d := disk.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: 0, RNG: rand.New(rand.NewPCG(1, 1))})
		replaceFile(t, d, path, whole[:at])
		n := h.follow(d)
		if h.wantUntouched(n, before); t.Failed() {
			t.Fatalf("file cut at octet %d of %d", at, len(whole))
		}
		if at%10 == 0 {
			h.commitAll(n)
			if err := h.check(n); err != nil {
				t.Fatalf("file cut at octet %d of %d: %v", at, len(whole), err)
			}
		}
		h.c.stop(n)
		h.acked = 0
	}
	n = h.follow(disk)
	if want, _, _ := h.items(h.cut); !slices.Equal(n.toy.list(), want) {
		t.Errorf("from the whole file: %q, want %q", n.toy.list(), want)
	}
}

func readFile(t *testing.T, fs vfs.FS, path string) []byte {
	t.Helper()
	f, err := fs.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	b, err := io.ReadAll(f)
	if err := errors.Join(err, f.Close()); err != nil {
		t.Fatal(err)
	}
	return b
}

func replaceFile(t *testing.T, fs vfs.FS, path string, b []byte) {
	t.Helper()
	f, err := fs.Create(path, vfs.WriteCategoryUnspecified)
	if err != nil {
		t.Fatal(err)
	}
	_, err = f.Write(b)
	if err := errors.Join(err, f.Close()); err != nil {
		t.Fatal(err)
	}
}
