package raftlog

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/hashicorp/raft"
	"pgregory.net/rapid"
)

// logModel is what a group must hold.
type logModel struct {
	first, last uint64
	terms       map[uint64]uint64
	value       uint64 // stable
}

// history is a random history of a store, with crashes, beside what must come of it.
type history struct {
	*rapid.T
	fs     *vfs.MemFS
	opts   Options
	s      *Store
	groups [4]logModel
	term   uint64
}

func newHistory(t *rapid.T) *history {
	h := &history{T: t, fs: vfs.NewCrashableMem(), opts: Options{
		CacheBytes: 1000, SegmentBytes: rapid.SampledFrom([]int64{300, 1000, 5000, 1 << 20}).Draw(t, "segment"),
	}}
	for i := range h.groups {
		h.groups[i].terms = make(map[uint64]uint64)
	}
	h.open()
	return h
}

func (h *history) open() {
	var err error
	if h.s, err = Open(h.fs, "log", h.opts); err != nil {
		h.Fatal(err)
	}
}

// step does one thing that Raft does with a log.
func (h *history) step() {
	id := rapid.IntRange(0, len(h.groups)-1).Draw(h.T, "group")
	m := &h.groups[id]
	g, err := h.s.Group(uint32(id))
	if err != nil {
		h.Fatal(err)
	}
	switch op := rapid.IntRange(0, 11).Draw(h.T, "op"); {
	case op == 0:
		h.value(g, m)
	case op == 1 && rapid.IntRange(0, 4).Draw(h.T, "remove") == 0:
		if err := h.s.Remove(uint32(id)); err != nil {
			h.Fatal(err)
		}
		*m = logModel{terms: make(map[uint64]uint64)}
	case op < 8 || m.last == 0:
		h.append(g, m, op == 5)
	case op < 9: // tail
		h.term++
		from := rapid.Uint64Range(m.first, m.last).Draw(h.T, "from")
		h.do(g.DeleteRange(from, m.last))
		if m.last = from - 1; m.last < m.first {
			m.first, m.last = 0, 0
		}
	default: // head
		to := rapid.Uint64Range(m.first, m.last).Draw(h.T, "to")
		h.do(g.DeleteRange(m.first, to))
		if m.first = to + 1; m.first > m.last {
			m.first, m.last = 0, 0
		}
	}
}

func (h *history) do(err error) {
	if err != nil {
		h.Fatal(err)
	}
}

func (h *history) value(g *Group, m *logModel) {
	m.value++
	h.do(g.SetUint64([]byte("value"), m.value))
}

// append appends a few entries, sometimes behind a gap.
func (h *history) append(g *Group, m *logModel, gap bool) {
	from := m.last + 1
	if gap && m.last != 0 {
		from += 10
	}
	n := rapid.Uint64Range(1, 5).Draw(h.T, "n")
	h.do(g.StoreLogs(entries(from, from+n-1, h.term)))
	if m.last == 0 || from > m.last+1 {
		m.first = from
	}
	m.last = from + n - 1
	for i := from; i <= m.last; i++ {
		m.terms[i] = h.term
	}
}

// check compares. After a crash a truncated head may have come back; nothing else
// may differ. What has come back is as right as it was.
func (h *history) check(crashed bool) {
	for id := range h.groups {
		m := &h.groups[id]
		g, err := h.s.Group(uint32(id))
		if err != nil {
			h.Fatal(err)
		}
		first, _ := g.FirstIndex()
		last, _ := g.LastIndex()
		if crashed && last != 0 && first < m.first {
			m.first = first
		}
		if first != m.first || last != m.last {
			h.Fatalf("group %d has %d to %d, want %d to %d", id, first, last, m.first, m.last)
		}
		for i := m.first; i <= m.last && m.last != 0; i++ {
			var l raft.Log
			if err := g.GetLog(i, &l); err != nil || l.Term != m.terms[i] || !bytes.Equal(l.Data, entries(i, i, l.Term)[0].Data) {
				h.Fatalf("group %d, entry %d: %+v, %v; want term %d", id, i, l, err, m.terms[i])
			}
		}
		v, err := g.GetUint64([]byte("value"))
		if v != m.value || (err == nil) != (v != 0) {
			h.Fatalf("group %d: stable value %d, %v; want %d", id, v, err, m.value)
		}
	}
}

// crash goes on with what a crash may have left on disk.
func (h *history) crash() {
	clone := h.fs.CrashClone(vfs.CrashCloneCfg{
		UnsyncedDataPercent: rapid.SampledFrom([]int{0, 50, 100}).Draw(h.T, "unsynced"),
		RNG:                 rand.New(rand.NewPCG(rapid.Uint64().Draw(h.T, "seed"), 0)),
	})
	_ = h.s.Close() // what it writes is not in the clone
	h.fs = clone
	h.open()
	h.check(true)
}

