package raftlog

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"
	"github.com/hashicorp/raft"
	"pgregory.net/rapid"
)

func open(t testing.TB, fs vfs.FS) *Store {
	t.Helper()
	s, err := Open(fs, "log", Options{OnFatal: func(err error) { t.Errorf("fatal: %v", err) }})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func group(t testing.TB, s *Store, id uint32) *Group {
	t.Helper()
	g, err := s.Group(id)
	if err != nil {
		t.Fatal(err)
	}
	return g
}

func entries(first, last, term uint64) []*raft.Log {
	var out []*raft.Log
	for i := first; i <= last; i++ {
		out = append(out, &raft.Log{Index: i, Term: term, Data: fmt.Appendf(nil, "entry %d of term %d", i, term)})
	}
	return out
}

func mustStore(t testing.TB, g *Group, logs []*raft.Log) {
	t.Helper()
	if err := g.StoreLogs(logs); err != nil {
		t.Fatal(err)
	}
}

func wantBounds(t testing.TB, g *Group, first, last uint64) {
	t.Helper()
	f, _ := g.FirstIndex()
	l, _ := g.LastIndex()
	if f != first || l != last {
		t.Fatalf("log has %d to %d, want %d to %d", f, l, first, last)
	}
}

func TestEntriesSurviveReopening(t *testing.T) {
	fs := vfs.NewMem()
	s := open(t, fs)
	at := time.Unix(1700000000, 123)
	want := []*raft.Log{
		{Index: 1, Term: 1, Type: raft.LogConfiguration, Data: []byte("config")},
		{Index: 2, Term: 1, Type: raft.LogNoop},
		{Index: 3, Term: 300, Type: raft.LogCommand, Data: []byte("data"), Extensions: []byte("ext"), AppendedAt: at},
	}
	mustStore(t, group(t, s, 7), want)
	mustStore(t, group(t, s, 8), entries(1, 4, 1))
	for range 2 {
		g := group(t, s, 7)
		wantBounds(t, g, 1, 3)
		wantBounds(t, group(t, s, 8), 1, 4)
		for _, w := range want {
			var l raft.Log
			if err := g.GetLog(w.Index, &l); err != nil {
				t.Fatal(err)
			}
			if fmt.Sprint(l.Index, l.Term, l.Type, l.Data, l.Extensions) != fmt.Sprint(w.Index, w.Term, w.Type, w.Data, w.Extensions) || !l.AppendedAt.Equal(w.AppendedAt) {
				t.Errorf("got %+v, want %+v", l, w)
			}
		}
		var l raft.Log
		if err := g.GetLog(4, &l); !errors.Is(err, raft.ErrLogNotFound) {
			t.Errorf("entry after the last: %v", err)
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
		s = open(t, fs)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
}

func TestStableValues(t *testing.T) {
	fs := vfs.NewCrashableMem()
	s := open(t, fs)
	g := group(t, s, 1)
	if _, err := g.Get([]byte("x")); err == nil || err.Error() != "not found" {
		t.Errorf("missing key: %v", err)
	}
	if _, err := g.GetUint64([]byte("x")); err == nil || err.Error() != "not found" {
		t.Errorf("missing number: %v", err)
	}
	check := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	check(g.SetUint64([]byte("CurrentTerm"), 5))
	check(g.SetUint64([]byte("LastVoteTerm"), 5))
	if v, err := g.GetUint64([]byte("LastVoteTerm")); v != 5 || err != nil {
		t.Errorf("vote not visible: %d, %v", v, err)
	}
	check(g.SetAll(map[string][]byte{"note": []byte("n"), "gone": nil}))
	half := fs.CrashClone(vfs.CrashCloneCfg{})
	check(g.Set([]byte("LastVoteCand"), []byte("b")))
	whole := fs.CrashClone(vfs.CrashCloneCfg{})
	check(s.Close())

	s = open(t, half)
	g = group(t, s, 1)
	if v, err := g.GetUint64([]byte("CurrentTerm")); v != 5 || err != nil {
		t.Errorf("term after crash: %d, %v", v, err)
	}
	if v, err := g.Get([]byte("note")); string(v) != "n" || err != nil {
		t.Errorf("note after crash: %q, %v", v, err)
	}
	if v, err := g.GetUint64([]byte("LastVoteTerm")); err == nil {
		t.Errorf("half a vote survived a crash: %d", v)
	}
	check(s.Close())

	s = open(t, whole)
	g = group(t, s, 1)
	v, err := g.GetUint64([]byte("LastVoteTerm"))
	c, err2 := g.Get([]byte("LastVoteCand"))
	if v != 5 || string(c) != "b" || err != nil || err2 != nil {
		t.Errorf("vote after crash: %d for %q, %v, %v", v, c, err, err2)
	}
	check(s.Close())
}

func TestGapDropsWhatIsBefore(t *testing.T) {
	s := open(t, vfs.NewMem())
	defer s.Close()
	g := group(t, s, 1)
	mustStore(t, g, entries(1, 10, 1))
	mustStore(t, g, entries(100, 101, 3))
	wantBounds(t, g, 100, 101)
	var l raft.Log
	if err := g.GetLog(10, &l); !errors.Is(err, raft.ErrLogNotFound) {
		t.Errorf("entry before the gap: %v", err)
	}
	if err := g.GetLog(100, &l); err != nil || l.Term != 3 {
		t.Errorf("entry after the gap: %+v, %v", l, err)
	}
}

func TestRemoveLeavesOthersAlone(t *testing.T) {
	s := open(t, vfs.NewMem())
	defer s.Close()
	for id := range uint32(3) {
		mustStore(t, group(t, s, id), entries(1, 3, 1))
	}
	if err := s.Remove(1); err != nil {
		t.Fatal(err)
	}
	wantBounds(t, group(t, s, 0), 1, 3)
	wantBounds(t, group(t, s, 1), 0, 0)
	wantBounds(t, group(t, s, 2), 1, 3)
}

func TestCacheIsBoundedInOctets(t *testing.T) {
	s, err := Open(vfs.NewMem(), "log", Options{CacheBytes: 10_000})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	g := group(t, s, 1)
	for i := uint64(1); i <= 200; i++ {
		mustStore(t, g, []*raft.Log{{Index: i, Term: 1, Data: make([]byte, 100)}})
	}
	s.cache.mu.Lock()
	size, n := s.cache.mu.size, len(s.cache.mu.groups[1])
	s.cache.mu.Unlock()
	if size > 10_000 || n < 20 {
		t.Errorf("cache holds %d octets, %d entries", size, n)
	}
	for i := uint64(1); i <= 200; i++ {
		var l raft.Log
		if err := g.GetLog(i, &l); err != nil || len(l.Data) != 100 || l.Index != i {
			t.Fatalf("entry %d: %+v, %v", i, l, err)
		}
	}
}

func TestSizes(t *testing.T) {
	s := open(t, vfs.NewMem())
	defer s.Close()
	g := group(t, s, 1)
	for i := uint64(1); i <= 1000; i++ {
		mustStore(t, g, []*raft.Log{{Index: i, Term: 1, Data: make([]byte, 96)}}) // 100 octets each
	}
	near := func(what string, got, want, by int64) {
		t.Helper()
		if got < want-by || got > want+by {
			t.Errorf("%s: got %d, want about %d", what, got, want)
		}
	}
	near("all", g.BytesAfter(0), 100_000, 200)
	near("half", g.BytesAfter(500), 50_000, 200)
	near("none", g.BytesAfter(1000), 0, 0)
	near("trailing", int64(g.Trailing(20_000)), 200, 2)
	if err := g.DeleteRange(1, 700); err != nil {
		t.Fatal(err)
	}
	near("all that is left", g.BytesAfter(0), 30_000, 200)
	near("after truncation", g.BytesAfter(900), 10_000, 200)
	if err := g.DeleteRange(901, 1000); err != nil {
		t.Fatal(err)
	}
	near("without tail", g.BytesAfter(0), 20_000, 200)
	near("trailing more than there is", int64(g.Trailing(1<<40)), 200, 0)
}

// TestFailedSyncIsFinal lets one fsync of the write-ahead log fail. The append
// must not be acknowledged, nor any later one.
func TestFailedSyncIsFinal(t *testing.T) {
	var arm errorfs.Toggle
	arm.Injector = errorfs.ErrInjected.If(errorfs.And(errorfs.PathMatch("*/*.seg"), errorfs.Predicate(syncOnly{})))
	fs := errorfs.Wrap(vfs.NewMem(), &arm)
	told := make(chan error, 2)
	s, err := Open(fs, "log", Options{OnFatal: func(err error) { told <- err }})
	if err != nil {
		t.Fatal(err)
	}
	g := group(t, s, 1)
	mustStore(t, g, entries(1, 1, 1))
	arm.On()
	if err := g.StoreLogs(entries(2, 2, 1)); !errors.Is(err, ErrFailed) {
		t.Errorf("append with a failed fsync: %v", err)
	}
	arm.Off()
	if err := g.StoreLogs(entries(2, 2, 1)); !errors.Is(err, ErrFailed) {
		t.Errorf("append after a failed fsync: %v", err)
	}
	done := make(chan bool, 1)
	go func() {
		defer close(done)
		_ = g.SetUint64([]byte("CurrentTerm"), 9)
		done <- true
	}()
	if returned := <-done; returned {
		t.Error("the library was let go on without its term")
	}
	if err := <-told; err == nil || len(told) != 0 {
		t.Errorf("told %v, and then %d more", err, len(told))
	}
	if s.Err() == nil {
		t.Error("the store does not know that it failed")
	}
}

type syncOnly struct{}

func (syncOnly) String() string { return "Sync" }

func (syncOnly) Evaluate(op errorfs.Op) bool {
	return op.Kind == errorfs.OpFileSync || op.Kind == errorfs.OpFileSyncData || op.Kind == errorfs.OpFileSyncTo
}

func TestEntryDecodingIsTotal(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var l raft.Log
		_ = getEntry(rapid.SliceOf(rapid.Byte()).Draw(t, "bytes"), &l)
	})
}

// The library reads the log for its metrics without being waited for: also when the
// store is closed, which is no failure of it.
func TestReadAfterClose(t *testing.T) {
	failed := make(chan error, 1)
	s, err := Open(vfs.NewMem(), "log", Options{CacheBytes: 1, OnFatal: func(err error) { failed <- err }})
	if err != nil {
		t.Fatal(err)
	}
	g, err := s.Group(1)
	if err != nil {
		t.Fatal(err)
	}
	if err := g.StoreLog(&raft.Log{Index: 1, Term: 1, Data: make([]byte, 1000)}); err != nil {
		t.Fatal(err)
	}
	read := make(chan error, 1)
	go func() {
		for {
			if err := g.GetLog(1, &raft.Log{}); err != nil {
				read <- err
				return
			}
		}
	}()
	if err := s.Close(); err != nil {
		t.Error(err)
	}
	if err := <-read; !errors.Is(err, errClosed) {
		t.Errorf("read of a closed store: %v", err)
	}
	select {
	case err := <-failed:
		t.Errorf("the store has failed: %v", err)
	default:
	}
}
