package shard

import (
	"context"
	"fmt"

	"github.com/cockroachdb/pebble/v2"
)

// Flusher makes the state store durable, for all replicas of a node at once: a
// flush writes what every shard has applied, so those who wait share one. Safe
// for concurrent use.
type Flusher struct {
	rounds *rounds[struct{}]
}

// NewFlusher returns the flusher of a state store. Close it before the store.
func NewFlusher(db *pebble.DB) *Flusher {
	return &Flusher{rounds: newRounds(func(ctx context.Context) (struct{}, error) {
		flushed, err := db.AsyncFlush()
		if err != nil {
			return struct{}{}, fmt.Errorf("flush: %w", err)
		}
		select {
		case <-flushed:
			return struct{}{}, nil
		case <-ctx.Done():
			return struct{}{}, ErrStopped
		}
	})}
}

// Flush returns when all that was committed to the store before the call is
// durable.
func (f *Flusher) Flush(ctx context.Context) error {
	_, err := f.rounds.join(ctx)
	return err
}

// Close ends all flushes that are waited for; the store goes on with its own.
func (f *Flusher) Close() { f.rounds.close() }
