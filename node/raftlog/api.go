// Package raftlog holds the Raft logs and the stable state of all groups of a
// node in one Pebble.
package raftlog

import (
	"log/slog"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/hashicorp/raft"
)

// Options are settings of a [Store]. The zero value is ready for use.
type Options struct {
	// CacheBytes bounds the entries of all groups that are kept in memory;
	// default 64 MiB.
	CacheBytes int64
	// OnFatal is called, once, when the store has failed: a write or an fsync
	// went wrong, so what is on disk is unknown. The store accepts nothing more.
	// A process must end; a test may look. Nil: os.Exit(1) after a log line.
	OnFatal func(error)
	// Log; nil: discarded.
	Log *slog.Logger
}

// Store is the log of all groups of a node.
type Store struct{}

// Open opens or creates a store in dir of fs.
func Open(fs vfs.FS, dir string, opts Options) (*Store, error) { return &Store{}, nil }

// Close closes the store. Its groups must not be in use.
func (s *Store) Close() error { return nil }

// Group returns the log of a group, creating it if there is none. Calls with
// the same id return the same Group.
func (s *Store) Group(id uint32) (*Group, error) { return &Group{}, nil }

// Remove deletes all that the store holds of a group. Its Group must not be in
// use.
func (s *Store) Remove(id uint32) error { return nil }

// Group is the log and stable store of one Raft group.
type Group struct {
	raft.LogStore
	raft.StableStore
}
