package raftfsm

import (
	"fmt"
	"testing"

	"github.com/quorumail/quorumail/proto/imapnum"
)

// filled is an index of n messages, no two UIDs of which are neighbours.
func filled(n int) *index {
	x := newIndex()
	for i := range n {
		x.add(imapnum.UID(2*i+1), &messageRecord{keywords: []uint32{uint32(i % 3)}})
	}
	return x
}

// However many mailboxes there are, of however many shards, the indexes that are held
// take no more than the octets they may; those used last are held.
func TestIndexesAreBoundedInOctets(t *testing.T) {
	one := filled(1000).size()
	c := NewIndexCache(10*one + one/2)
	parts := []*indexCache{c.part(), c.part()}
	key := func(i int) cacheKey { return cacheKey{fmt.Sprint("account", i), 1} }
	for i := range 100 {
		parts[i%2].put(key(i), 5, filled(1000))
		if parts[0].get(key(0), 5) == nil {
			t.Fatalf("the index that is asked for all the time is gone after %d others", i)
		}
		if c.mu.size > c.max || int64(len(c.mu.byKey))*one != c.mu.size {
			t.Fatalf("%d octets of %d held, counted %d", int64(len(c.mu.byKey))*one, c.max, c.mu.size)
		}
	}
	for i := range 100 {
		if held, want := parts[i%2].get(key(i), 5) != nil, i == 0 || i > 90; held != want {
			t.Errorf("index %d held: %v", i, held)
		}
	}
	if parts[1].get(key(0), 5) != nil || parts[0].get(key(0), 6) != nil {
		t.Error("got an index of another shard, or of another state")
	}
	// A later state takes the place of an earlier one, and never the other way.
	parts[0].put(key(0), 7, filled(10))
	parts[0].put(key(0), 6, filled(20))
	if x := parts[0].get(key(0), 7); x == nil || x.uids.GetCardinality() != 10 {
		t.Error("an earlier state was taken")
	}
	// One that is larger than all is held by itself.
	parts[1].put(key(1000), 1, filled(100_000))
	if parts[1].get(key(1000), 1) == nil || len(c.mu.byKey) != 1 {
		t.Errorf("%d held beside one that is too large", len(c.mu.byKey)-1)
	}
	parts[1].close()
	if c.mu.size != 0 || len(c.mu.byKey) != 0 || c.mu.lru.Len() != 0 {
		t.Errorf("%d octets held after the end", c.mu.size)
	}
}