// A store holds what was acknowledged, whatever is appended, truncated and
// removed, through restarts and crashes; with segments so small that they are
// freed, written over and moved all the time.
func TestCrash(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		h := newHistory(t)
		for range rapid.IntRange(1, 80).Draw(t, "steps") {
			switch rapid.IntRange(0, 19).Draw(t, "event") {
			case 0:
				h.crash()
			case 1:
				h.do(h.s.Close())
				h.open()
				h.check(true) // a head that was truncated may not have been written
			default:
				h.step()
			}
			h.check(false)
		}
		h.crash()
		h.do(h.s.Close())
	})
}

// The disk space that a store takes is bounded by what its logs hold, even if a
// group that has fallen silent holds the oldest segment.
func TestSpaceIsFreed(t *testing.T) {
	fs := vfs.NewMem()
	s, err := Open(fs, "log", Options{SegmentBytes: 10_000, CacheBytes: 1000})
	if err != nil {
		t.Fatal(err)
	}
	idle, busy := group(t, s, 1), group(t, s, 2)
	mustStore(t, idle, entries(1, 20, 1))
	for i := uint64(1); i <= 5000; i++ {
		mustStore(t, busy, entries(i, i, 1))
		if i%50 == 0 {
			if err := busy.DeleteRange(1, i-20); err != nil {
				t.Fatal(err)
			}
		}
	}
	size := func() (total int64) {
		names, err := fs.List("log")
		if err != nil {
			t.Fatal(err)
		}
		for _, name := range names {
			info, err := fs.Stat(fs.PathJoin("log", name))
			if err != nil {
				t.Fatal(err)
			}
			total += info.Size()
		}
		return total
	}
	if n := size(); n > 70_000 {
		t.Errorf("%d octets on disk", n)
	}
	for range 2 {
		wantBounds(t, idle, 1, 20)
		for i := uint64(1); i <= 20; i++ {
			var l raft.Log
			if err := idle.GetLog(i, &l); err != nil || string(l.Data) != fmt.Sprintf("entry %d of term 1", i) {
				t.Fatalf("entry %d: %q, %v", i, l.Data, err)
			}
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
		if s, err = Open(fs, "log", Options{SegmentBytes: 10_000}); err != nil {
			t.Fatal(err)
		}
		idle = group(t, s, 1)
	}
}

// A flipped bit anywhere is found: the store does not open, or it lies in what the
// last write left, where a torn write looks the same; never is another entry handed
// out. The last write of a store that was closed says nothing, so all is there.
func TestFlippedBits(t *testing.T) {
	fs := vfs.NewMem()
	s, err := Open(fs, "log", Options{SegmentBytes: 1000})
	if err != nil {
		t.Fatal(err)
	}
	g := group(t, s, 1)
	for i := uint64(1); i <= 40; i++ {
		mustStore(t, g, entries(i, i, i))
	}
	if err := g.SetUint64([]byte("value"), 7); err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	names, err := fs.List("log")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range names {
		if !strings.HasSuffix(name, segmentSuffix) {
			continue
		}
		whole := slurp(t, fs, name)
		for at := 0; at < len(whole); at += 3 {
			damaged := bytes.Clone(whole)
			damaged[at] ^= 1 << (at % 8)
			writeFile(t, fs, name, damaged)
			wantDetected(t, fs, fmt.Sprint(name, " at ", at))
		}
		writeFile(t, fs, name, whole)
	}
}

func wantDetected(t *testing.T, fs vfs.FS, what string) {
	t.Helper()
	s, err := Open(fs, "log", Options{})
	if err != nil {
		if !errors.Is(err, ErrCorrupt) {
			t.Fatalf("%s: %v", what, err)
		}
		return
	}
	defer s.Close()
	g := group(t, s, 1)
	first, _ := g.FirstIndex()
	last, _ := g.LastIndex()
	if v, err := g.GetUint64([]byte("value")); err != nil || v != 7 {
		t.Fatalf("%s: value %d, %v", what, v, err)
	}
	if first != 1 || last != 40 {
		t.Fatalf("%s: opens with %d to %d", what, first, last)
	}
	for i := first; i <= last; i++ {
		var l raft.Log
		if err := g.GetLog(i, &l); err != nil || l.Term != i || !bytes.Equal(l.Data, entries(i, i, i)[0].Data) {
			t.Fatalf("%s: entry %d: %+v, %v", what, i, l, err)
		}
	}
}

func slurp(t *testing.T, fs vfs.FS, name string) []byte {
	t.Helper()
	f, err := fs.Open(fs.PathJoin("log", name))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	b, err := io.ReadAll(f)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func writeFile(t *testing.T, fs vfs.FS, name string, b []byte) {
	t.Helper()
	f, err := fs.Create(fs.PathJoin("log", name), diskCategory)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if _, err := f.Write(b); err != nil {
		t.Fatal(err)
	}
}

func FuzzParseCheckpoint(f *testing.F) {
	f.Add(checkpoint(map[uint32]*streamState{3: {first: 1, last: 9, values: map[string][]byte{"a": nil, "b": []byte("c")}}}))
	f.Fuzz(func(t *testing.T, b []byte) {
		groups, err := parseCheckpoint(b)
		if err != nil {
			return
		}
		again, err := parseCheckpoint(checkpoint(groups))
		if err != nil || len(again) != len(groups) {
			t.Errorf("%v, %v", again, err)
		}
	})
}
