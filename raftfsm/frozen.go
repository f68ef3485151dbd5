package raftfsm

import (
	"context"
	"errors"
	"io"
	"sync/atomic"

	"github.com/cockroachdb/pebble/v2"
)

// ErrReplaced is what reading a [View] returns once an Import has begun after it
// was taken, and what taking one returns during it. What the view saw is gone; a
// new one will see the state taken in.
var ErrReplaced = errors.New("the state was replaced by an import while it was read")

// frozen reads a snapshot of the store, and refuses when it can no longer vouch
// for what it read.
//
// A snapshot of Pebble sees through an excise: keys that an Import has removed
// are missing from it, as if the accounts had never been (see DB.NewSnapshot). A
// reader would be told that its mailbox does not exist. So Import raises the era
// before it excises, and each read looks at the era after it: if that is the
// view's still, the excise had not begun. An iterator keeps the tables that it
// was made over, so for it to look once is enough.
//
// The era is odd while an Import goes on; no view is taken then.
type frozen struct {
	snap *pebble.Snapshot
	now  *atomic.Uint64 // the state machine's era
	era  uint64         // that in which the snapshot was taken
}

var _ pebble.Reader = (*frozen)(nil)

// Get implements pebble.Reader.
func (r *frozen) Get(key []byte) ([]byte, io.Closer, error) {
	value, closer, err := r.snap.Get(key)
	if r.now.Load() == r.era {
		return value, closer, err
	}
	if err == nil {
		_ = closer.Close() // the value is not used
	}
	return nil, nil, ErrReplaced
}

// NewIter implements pebble.Reader.
func (r *frozen) NewIter(o *pebble.IterOptions) (*pebble.Iterator, error) {
	return r.NewIterWithContext(context.Background(), o)
}

// NewIterWithContext implements pebble.Reader.
func (r *frozen) NewIterWithContext(ctx context.Context, o *pebble.IterOptions) (*pebble.Iterator, error) {
	it, err := r.snap.NewIterWithContext(ctx, o)
	if err != nil || r.now.Load() == r.era {
		return it, err
	}
	_ = it.Close() // nothing was read
	return nil, ErrReplaced
}

// Close implements pebble.Reader.
func (r *frozen) Close() error { return r.snap.Close() }
