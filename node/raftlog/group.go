package raftlog

import (
	"errors"
	"fmt"
	"math"
	"sync"

	"github.com/hashicorp/raft"
)

var (
	_ raft.LogStore          = (*Group)(nil)
	_ raft.StableStore       = (*Group)(nil)
	_ raft.MonotonicLogStore = (*Group)(nil)
)

// Group is the log and stable store of one Raft group.
//
// Raft appends and truncates the tail from one goroutine, and truncates the head
// from another; reads come from others at the same time.
type Group struct {
	store *Store
	id    uint32

	// append is held while entries are added, moved or dropped, so that the stream
	// and what is in memory see that in the same order.
	append sync.Mutex

	mu struct {
		sync.RWMutex
		first, last uint64 // bounds of the log, 0 when it is empty
		at          locations
		sizes       sizes
	}
	stable stable
}

func newGroup(s *Store, id uint32) *Group {
	g := &Group{store: s, id: id}
	g.stable.mu.values = make(map[string][]byte)
	return g
}

// forget drops all entries, in memory.
func (g *Group) forget() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.mu.at.trimTail(0)
	g.mu.first, g.mu.last = 0, 0
	g.mu.sizes.reset(1, 0, 0)
}

// IsMonotonic implements raft.MonotonicLogStore. Raft need not drop all entries
// when it has installed a snapshot: StoreLogs closes the gap.
func (g *Group) IsMonotonic() bool { return false }

// FirstIndex implements raft.LogStore.
func (g *Group) FirstIndex() (uint64, error) {
	g.mu.RLock()
	defer g.mu.RUnlock()
	return g.mu.first, nil
}

// LastIndex implements raft.LogStore.
func (g *Group) LastIndex() (uint64, error) {
	g.mu.RLock()
	defer g.mu.RUnlock()
	return g.mu.last, nil
}

// GetLog implements raft.LogStore. The entry's Data must not be changed.
func (g *Group) GetLog(index uint64, l *raft.Log) error {
	g.mu.RLock()
	in := g.mu.last != 0 && index >= g.mu.first && index <= g.mu.last
	g.mu.RUnlock()
	if !in {
		return raft.ErrLogNotFound
	}
	if g.store.cache.get(g.id, index, l) {
		return nil
	}
	payload, err := g.read(index)
	if err == nil && payload == nil {
		return raft.ErrLogNotFound
	}
	if err == nil {
		err = getEntry(payload, l)
	}
	if errors.Is(err, errClosed) {
		return err
	}
	if err != nil {
		// The library cannot do without an entry that the log is to have.
		err = fmt.Errorf("raftlog: group %d: get %d: %w", g.id, index, err)
		g.store.fatal(err)
		return err
	}
	l.Index = index
	return nil
}

// read reads an entry's record from its segment; nil if there is none.
func (g *Group) read(index uint64) ([]byte, error) {
	if !g.store.enter() {
		return nil, errClosed
	}
	defer g.store.reading.RUnlock()
	g.mu.RLock()
	at, ok := g.mu.at.get(index)
	if ok {
		// As long as it is the entry's place, its segment is wanted; from here on it
		// is held.
		at.segment.readers.Add(1)
	}
	g.mu.RUnlock()
	if !ok {
		return nil, nil
	}
	defer at.segment.readers.Add(-1)
	return at.segment.read(g.store.fs, at)
}

// StoreLog implements raft.LogStore.
func (g *Group) StoreLog(l *raft.Log) error { return g.StoreLogs([]*raft.Log{l}) }

// StoreLogs implements raft.LogStore: the entries are durable when it returns.
func (g *Group) StoreLogs(logs []*raft.Log) error {
	if len(logs) == 0 {
		return nil
	}
	for i, l := range logs {
		if l.Index != logs[0].Index+uint64(i) || l.Index == 0 {
			return fmt.Errorf("raftlog: group %d: append: index %d out of order", g.id, l.Index)
		}
		if entryLen(l) > maxPayload {
			return fmt.Errorf("raftlog: group %d: append: entry %d has %d octets", g.id, l.Index, entryLen(l))
		}
	}
	g.append.Lock()
	defer g.append.Unlock()
	at := make([]location, len(logs))
	gap := false
	err := g.store.commit(true, func(e *encoder) {
		state := e.s.w.state.bounds(g.id)
		// A gap, before the log or behind it, drops what is there.
		if gap = state.last != 0 && (logs[0].Index > state.last+1 || logs[0].Index < state.first); gap {
			e.record(header{kind: kindRestart, group: g.id, index: logs[0].Index}, nil)
		}
		for i, l := range logs {
			at[i] = e.add(header{kind: kindEntry, group: g.id, index: l.Index}, entryLen(l), func(b []byte) { putEntry(b, l) })
		}
	})
	if err != nil {
		return fmt.Errorf("raftlog: group %d: append: %w", g.id, err)
	}
	g.appended(logs, at, gap)
	return nil
}

