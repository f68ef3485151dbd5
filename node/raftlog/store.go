package raftlog

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"sync"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// ErrFailed is the cause of every error after the store has failed.
var ErrFailed = errors.New("raftlog: store has failed")

// Options are settings of a [Store]. The zero value is ready for use.
type Options struct {
	// CacheBytes bounds the entries of all groups that are kept in memory;
	// default 64 MiB.
	CacheBytes int64
	// SegmentBytes is how long a file gets, about; default 64 MiB. The store takes
	// a few of them, and twice what the logs hold.
	SegmentBytes int64
	// OnFatal is called, once, when the store has failed: a write or an fsync
	// went wrong, so what is on disk is unknown. The store accepts nothing more.
	// A process must end; a test may look. Nil: os.Exit(1) after a log line. It
	// must not call back into the store.
	OnFatal func(error)
	// Log; nil: discarded.
	Log *slog.Logger
}

// Store is the log of all groups of a node. Safe for concurrent use.
type Store struct {
	fs      vfs.FS
	dir     string
	opts    Options
	cache   *cache
	log     *slog.Logger
	onFatal func(error)
	lock    io.Closer

	w   writer
	out output

	reading sync.RWMutex // held by reads
	closed  bool         // guarded by reading

	// collecting is held by whoever frees segments.
	collecting sync.Mutex
	spares     []string // paths of free files; guarded by w

	mu struct {
		sync.Mutex
		groups map[uint32]*Group
		err    error // not nil once the store has failed
	}
}

// Open opens or creates a store in dir of fs.
func Open(fs vfs.FS, dir string, opts Options) (_ *Store, err error) {
	if opts.CacheBytes <= 0 {
		opts.CacheBytes = 64 << 20
	}
	if opts.SegmentBytes <= 0 {
		opts.SegmentBytes = 64 << 20
	}
	if opts.Log == nil {
		opts.Log = slog.New(slog.DiscardHandler)
	}
	s := &Store{fs: fs, dir: dir, opts: opts, cache: newCache(opts.CacheBytes), log: opts.Log, onFatal: opts.OnFatal}
	s.mu.groups = make(map[uint32]*Group)
	if s.onFatal == nil {
		s.onFatal = func(error) { os.Exit(1) }
	}
	defer func() {
		if err != nil {
			err = fmt.Errorf("raftlog: open %s: %w", dir, err)
			if s.lock != nil {
				err = errors.Join(err, s.lock.Close())
			}
		}
	}()
	if err := s.makeDir(); err != nil {
		return nil, err
	}
	if s.lock, err = fs.Lock(fs.PathJoin(dir, "LOCK")); err != nil {
		return nil, err
	}
	s.w.flight, s.w.early = newFlight(), defaultEarly
	if err := s.replay(); err != nil {
		return nil, err
	}
	return s, nil
}

// makeDir creates the directory, durably.
func (s *Store) makeDir() error {
	if err := s.fs.MkdirAll(s.dir, 0o755); err != nil {
		return err
	}
	return s.syncDir(s.fs.PathDir(s.dir))
}

func (s *Store) syncDir(dir string) error {
	if dir == "" {
		dir = "."
	}
	d, err := s.fs.OpenDir(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

// errClosed is what a read of a closed store is told.
var errClosed = errors.New("the store is closed")

// enter begins a read, unless the store is closed; reading.RUnlock ends it. The
// library has a goroutine that reads the log for its metrics and that it does not wait
// for when it shuts down.
func (s *Store) enter() bool {
	s.reading.RLock()
	if s.closed {
		s.reading.RUnlock()
		return false
	}
	return true
}

// Close writes what is not yet written and closes the store. Its groups must not
// be in use, but for reads, which fail from then on.
func (s *Store) Close() error {
	err := errors.Join(s.sync(), s.seal())
	if s.Err() != nil {
		err = nil // it has been told
	}
	err = errors.Join(err, s.out.close())
	s.reading.Lock()
	s.closed = true
	s.reading.Unlock()
	s.w.Lock()
	for _, seg := range s.w.segments {
		err = errors.Join(err, seg.closeReader())
	}
	s.w.Unlock()
	if err = errors.Join(err, s.lock.Close()); err != nil {
		return fmt.Errorf("raftlog: close: %w", err)
	}
	return nil
}

// seal adds a record that says nothing but that all before it is durable: after it,
// what cannot be read is damage, and not what a crash has torn.
func (s *Store) seal() error {
	return s.commit(true, func(e *encoder) {
		if s.w.active == nil {
			return // nothing was written since the store was opened
		}
		for id := range s.w.state {
			e.record(header{kind: kindStable, group: id}, appendValues(nil, nil))
			return
		}
	})
}

// Group returns the log of a group, creating it if there is none. Calls with
// the same id return the same Group.
func (s *Store) Group(id uint32) (*Group, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	g, ok := s.mu.groups[id]
	if !ok {
		g = newGroup(s, id)
		s.mu.groups[id] = g
	}
	return g, nil
}

// Remove deletes all that the store holds of a group. Its Group must not be in
// use, nor used again.
func (s *Store) Remove(id uint32) error {
	s.mu.Lock()
	g := s.mu.groups[id]
	delete(s.mu.groups, id)
	s.mu.Unlock()
	if g == nil {
		return nil
	}
	g.append.Lock()
	defer g.append.Unlock()
	err := s.commit(true, func(e *encoder) { e.record(header{kind: kindRemove, group: id}, nil) })
	if err != nil {
		return fmt.Errorf("raftlog: remove: group %d: %w", id, err)
	}
	g.forget()
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

// failIf marks the store failed if there is an error that is not of that already.
func (s *Store) failIf(err *error) {
	if *err != nil && !errors.Is(*err, ErrFailed) {
		s.fatal(*err)
	}
}
