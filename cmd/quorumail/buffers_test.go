package main

import "testing"

func TestBufferPool(t *testing.T) {
	p := new(bufferPool)
	for _, c := range []struct{ length, capacity int }{
		{0, 256}, {1, 256}, {256, 256}, {257, 512}, {64 << 10, 64 << 10}, {64<<10 + 1, 128 << 10}, {4 << 20, 4 << 20}, {4<<20 + 1, 4<<20 + 1},
	} {
		for range 2 {
			b := p.Get(c.length)
			if len(*b) != c.length || cap(*b) < c.length || c.length <= 4<<20 && cap(*b) != c.capacity {
				t.Errorf("Get(%d): length %d, capacity %d", c.length, len(*b), cap(*b))
			}
			*b = (*b)[:len(*b)/2] // a prefix may come back
			p.Put(b)
		}
	}
}
