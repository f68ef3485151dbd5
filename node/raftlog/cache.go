package raftlog

import (
	"sync"

	"github.com/hashicorp/raft"
)

// entryOverhead is what a cached entry costs beside its data, roughly.
const entryOverhead = 160

// cache keeps the newest entries of all groups in memory, bounded by octets, so
// that replication and apply read no disk. The oldest written goes first,
// whichever group it is of: entries are wanted soon after they were appended or
// not at all. The library's own raft.LogCache counts entries, not octets, and
// has no bound over groups.
//
// Cached entries share Data with those who appended them; nobody changes it.
type cache struct {
	mu struct {
		sync.Mutex
		max, size int64
		groups    map[uint32]map[uint64]*cached
		// oldest and newest are the ends of the list of all entries in the order
		// in which they came.
		oldest, newest *cached
	}
}

type cached struct {
	group      uint32
	log        raft.Log
	prev, next *cached
}

func (c *cached) size() int64 {
	return int64(len(c.log.Data)) + int64(len(c.log.Extensions)) + entryOverhead
}

func newCache(max int64) *cache {
	c := &cache{}
	c.mu.max = max
	c.mu.groups = make(map[uint32]map[uint64]*cached)
	return c
}

func (c *cache) get(group uint32, index uint64, into *raft.Log) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	e, ok := c.mu.groups[group][index]
	if ok {
		*into = e.log
	}
	return ok
}

func (c *cache) add(group uint32, logs []*raft.Log) {
	c.mu.Lock()
	defer c.mu.Unlock()
	g := c.mu.groups[group]
	if g == nil {
		g = make(map[uint64]*cached)
		c.mu.groups[group] = g
	}
	for _, l := range logs {
		if old, ok := g[l.Index]; ok {
			c.dropLocked(old)
		}
		e := &cached{group: group, log: *l, prev: c.mu.newest}
		if e.prev != nil {
			e.prev.next = e
		} else {
			c.mu.oldest = e
		}
		c.mu.newest = e
		c.mu.size += e.size()
		g[l.Index] = e
	}
	for c.mu.size > c.mu.max && c.mu.oldest != nil {
		c.dropLocked(c.mu.oldest)
	}
}

// remove drops the entries of a group from min to max, both included.
func (c *cache) remove(group uint32, min, max uint64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	g := c.mu.groups[group]
	if max-min < uint64(len(g)) {
		for i := min; ; i++ {
			if e, ok := g[i]; ok {
				c.dropLocked(e)
			}
			if i == max {
				return
			}
		}
	}
	for i, e := range g {
		if i >= min && i <= max {
			c.dropLocked(e)
		}
	}
}

func (c *cache) removeGroup(group uint32) {
	c.remove(group, 0, ^uint64(0))
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.mu.groups, group)
}

func (c *cache) dropLocked(e *cached) {
	if e.prev != nil {
		e.prev.next = e.next
	} else {
		c.mu.oldest = e.next
	}
	if e.next != nil {
		e.next.prev = e.prev
	} else {
		c.mu.newest = e.prev
	}
	c.mu.size -= e.size()
	delete(c.mu.groups[e.group], e.log.Index)
}
