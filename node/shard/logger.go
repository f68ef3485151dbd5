package shard

import (
	"context"
	"io"
	"log"
	"log/slog"
	"slices"
	"sync"
	"time"

	"github.com/hashicorp/go-hclog"
)

// quietFor is how long a message of the library is not repeated: with a node
// down it says so several times a second, for each group.
const quietFor = 10 * time.Second

// raftLogger passes what the Raft library says to slog. The library is chatty:
// its info is debug here, and its errors are warnings, since it goes on after
// them.
type raftLogger struct {
	hclog.Logger // for the methods that the library does not use
	log          *slog.Logger
	quiet        *quiet
}

func newRaftLogger(l *slog.Logger) *raftLogger {
	q := &quiet{}
	q.mu.last = make(map[string]time.Time)
	return &raftLogger{Logger: hclog.NewNullLogger(), log: l, quiet: q}
}

// quiet remembers when a message was last let through.
type quiet struct {
	mu struct {
		sync.Mutex
		last map[string]time.Time // by message; the library has a fixed set
	}
}

func (q *quiet) allow(msg string) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	now := time.Now()
	if now.Sub(q.mu.last[msg]) < quietFor {
		return false
	}
	q.mu.last[msg] = now
	return true
}

func (l *raftLogger) emit(level slog.Level, msg string, args []any) {
	if !l.log.Enabled(context.Background(), level) {
		return
	}
	if level > slog.LevelDebug && !l.quiet.allow(msg) {
		return
	}
	l.log.Log(context.Background(), level, "raft: "+msg, args...)
}

// Log implements hclog.Logger.
func (l *raftLogger) Log(level hclog.Level, msg string, args ...any) {
	switch {
	case level >= hclog.Error:
		l.Error(msg, args...)
	case level == hclog.Warn:
		l.Warn(msg, args...)
	default:
		l.Debug(msg, args...)
	}
}

// Trace implements hclog.Logger.
func (l *raftLogger) Trace(msg string, args ...any) { l.emit(slog.LevelDebug, msg, args) }

// Debug implements hclog.Logger.
func (l *raftLogger) Debug(msg string, args ...any) { l.emit(slog.LevelDebug, msg, args) }

// Info implements hclog.Logger.
func (l *raftLogger) Info(msg string, args ...any) { l.emit(slog.LevelDebug, msg, args) }

// Warn implements hclog.Logger.
func (l *raftLogger) Warn(msg string, args ...any) { l.emit(slog.LevelInfo, msg, args) }

// Error implements hclog.Logger.
func (l *raftLogger) Error(msg string, args ...any) { l.emit(slog.LevelWarn, msg, args) }

// With implements hclog.Logger.
func (l *raftLogger) With(args ...any) hclog.Logger {
	return &raftLogger{Logger: l.Logger, log: l.log.With(slices.Clone(args)...), quiet: l.quiet}
}

// Named implements hclog.Logger.
func (l *raftLogger) Named(string) hclog.Logger { return l }

// StandardLogger implements hclog.Logger.
func (l *raftLogger) StandardLogger(*hclog.StandardLoggerOptions) *log.Logger {
	return log.New(io.Discard, "", 0)
}
