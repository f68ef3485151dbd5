package raftlog

import (
	"errors"
	"fmt"
	"sync"

	"github.com/cockroachdb/pebble/v2"
	"github.com/hashicorp/raft"
)

var (
	_ raft.LogStore          = (*Group)(nil)
	_ raft.StableStore       = (*Group)(nil)
	_ raft.MonotonicLogStore = (*Group)(nil)
)

// Group is the log and stable store of one Raft group.
//
// Raft appends and truncates from one goroutine; reads come from others at the
// same time.
type Group struct {
	store *Store
	id    uint32

	mu struct {
		sync.RWMutex
		// first and last are the bounds of the log, 0 when it is empty. They are
		// kept here since an iterator is slow over the range tombstones that
		// truncation leaves.
		first, last uint64
		sizes       sizes
	}
	stable stable
}

func openGroup(s *Store, id uint32) (*Group, error) {
	g := &Group{store: s, id: id}
	if err := g.loadBounds(); err != nil {
		return nil, err
	}
	if err := g.loadStable(); err != nil {
		return nil, err
	}
	return g, nil
}

func (g *Group) loadBounds() error {
	low, high := logBounds(g.id)
	it, err := g.store.db.NewIter(&pebble.IterOptions{LowerBound: low, UpperBound: high})
	if err != nil {
		return err
	}
	var first, last uint64
	ok := true
	if it.First() {
		first, ok = logIndex(it.Key())
	}
	if ok && it.Last() {
		last, ok = logIndex(it.Key())
	}
	if err := it.Close(); err != nil {
		return err
	}
	if !ok {
		return errors.New("log: malformed key")
	}
	g.mu.first, g.mu.last = first, last
	if last != 0 {
		// What is in memory only is not counted; it is a hint for when to take a
		// snapshot.
		n, err := g.store.db.EstimateDiskUsage(low, high)
		if err != nil {
			return err
		}
		g.mu.sizes.reset(first, last, int64(n))
	}
	return nil
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
	v, closer, err := g.store.db.Get(logKey(g.id, index))
	if errors.Is(err, pebble.ErrNotFound) {
		return raft.ErrLogNotFound
	}
	if err != nil {
		return fmt.Errorf("raftlog: group %d: get %d: %w", g.id, index, err)
	}
	own := append([]byte(nil), v...)
	if err := closer.Close(); err != nil {
		return fmt.Errorf("raftlog: group %d: get %d: %w", g.id, index, err)
	}
	if err := getEntry(own, l); err != nil {
		return fmt.Errorf("raftlog: group %d: get %d: %w", g.id, index, err)
	}
	l.Index = index
	return nil
}

// StoreLog implements raft.LogStore.
func (g *Group) StoreLog(l *raft.Log) error { return g.StoreLogs([]*raft.Log{l}) }

// StoreLogs implements raft.LogStore: the entries are durable when it returns.
func (g *Group) StoreLogs(logs []*raft.Log) error {
	if len(logs) == 0 {
		return nil
	}
	b := g.store.db.NewBatch()
	defer b.Close()
	gap, err := g.stageGap(b, logs[0].Index)
	if err != nil {
		return fmt.Errorf("raftlog: group %d: append: %w", g.id, err)
	}
	for i, l := range logs {
		if l.Index != logs[0].Index+uint64(i) || l.Index == 0 {
			return fmt.Errorf("raftlog: group %d: append: index %d out of order", g.id, l.Index)
		}
		op := b.SetDeferred(logKeyLen, entryLen(l))
		putLogKey(op.Key, g.id, l.Index)
		putEntry(op.Value, l)
		if err := op.Finish(); err != nil {
			return fmt.Errorf("raftlog: group %d: append: %w", g.id, err)
		}
	}
	if err := g.store.commit(b, true); err != nil {
		return fmt.Errorf("raftlog: group %d: append: %w", g.id, err)
	}
	g.appended(logs, gap)
	return nil
}

// stageGap adds to b the removal of the whole log if an entry at index would
// leave a gap.
func (g *Group) stageGap(b *pebble.Batch, index uint64) (gap bool, err error) {
	g.mu.RLock()
	gap = g.mu.last != 0 && index > g.mu.last+1
	g.mu.RUnlock()
	if gap {
		low, high := logBounds(g.id)
		err = b.DeleteRange(low, high, nil)
	}
	return gap, err
}

func (g *Group) appended(logs []*raft.Log, gap bool) {
	if gap {
		g.store.cache.remove(g.id, 0, logs[0].Index-1)
	}
	g.store.cache.add(g.id, logs)
	g.mu.Lock()
	defer g.mu.Unlock()
	if gap || g.mu.last == 0 {
		g.mu.first = logs[0].Index
		g.mu.sizes.reset(g.mu.first, g.mu.first-1, 0)
	}
	for _, l := range logs {
		g.mu.sizes.add(l.Index, int64(entryLen(l)))
	}
	g.mu.last = max(g.mu.last, logs[len(logs)-1].Index)
}

// DeleteRange implements raft.LogStore: min and max are both included. Raft cuts
// a log at its head or at its tail only.
func (g *Group) DeleteRange(min, max uint64) error {
	g.mu.Lock()
	first, last := g.mu.first, g.mu.last
	g.mu.Unlock()
	if last == 0 || min > max || max < first || min > last {
		return nil
	}
	if min > first && max < last {
		return fmt.Errorf("raftlog: group %d: delete %d to %d: inside of the log, which has %d to %d", g.id, min, max, first, last)
	}
	tail := max >= last
	b := g.store.db.NewBatch()
	defer b.Close()
	_, high := logBounds(g.id)
	if !tail {
		high = logKey(g.id, max+1)
	}
	if err := b.DeleteRange(logKey(g.id, min), high, nil); err != nil {
		return fmt.Errorf("raftlog: group %d: delete %d to %d: %w", g.id, min, max, err)
	}
	if tail {
		// Readers must not see these entries any more when new ones come.
		g.truncateTail(min)
	}
	if err := g.store.commit(b, tail); err != nil {
		return fmt.Errorf("raftlog: group %d: delete %d to %d: %w", g.id, min, max, err)
	}
	if !tail {
		g.mu.Lock()
		g.mu.first = max + 1
		g.mu.sizes.trimHead(max + 1)
		g.mu.Unlock()
	}
	g.store.cache.remove(g.id, min, max)
	return nil
}

func (g *Group) truncateTail(min uint64) {
	g.mu.Lock()
	defer g.mu.Unlock()
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
