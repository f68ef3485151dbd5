package service

import (
	"slices"
	"sync"
	"time"

	"github.com/quorumail/quorumail/raftfsm"
)

const (
	// maxMarks bounds the states of a shard that are captured at a time: each keeps
	// the store from dropping what it sees. The oldest goes for a new one: who asked
	// for it has likely given up.
	maxMarks = 4
	// markPatience is how long a captured state waits to be read.
	markPatience = time.Minute
)

// Marks are states of a shard that have been captured at marks in its log, for
// AdminService.VerifyShard to read. The zero value is ready.
type Marks struct {
	mu     sync.Mutex
	closed bool
	views  map[string]*raftfsm.View
	order  []string // of the captures, those that are gone among them
}

// Capture keeps a state for a while under a name; the log has it as
// [raftfsm.Config.OnMark].
func (m *Marks) Capture(mark []byte, v *raftfsm.View) {
	m.mu.Lock()
	defer m.mu.Unlock()
	name := string(mark)
	if m.closed || m.views[name] != nil {
		_ = v.Close() // nothing has been read
		return
	}
	for len(m.views) >= maxMarks {
		if old := m.views[m.order[0]]; old != nil {
			delete(m.views, m.order[0])
			_ = old.Close() // nothing has been read
		}
		m.order = m.order[1:]
	}
	m.order = slices.DeleteFunc(m.order, func(name string) bool { return m.views[name] == nil })
	m.order = append(m.order, name)
	if m.views == nil {
		m.views = make(map[string]*raftfsm.View)
	}
	m.views[name] = v
	time.AfterFunc(markPatience, func() {
		if m.drop(name, v) {
			_ = v.Close() // nobody has come for it
		}
	})
}

// drop forgets a state, and reports whether it was still there.
func (m *Marks) drop(name string, v *raftfsm.View) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.views[name] != v {
		return false
	}
	delete(m.views, name)
	return true
}

// take returns the state of a mark, which is then the caller's to close; nil if it
// is not here.
func (m *Marks) take(mark []byte) *raftfsm.View {
	m.mu.Lock()
	defer m.mu.Unlock()
	v := m.views[string(mark)]
	delete(m.views, string(mark))
	return v
}

// Close lets go of all states that have not been read.
func (m *Marks) Close() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.closed = true
	for _, v := range m.views {
		_ = v.Close() // nothing has been read
	}
	m.views, m.order = nil, nil
}
