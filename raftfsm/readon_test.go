package raftfsm

import (
	"math"
	"testing"
)

// Pieces of whatever size are together all that there is: each key once.
func TestReadOnReadsAllOnce(t *testing.T) {
	m := newMachine(t)
	m.ok(newAccount())
	for range 20 {
		m.ok(m.mail("INBOX"))
	}
	m.made() // they are stored beside Apply
	next, all, err := m.f.ReadOn(nil, math.MaxInt64)
	if err != nil || next != nil {
		t.Fatalf("all at once: goes on at %x, %v", next, err)
	}
	for _, limit := range []int64{1, 100, 1000, all / 2, all} {
		var sum int64
		var from []byte
		pieces := 0
		for {
			next, n, err := m.f.ReadOn(from, limit)
			if err != nil {
				t.Fatal(err)
			}
			sum += n
			pieces++
			if next == nil {
				break
			}
			if n < limit || string(next) <= string(from) {
				t.Fatalf("%d octets from %x, goes on at %x", n, from, next)
			}
			from = next
		}
		if sum != all || limit == all && pieces != 1 || limit < all && pieces < 2 {
			t.Errorf("pieces of %d: %d, of %d octets, want %d", limit, pieces, sum, all)
		}
	}
}
