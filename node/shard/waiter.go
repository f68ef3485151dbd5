package shard

import (
	"container/heap"
	"context"
	"sync"
)

// appliedWaiter is the state machine's applied index, and lets others wait for
// it. The zero value is at 0. Safe for concurrent use.
type appliedWaiter struct {
	mu struct {
		sync.Mutex
		index   uint64
		err     error
		waiters waiterHeap
	}
}

type waiter struct {
	index uint64
	done  chan struct{}
	pos   int // in the heap; -1 once out of it
}

// get returns the applied index.
func (w *appliedWaiter) get() uint64 {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.mu.index
}

// advance raises the index and wakes those who wait for it. A lower index than
// the current one changes nothing.
func (w *appliedWaiter) advance(index uint64) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if index <= w.mu.index {
		return
	}
	w.mu.index = index
	for len(w.mu.waiters) > 0 && w.mu.waiters[0].index <= index {
		close(heap.Pop(&w.mu.waiters).(*waiter).done)
	}
}

// stop ends all waits that are not satisfied, now and later, with err.
func (w *appliedWaiter) stop(err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.mu.err != nil {
		return
	}
	w.mu.err = err
	for len(w.mu.waiters) > 0 {
		close(heap.Pop(&w.mu.waiters).(*waiter).done)
	}
}

// wait returns when the index is reached, or with an error of ctx or stop.
func (w *appliedWaiter) wait(ctx context.Context, index uint64) error {
	w.mu.Lock()
	if index <= w.mu.index || w.mu.err != nil {
		defer w.mu.Unlock()
		return w.verdictLocked(index)
	}
	me := &waiter{index: index, done: make(chan struct{})}
	heap.Push(&w.mu.waiters, me)
	w.mu.Unlock()

	select {
	case <-me.done:
		w.mu.Lock()
		defer w.mu.Unlock()
		return w.verdictLocked(index)
	case <-ctx.Done():
		w.mu.Lock()
		defer w.mu.Unlock()
		if me.pos >= 0 {
			heap.Remove(&w.mu.waiters, me.pos)
			return ctx.Err()
		}
		return w.verdictLocked(index)
	}
}

func (w *appliedWaiter) verdictLocked(index uint64) error {
	if index <= w.mu.index {
		return nil
	}
	return w.mu.err
}

// waiterHeap implements heap.Interface, lowest index first.
type waiterHeap []*waiter

func (h waiterHeap) Len() int           { return len(h) }
func (h waiterHeap) Less(i, j int) bool { return h[i].index < h[j].index }

func (h waiterHeap) Swap(i, j int) {
	h[i], h[j] = h[j], h[i]
	h[i].pos, h[j].pos = i, j
}

func (h *waiterHeap) Push(x any) {
	w := x.(*waiter)
	w.pos = len(*h)
	*h = append(*h, w)
}

func (h *waiterHeap) Pop() any {
	old := *h
	w := old[len(old)-1]
	old[len(old)-1] = nil
	*h = old[:len(old)-1]
	w.pos = -1
	return w
}
