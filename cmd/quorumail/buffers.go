package main

import (
	"math/bits"
	"sync"

	"google.golang.org/grpc/experimental"
)

// bufferPool lends gRPC its buffers, in powers of two. The library's own pool has
// nothing between 32 KiB and 1 MiB and clears each buffer whole before it lends it:
// for a body's chunk of 64 KiB that was a sixth of all processor time of a FETCH.
// What is in a buffer when it is lent is of this process, and gRPC hands on no
// octet that it has not written.
type bufferPool struct {
	tiers [maxTier - minTier + 1]sync.Pool // of *[]byte
}

const (
	minTier = 8  // 256 octets
	maxTier = 22 // 4 MiB: more than any message has
)

// Get implements mem.BufferPool.
func (p *bufferPool) Get(length int) *[]byte {
	tier := max(bits.Len(uint(max(length, 1)-1)), minTier)
	if tier > maxTier {
		b := make([]byte, length)
		return &b
	}
	b, ok := p.tiers[tier-minTier].Get().(*[]byte)
	if !ok {
		fresh := make([]byte, 1<<tier)
		b = &fresh
	}
	*b = (*b)[:length]
	return b
}

// Put implements mem.BufferPool.
func (p *bufferPool) Put(b *[]byte) {
	size := cap(*b)
	tier := bits.Len(uint(size)) - 1
	if size != 1<<tier || tier < minTier || tier > maxTier {
		return // not one of ours
	}
	p.tiers[tier-minTier].Put(b)
}

// useBufferPool makes gRPC take its buffers from a pool of our own, in the whole
// process.
func useBufferPool() { experimental.SetDefaultBufferPool(new(bufferPool)) }
