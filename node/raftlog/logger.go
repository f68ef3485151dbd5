package raftlog

import (
	"fmt"
	"log/slog"
)

// pebbleLogger passes what Pebble says to slog. Pebble's Fatalf is called when
// its files are in an unknown state, and is not expected to return; here it
// returns, so that a test can look at what is left: fatal marks the store
// failed, and commit asks for that after every write.
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

func (l pebbleLogger) Fatalf(format string, args ...any) {
	l.fatal(fmt.Errorf(format, args...))
}
