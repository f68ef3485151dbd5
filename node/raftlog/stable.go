package raftlog

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"maps"
	"runtime"
	"sync"
)

// errNotFound has the text that the Raft library compares with.
var errNotFound = errors.New("not found")

// Names that the Raft library gives its stable values.
const (
	nameCurrentTerm  = "CurrentTerm"
	nameLastVoteTerm = "LastVoteTerm"
	nameLastVoteCand = "LastVoteCand"
)

// stable holds a group's stable values: few and small, so all are in memory.
type stable struct {
	mu struct {
		sync.Mutex
		values map[string][]byte
		// voteTerm is set, but not yet on disk. The library writes a vote as
		// LastVoteTerm, then LastVoteCand: with a crash between them the node would
		// remember a vote for the candidate of an older term. So the term waits for
		// the candidate: in one batch they are atomic, and cost one fsync.
		voteTerm []byte
	}
}

// Get implements raft.StableStore. A missing key is an error with the text "not
// found".
func (g *Group) Get(key []byte) ([]byte, error) {
	g.stable.mu.Lock()
	defer g.stable.mu.Unlock()
	v, ok := g.stable.mu.values[string(key)]
	if !ok {
		return nil, errNotFound
	}
	return bytes.Clone(v), nil
}

// GetUint64 implements raft.StableStore, and like Get it fails for a missing
// key.
func (g *Group) GetUint64(key []byte) (uint64, error) {
	v, err := g.Get(key)
	if err != nil {
		return 0, err
	}
	if len(v) != 8 {
		return 0, fmt.Errorf("raftlog: group %d: stable value %q has %d octets, want 8", g.id, key, len(v))
	}
	return binary.BigEndian.Uint64(v), nil
}

// Set implements raft.StableStore: the value is durable when it returns.
func (g *Group) Set(key, val []byte) error {
	return g.SetAll(map[string][]byte{string(key): val})
}

// SetUint64 implements raft.StableStore.
//
// The library panics, and takes the process down, if its term cannot be
// written. That is right in production, where OnFatal has ended the process
// already; where it has not, SetUint64 ends the calling goroutine instead, so
// that the failure stays with this store.
func (g *Group) SetUint64(key []byte, val uint64) error {
	v := binary.BigEndian.AppendUint64(nil, val)
	if string(key) == nameLastVoteTerm {
		g.stable.mu.Lock()
		defer g.stable.mu.Unlock()
		g.stable.mu.values[nameLastVoteTerm] = v
		g.stable.mu.voteTerm = v
		return nil
	}
	err := g.Set(key, v)
	if err != nil && string(key) == nameCurrentTerm {
		runtime.Goexit()
	}
	return err
}

// SetAll sets several stable values at once, atomically and durably; a nil
// value deletes. Names that the Raft library uses are its own.
func (g *Group) SetAll(values map[string][]byte) error {
	if g.stable.holds(values) {
		return nil
	}
	all := maps.Clone(values)
	if _, ok := values[nameLastVoteCand]; ok {
		if term := g.stable.takeVoteTerm(); term != nil {
			all[nameLastVoteTerm] = term
		}
	}
	record := appendValues(nil, all)
	if err := g.store.commit(true, func(e *encoder) {
		e.record(header{kind: kindStable, group: g.id}, record)
	}); err != nil {
		return fmt.Errorf("raftlog: group %d: set: %w", g.id, err)
	}
	g.stable.mu.Lock()
	defer g.stable.mu.Unlock()
	for k, v := range values {
		if v == nil {
			delete(g.stable.mu.values, k)
		} else {
			g.stable.mu.values[k] = bytes.Clone(v)
		}
	}
	return nil
}

// takeVoteTerm returns the term of a vote that is to be written now, or nil.
func (s *stable) takeVoteTerm() []byte {
	s.mu.Lock()
	defer s.mu.Unlock()
	v := s.mu.voteTerm
	s.mu.voteTerm = nil
	return v
}

// holds says whether the values are on disk already: the library writes its
// term at each start, which would cost an fsync a group.
func (s *stable) holds(values map[string][]byte) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.mu.voteTerm != nil {
		return false
	}
	for k, v := range values {
		old, ok := s.mu.values[k]
		if ok != (v != nil) || !bytes.Equal(old, v) {
			return false
		}
	}
	return true
}
