package raftlog

import (
	"errors"
	"fmt"
	"log/slog"
	"os"
	"sync"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/sstable"
	"github.com/cockroachdb/pebble/v2/vfs"
)

// ErrFailed is the cause of every error after the store has failed.
var ErrFailed = errors.New("raftlog: store has failed")

// Options are settings of a [Store]. The zero value is ready for use.
type Options struct {
	// CacheBytes bounds the entries of all groups that are kept in memory;
	// default 64 MiB.
	CacheBytes int64
	// OnFatal is called, once, when the store has failed: a write or an fsync
	// went wrong, so what is on disk is unknown. The store accepts nothing more.
	// A process must end; a test may look. Nil: os.Exit(1) after a log line. It
	// must not call back into the store.
	OnFatal func(error)
	// Log; nil: discarded.
	Log *slog.Logger
}

const layoutVersion = "1"

// Store is the log of all groups of a node. Safe for concurrent use.
type Store struct {
	db      *pebble.DB
	cache   *cache
	log     *slog.Logger
	onFatal func(error)

	mu struct {
		sync.Mutex
		groups map[uint32]*Group
		err    error // not nil once the store has failed
	}
}

// Open opens or creates a store in dir of fs.
func Open(fs vfs.FS, dir string, opts Options) (*Store, error) {
	if opts.CacheBytes <= 0 {
		opts.CacheBytes = 64 << 20
	}
	if opts.Log == nil {
		opts.Log = slog.New(slog.DiscardHandler)
	}
	s := &Store{cache: newCache(opts.CacheBytes), log: opts.Log, onFatal: opts.OnFatal}
	s.mu.groups = make(map[uint32]*Group)
	if s.onFatal == nil {
		s.onFatal = func(error) { os.Exit(1) }
	}
	blocks := pebble.NewCache(16 << 20)
	defer blocks.Unref()
	po := &pebble.Options{
		FS:                 fs,
		Cache:              blocks,
		FormatMajorVersion: pebble.FormatTableFormatV6,
		Logger:             pebbleLogger{log: opts.Log, fatal: s.fatal},
		// Entries live for minutes: most are deleted before a compaction would
		// have paid off, so flushes are large and compactions late.
		MemTableSize:                64 << 20,
		MemTableStopWritesThreshold: 4,
		L0CompactionThreshold:       8,
		L0StopWritesThreshold:       64,
		MaxOpenFiles:                512,
	}
	// Bodies come compressed from the frontend, the rest is small.
	for i := range po.Levels {
		po.Levels[i].Compression = func() *sstable.CompressionProfile { return sstable.NoCompression }
	}
	db, err := pebble.Open(dir, po)
	if err != nil {
		return nil, fmt.Errorf("raftlog: open %s: %w", dir, err)
	}
	s.db = db
	if err := s.checkLayout(); err != nil {
		return nil, errors.Join(fmt.Errorf("raftlog: open %s: %w", dir, err), db.Close())
	}
	return s, nil
}

// checkLayout marks a new store, and refuses one of another version.
func (s *Store) checkLayout() error {
	key := appendPrefix(nil, layoutGroup, kindVersion)
	v, closer, err := s.db.Get(key)
	if errors.Is(err, pebble.ErrNotFound) {
		return s.db.Set(key, []byte(layoutVersion), pebble.Sync)
	}
	if err != nil {
		return err
	}
	defer closer.Close()
	if string(v) != layoutVersion {
		return fmt.Errorf("layout is of version %q, want %q", v, layoutVersion)
	}
	return nil
}

// Close closes the store. Its groups must not be in use.
func (s *Store) Close() error {
	if err := s.db.Close(); err != nil {
		return fmt.Errorf("raftlog: close: %w", err)
	}
	return nil
}

// Group returns the log of a group, creating it if there is none. Calls with
// the same id return the same Group.
func (s *Store) Group(id uint32) (*Group, error) {
	if id == layoutGroup {
		return nil, fmt.Errorf("raftlog: group %d: reserved", id)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if g, ok := s.mu.groups[id]; ok {
		return g, nil
	}
	g, err := openGroup(s, id)
	if err != nil {
		return nil, fmt.Errorf("raftlog: group %d: %w", id, err)
	}
	s.mu.groups[id] = g
	return g, nil
}

// Remove deletes all that the store holds of a group. Its Group must not be in
// use, nor used again.
func (s *Store) Remove(id uint32) error {
	if id == layoutGroup {
		return fmt.Errorf("raftlog: remove: group %d: reserved", id)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	b := s.db.NewBatch()
	defer b.Close()
	low, high := appendPrefix(nil, id, 0), appendPrefix(nil, id+1, 0)
	if err := b.DeleteRange(low, high, nil); err != nil {
		return fmt.Errorf("raftlog: remove: group %d: %w", id, err)
	}
	if s.mu.err != nil {
		return s.mu.err
	}
	if err := b.Commit(pebble.Sync); err != nil {
		return fmt.Errorf("raftlog: remove: group %d: %w", id, err)
	}
	delete(s.mu.groups, id)
	s.cache.removeGroup(id)
	return nil
}

// Err returns why the store has failed, or nil.
func (s *Store) Err() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.mu.err
}

// fatal marks the store failed and tells, once.
func (s *Store) fatal(cause error) {
	s.mu.Lock()
	first := s.mu.err == nil
	if first {
		s.mu.err = fmt.Errorf("%w: %w", ErrFailed, cause)
	}
	s.mu.Unlock()
	if first {
		s.log.Error("raft log has failed; this node must stop", "error", cause)
		s.onFatal(cause)
	}
}

// commit writes a batch. It never reports success once the store has failed,
// not even for a batch that Pebble took: its Fatalf has returned meanwhile.
func (s *Store) commit(b *pebble.Batch, sync bool) (err error) {
	if err := s.Err(); err != nil {
		return err
	}
	// Pebble panics when it is asked to write to a log that has failed.
	defer func() {
		if p := recover(); p != nil {
			s.fatal(fmt.Errorf("panic: %v", p))
			err = s.Err()
		}
	}()
	wo := pebble.NoSync
	if sync {
		wo = pebble.Sync
	}
	if err := b.Commit(wo); err != nil {
		s.fatal(err)
	}
	return s.Err()
}
