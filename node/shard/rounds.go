package shard

import (
	"context"
	"sync"
)

// rounds lets many share a piece of work. A caller is served by a round that
// begins after it has come, never by one that is under way: that is what makes
// the result good for it. One round runs at a time, so under load a round serves
// all who came during the one before.
type rounds[T any] struct {
	// work is one round; ctx ends with close.
	work func(ctx context.Context) (T, error)

	ctx    context.Context
	cancel context.CancelFunc
	wg     sync.WaitGroup

	mu struct {
		sync.Mutex
		next    *round[T] // joined by those who come now
		running bool
		closed  bool
	}
}

type round[T any] struct {
	done  chan struct{} // closed when value and err are set
	value T
	err   error
}

func newRounds[T any](work func(ctx context.Context) (T, error)) *rounds[T] {
	r := &rounds[T]{work: work}
	r.ctx, r.cancel = context.WithCancel(context.Background())
	return r
}

// join waits for the next round. After close it returns ErrStopped.
func (r *rounds[T]) join(ctx context.Context) (T, error) {
	var zero T
	r.mu.Lock()
	if r.mu.closed {
		r.mu.Unlock()
		return zero, ErrStopped
	}
	if r.mu.next == nil {
		r.mu.next = &round[T]{done: make(chan struct{})}
	}
	mine := r.mu.next
	if !r.mu.running {
		r.mu.running = true
		r.wg.Go(r.run)
	}
	r.mu.Unlock()
	select {
	case <-mine.done:
		return mine.value, mine.err
	case <-ctx.Done():
		return zero, ctx.Err()
	}
}

// run does rounds for as long as somebody waits for one.
func (r *rounds[T]) run() {
	for {
		r.mu.Lock()
		mine := r.mu.next
		r.mu.next = nil
		r.mu.running = mine != nil
		r.mu.Unlock()
		if mine == nil {
			return
		}
		if r.ctx.Err() != nil {
			mine.err = ErrStopped
		} else {
			mine.value, mine.err = r.work(r.ctx)
		}
		close(mine.done)
	}
}

// close ends the rounds, and waits for the one under way.
func (r *rounds[T]) close() {
	r.mu.Lock()
	r.mu.closed = true
	r.mu.Unlock()
	r.cancel()
	r.wg.Wait()
}
