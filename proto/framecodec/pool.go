package framecodec

import (
	"slices"
	"sync"

	"google.golang.org/grpc/mem"
)

// Buffers is the pool of what Codec sends and receives, and for gRPC to read into (see
// package grpc/experimental). What Get returns may have anything in it: who gets a buffer
// writes all of it. Safe for concurrent use.
//
// gRPC's own pool has buffers of 32 KiB and of 1 MiB and none between, and clears a
// buffer, whole, whenever it is asked for one: each chunk of a body, each log entry and
// each batch of commands above 32 KiB had a MiB of memory of its own, and cost the
// writing of one.
var Buffers mem.BufferPool = newPool()

// sizes are those of the buffers that are kept: a little more than powers of two, since
// what is of such a size, as the data of a chunk, comes with a head.
var sizes = func() (list []int) {
	for size := 256; size <= 16<<20; size *= 2 {
		list = append(list, size+size/8)
	}
	return list
}()

// pool implements mem.BufferPool. What is larger than the last of sizes is not kept.
type pool struct{ tiers []sync.Pool } // of sizes, *[]byte

func newPool() *pool { return &pool{tiers: make([]sync.Pool, len(sizes))} }

// Get implements mem.BufferPool.
func (p *pool) Get(n int) *[]byte {
	i, _ := slices.BinarySearch(sizes, n)
	if i == len(sizes) {
		b := make([]byte, n)
		return &b
	}
	if b, ok := p.tiers[i].Get().(*[]byte); ok {
		*b = (*b)[:n]
		return b
	}
	b := make([]byte, n, sizes[i])
	return &b
}

// Put implements mem.BufferPool. What is not of the pool is left to the collector.
func (p *pool) Put(b *[]byte) {
	if i, ok := slices.BinarySearch(sizes, cap(*b)); ok {
		p.tiers[i].Put(b)
	}
}
