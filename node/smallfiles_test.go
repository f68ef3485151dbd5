package node

import (
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"math/rand/v2"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"
)

// onFailingDisk runs do once for each operation that changes the disk, with that one
// failing, and then with none; each time on a disk of its own that prepare has made. It
// gives after what a crash right behind it has left, with some of what was not synced.
func onFailingDisk(t *testing.T, prepare func(vfs.FS), do func(vfs.FS) error, after func(what string, failed bool, left vfs.FS)) {
	t.Helper()
	for at := 1; ; at++ {
		mem := vfs.NewCrashableMem()
		prepare(mem)
		count, what := 0, "nothing"
		f := errorfs.Wrap(mem, errorfs.InjectorFunc(func(op errorfs.Op) error {
			if op.Kind != errorfs.OpOpenDir && op.Kind.ReadOrWrite() == errorfs.OpIsRead || op.Kind == errorfs.OpFileClose {
				return nil
			}
			if count++; count != at {
				return nil
			}
			what = fmt.Sprintf("operation %d of %s", op.Kind, op.Path)
			return &fs.PathError{Op: "write", Path: op.Path, Err: syscall.EIO}
		}))
		err := do(f)
		failed := count >= at
		if failed != errors.Is(err, syscall.EIO) {
			t.Fatalf("%d, %s: %v", at, what, err)
		}
		for seed, unsynced := range []int{0, 50, 100} {
			left := mem.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: unsynced, RNG: rand.New(rand.NewPCG(uint64(seed), uint64(at)))})
			after(fmt.Sprintf("%d, %s, %d %% unsynced", at, what, unsynced), failed, left)
		}
		if !failed {
			return
		}
	}
}

// A data directory is made a node's whole or not at all, whichever operation on the
// disk fails; the next start makes it, and from then on it stays what it is.
func TestIdentityOnAFailingDisk(t *testing.T) {
	var made identity
	onFailingDisk(t, func(vfs.FS) {}, func(f vfs.FS) (err error) {
		made, err = claim(f, "data/n1", "n1", "c")
		return err
	}, func(what string, failed bool, left vfs.FS) {
		first, err := claim(left, "data/n1", "n1", "c")
		if err != nil {
			t.Fatalf("%s: next start: %v", what, err)
		}
		if !failed && first != made {
			t.Errorf("%s: identity %v, was %v", what, first, made)
		}
		again, err := claim(left, "data/n1", "n1", "c")
		if err != nil || again != first || first.Incarnation == "" {
			t.Errorf("%s: identity %v, then %v, %v", what, first, again, err)
		}
	})
}

// Who founded the cluster is what was written last, or what was there before.
func TestFoundersOnAFailingDisk(t *testing.T) {
	list := []string{"n1~a", "n2~b", "n3~c"}
	for _, before := range [][]string{nil, {"n1~old"}} {
		prepare := func(f vfs.FS) {
			if err := f.MkdirAll("data", 0o755); err != nil {
				t.Fatal(err)
			}
			if err := errors.Join(syncDir(f, ""), syncDir(f, "data")); err != nil {
				t.Fatal(err)
			}
			if before != nil {
				if err := writeJSON(f, "data", foundersFile, founders{before}); err != nil {
					t.Fatal(err)
				}
			}
		}
		onFailingDisk(t, prepare, func(f vfs.FS) error {
			return writeJSON(f, "data", foundersFile, founders{list})
		}, func(what string, failed bool, left vfs.FS) {
			got, err := readFounders(left, "data")
			if err != nil || !slices.Equal(got, list) && !(failed && slices.Equal(got, before)) {
				t.Errorf("%s: founders %v, %v", what, got, err)
			}
		})
	}
}

// To set data aside may be cut short anywhere: the next start goes on with it, and all
// that there was is there, in one directory.
func TestSetAsideOnAFailingDisk(t *testing.T) {
	const content = "what there was"
	prepare := func(f vfs.FS) {
		if _, err := claim(f, "data", "n1", "c"); err != nil {
			t.Fatal(err)
		}
		for _, path := range []string{"data/state/1.sst", "data/raftlog/1.seg", "data/founders.json", "data/damaged-0/old"} {
			if err := errors.Join(f.MkdirAll(f.PathDir(path), 0o755), put(f, path, content), syncDir(f, f.PathDir(path))); err != nil {
				t.Fatal(err)
			}
		}
		if err := writeJSON(f, "data", damagedFile, damage{Why: "a bit"}); err != nil {
			t.Fatal(err)
		}
	}
	setAside := func(f vfs.FS) error {
		n := &Node{cfg: Config{ID: "n1", Cluster: "c", DataDir: "data", FS: f}, log: slog.New(slog.DiscardHandler)}
		var d damage
		if err := readJSON(f, n.path(damagedFile), &d); err != nil {
			return err
		}
		_, err := n.setAside(d)
		return err
	}
	onFailingDisk(t, prepare, setAside, func(what string, failed bool, left vfs.FS) {
		if err := setAside(left); err != nil && !(errors.Is(err, fs.ErrNotExist) && gone(left, "data/"+damagedFile)) {
			t.Fatalf("%s: next start: %v", what, err)
		}
		names, err := left.List("data")
		if err != nil {
			t.Fatal(err)
		}
		aside := slices.DeleteFunc(slices.Clone(names), func(name string) bool { return !strings.HasPrefix(name, asidePrefix) })
		if len(aside) != 1 {
			t.Fatalf("%s: set aside: %v", what, aside)
		}
		for _, path := range []string{"state/1.sst", "raftlog/1.seg", "founders.json"} {
			if gone(left, "data/"+aside[0]+"/"+path) {
				t.Errorf("%s: %s is gone", what, path)
			}
		}
		if id, err := claim(left, "data", "n1", "c"); err != nil || !id.Rejoins {
			t.Errorf("%s: identity %v, %v", what, id, err)
		}
	})
}

func gone(f vfs.FS, path string) bool {
	_, err := f.Stat(path)
	return errors.Is(err, fs.ErrNotExist)
}

func put(f vfs.FS, path, content string) error {
	file, err := f.Create(path, vfs.WriteCategoryUnspecified)
	if err != nil {
		return err
	}
	_, err = file.Write([]byte(content))
	return errors.Join(err, file.Sync(), file.Close())
}