func (g *Group) appended(logs []*raft.Log, at []location, gap bool) {
	if gap {
		g.store.cache.remove(g.id, 0, math.MaxUint64)
	}
	g.store.cache.add(g.id, logs)
	g.mu.Lock()
	defer g.mu.Unlock()
	if gap {
		g.mu.at.trimTail(0)
	}
	if gap || g.mu.last == 0 {
		g.mu.first, g.mu.last = logs[0].Index, 0
		g.mu.sizes.reset(g.mu.first, g.mu.first-1, 0)
	}
	for i, l := range logs {
		g.mu.at.set(l.Index, at[i])
		g.mu.sizes.add(l.Index, int64(entryLen(l)))
	}
	g.mu.last = max(g.mu.last, logs[len(logs)-1].Index)
}

// DeleteRange implements raft.LogStore: min and max are both included. Raft cuts
// a log at its head or at its tail only.
func (g *Group) DeleteRange(min, max uint64) error {
	g.mu.RLock()
	first, last := g.mu.first, g.mu.last
	g.mu.RUnlock()
	if last == 0 || min > max || max < first || min > last {
		return nil
	}
	if min > first && max < last {
		return fmt.Errorf("raftlog: group %d: delete %d to %d: inside of the log, which has %d to %d", g.id, min, max, first, last)
	}
	var err error
	if max >= last {
		err = g.deleteTail(min, max)
	} else {
		err = g.deleteHead(min, max)
	}
	if err != nil {
		return fmt.Errorf("raftlog: group %d: delete %d to %d: %w", g.id, min, max, err)
	}
	return nil
}

func (g *Group) deleteTail(min, max uint64) error {
	g.append.Lock()
	defer g.append.Unlock()
	// Readers must not see these entries any more when new ones come.
	g.truncateTail(min)
	err := g.store.commit(true, func(e *encoder) { e.record(header{kind: kindTail, group: g.id, index: min}, nil) })
	g.store.cache.remove(g.id, min, max)
	return err
}

func (g *Group) deleteHead(min, max uint64) error {
	if err := g.dropHead(min, max); err != nil {
		return err
	}
	g.store.collect()
	return nil
}

func (g *Group) dropHead(min, max uint64) error {
	g.append.Lock()
	defer g.append.Unlock()
	err := g.store.commit(false, func(e *encoder) { e.record(header{kind: kindHead, group: g.id, index: max + 1}, nil) })
	if err != nil {
		return err
	}
	g.mu.Lock()
	if g.mu.last > max {
		g.mu.first = max + 1
		g.mu.at.trimHead(g.mu.first)
		g.mu.sizes.trimHead(g.mu.first)
	} else {
		// The tail was cut off meanwhile.
		g.mu.first, g.mu.last = 0, 0
		g.mu.at.trimTail(0)
		g.mu.sizes.reset(1, 0, 0)
	}
	g.mu.Unlock()
	g.store.cache.remove(g.id, min, max)
	return nil
}

func (g *Group) truncateTail(min uint64) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.mu.at.trimTail(min)
	if min <= g.mu.first {
		g.mu.first, g.mu.last = 0, 0
		g.mu.sizes.reset(1, 0, 0)
		return
	}
	g.mu.last = min - 1
	g.mu.sizes.trimTail(min)
}

// BytesAfter returns the octets of the entries above index, roughly.
func (g *Group) BytesAfter(index uint64) int64 {
	g.mu.RLock()
	defer g.mu.RUnlock()
	return g.mu.sizes.after(index)
}

// Trailing returns how many of the newest entries make up the given octets,
// roughly.
func (g *Group) Trailing(bytes int64) uint64 {
	g.mu.RLock()
	defer g.mu.RUnlock()
	if g.mu.last == 0 {
		return 0
	}
	return g.mu.last + 1 - g.mu.sizes.tail(bytes)
}
