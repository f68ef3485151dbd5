package node

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"strings"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/bloom"
	"github.com/cockroachdb/pebble/v2/sstable/block"
	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/quorumail/quorumail/node/service"
	"github.com/quorumail/quorumail/node/shard"
	"github.com/quorumail/quorumail/raftfsm"
)

// maxBlobDepth is how many blob files the keys of one table may have their values in.
// Beyond, a compaction writes the values again, for the sake of scans over them: but a
// body is read on its own, and the few keys of thousands of bodies fit into one table.
const maxBlobDepth = 500

// stateCompression leaves alone what lies in blob files: frontends have compressed the
// bodies that get smaller by that.
var stateCompression = func() block.CompressionProfile {
	p := *block.SnappyCompression
	p.Name = "QuorumailState"
	p.ValueBlocks = block.NoCompression.ValueBlocks
	return p
}()

// openState opens the store that holds the state of all shards.
func openState(cfg Config, dir string, fatal func(error)) (*pebble.DB, error) {
	cache := pebble.NewCache(cfg.BlockCache)
	defer cache.Unref()
	opts := &pebble.Options{
		FS:    &failStop{cfg.FS, fatal}, // Pebble compares it
		Cache: cache,
		// The Raft log is the redo log. A crash leaves a prefix of what was
		// committed; node/shard sees to it that the log reaches back that far.
		DisableWAL: true,
		// Ingests of received snapshots replace a range in one step.
		FormatMajorVersion: pebble.FormatNewest,
		// All shards write into the same memtable, and flags of one message are often
		// changed again before it is full. It is no larger than that takes: two of them
		// are used in turn, and memory that was never touched costs more processor time
		// than what is written into it (see bench/PERFORMANCE.md).
		MemTableSize:                uint64(cfg.MemTable),
		MemTableStopWritesThreshold: 4,
		L0CompactionThreshold:       4,
		L0StopWritesThreshold:       24,
		MaxOpenFiles:                1000,
		Logger:                      pebbleLogger{log: cfg.Log, fatal: fatal},
		// A flush or compaction that fails is tried again by Pebble for ever. What
		// an fsync that has failed has left on disk is not known, so that is the
		// end for us. Compactions that are cancelled are not told of.
		EventListener: &pebble.EventListener{
			BackgroundError: func(err error) { fatal(fmt.Errorf("state store: %w", err)) },
			// Also of what is read for a client.
			DataCorruption: func(i pebble.DataCorruptionInfo) {
				fatal(fmt.Errorf("state store: %s: %w", i.Path, i.Details))
			},
		},
	}
	// Bodies are most of what there is, and never change: they are written once,
	// when a memtable is flushed, and not again by each compaction of the keys
	// around them. What is deleted of them is reclaimed once it is a fifth.
	opts.Experimental.ValueSeparationPolicy = func() pebble.ValueSeparationPolicy {
		return pebble.ValueSeparationPolicy{
			Enabled: true, MinimumSize: 1 << 10, MaxBlobReferenceDepth: maxBlobDepth,
			RewriteMinimumAge: cfg.blobAge, TargetGarbageRatio: 0.2,
		}
	}
	for i := range opts.Levels {
		// Most keys that Apply looks up are not there: a new body's, a Message-ID's.
		opts.Levels[i].FilterPolicy = bloom.FilterPolicy(10)
		opts.Levels[i].Compression = func() *block.CompressionProfile { return &stateCompression }
	}
	// Without a write-ahead log a queued ingest would be ordered among memtables
	// wrongly (cockroachdb/pebble#5734).
	opts.Experimental.DisableIngestAsFlushable = func() bool { return true }
	if err := forgetOptions(cfg.FS, dir); err != nil {
		return nil, fmt.Errorf("open state store %s: %w", dir, err)
	}
	db, err := pebble.Open(dir, opts)
	if errors.Is(err, fs.ErrNotExist) {
		err = fmt.Errorf("%w: %w", errDamagedFile, err) // one that another refers to is gone
	}
	if err != nil {
		return nil, fmt.Errorf("open state store %s: %w", dir, err)
	}
	return db, nil
}

// forgetOptions removes the files in which Pebble has noted with what options it was
// opened. They have no checksum, and it does not start if they say what the program
// does not: a flipped bit there would end a node all of whose data is sound. It writes
// a new one whenever it is opened.
func forgetOptions(f vfs.FS, dir string) error {
	names, err := f.List(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	for _, name := range names {
		if strings.HasPrefix(name, "OPTIONS-") {
			err = errors.Join(err, f.Remove(f.PathJoin(dir, name)))
		}
	}
	return err
}

// pebbleLogger passes what Pebble says to slog.
type pebbleLogger struct {
	log   *slog.Logger
	fatal func(error)
}

func (l pebbleLogger) Infof(format string, args ...any) {
	l.log.Debug("pebble: " + fmt.Sprintf(format, args...))
}

func (l pebbleLogger) Errorf(format string, args ...any) {
	l.log.Error("pebble: " + fmt.Sprintf(format, args...))
}

// Fatalf is called when files are in an unknown state.
func (l pebbleLogger) Fatalf(format string, args ...any) {
	l.fatal(fmt.Errorf("state store: "+format, args...))
}

// machine is a shard's state machine as a replica takes it.
type machine struct {
	*raftfsm.FSM
	hub *service.Hub
}

var _ shard.StateMachine = machine{}

// ApplyBatch implements shard.StateMachine.
func (m machine) ApplyBatch(cmds []shard.Command) ([]any, error) {
	in := make([]raftfsm.Command, len(cmds))
	for i, c := range cmds {
		in[i] = raftfsm.Command(c)
	}
	results, err := m.FSM.ApplyBatch(in)
	if err != nil {
		return nil, err
	}
	out := make([]any, len(results))
	for i, r := range results {
		out[i] = r
	}
	return out, nil
}

// Snapshot implements shard.StateMachine.
func (m machine) Snapshot() (shard.StateSnapshot, error) { return m.FSM.View() }

// Import implements shard.StateMachine. The state leaps: nobody tells the
// watches what changed on the way, so they begin anew.
func (m machine) Import(r io.Reader) error {
	err := m.FSM.Import(r)
	m.hub.Reset()
	return err
}
