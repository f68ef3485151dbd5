package shard

import (
	"errors"
	"sync"

	"github.com/hashicorp/raft"
)

// errReplaying says that the membership of the state is not known yet: the log
// between the last snapshot and the state is still being gone through.
var errReplaying = errors.New("the log is being replayed")

// members knows which membership was in force at an index that the state
// machine has applied. The library keeps only the newest one, but a snapshot
// has to carry that of its own index.
type members struct {
	mu struct {
		sync.Mutex
		seen uint64 // all entries up to here have been gone through
		list []member
	}
}

type member struct {
	index uint64 // of the entry that set it
	conf  raft.Configuration
}

// reset starts over from a snapshot at index.
func (m *members) reset(index, confIndex uint64, conf raft.Configuration) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.mu.seen = index
	m.mu.list = append(m.mu.list[:0], member{confIndex, conf})
}

// add notes a membership.
func (m *members) add(index uint64, conf raft.Configuration) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if n := len(m.mu.list); n == 0 || m.mu.list[n-1].index < index {
		m.mu.list = append(m.mu.list, member{index, conf})
	}
}

// saw notes that all entries up to index have been gone through.
func (m *members) saw(index uint64) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.mu.seen = max(m.mu.seen, index)
}

// at returns the membership in force at index.
func (m *members) at(index uint64) (member, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if index > m.mu.seen {
		return member{}, errReplaying
	}
	for i := len(m.mu.list) - 1; i >= 0; i-- {
		if m.mu.list[i].index <= index {
			return m.mu.list[i], nil
		}
	}
	return member{}, errors.New("membership is not known")
}

// newest returns the index at which the newest membership was set, 0: not known.
func (m *members) newest() uint64 {
	m.mu.Lock()
	defer m.mu.Unlock()
	if n := len(m.mu.list); n > 0 {
		return m.mu.list[n-1].index
	}
	return 0
}

// forget drops what was replaced at or before index.
func (m *members) forget(index uint64) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for len(m.mu.list) > 1 && m.mu.list[1].index <= index {
		m.mu.list = m.mu.list[1:]
	}
}
