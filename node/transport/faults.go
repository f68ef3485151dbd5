package transport

import (
	"sync"
	"time"
)

// Faults cuts and delays what nodes of a test send to each other. One Faults is
// shared by all of them. The zero value has none. Safe for concurrent use.
//
// It acts where frames are written: what was written before is not called back,
// and connections stay up, as in a network that loses packets.
type Faults struct {
	mu struct {
		sync.Mutex
		cut      map[pair]bool
		isolated map[string]bool
		delay    map[pair]time.Duration
	}
}

type pair struct{ from, to string }

// Cut drops all that from sends to to, requests and replies.
func (f *Faults) Cut(from, to string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.mu.cut == nil {
		f.mu.cut = make(map[pair]bool)
	}
	f.mu.cut[pair{from, to}] = true
}

// Isolate cuts a node from all others, both ways.
func (f *Faults) Isolate(node string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.mu.isolated == nil {
		f.mu.isolated = make(map[string]bool)
	}
	f.mu.isolated[node] = true
}

// Heal ends all cuts and delays.
func (f *Faults) Heal() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.mu.cut, f.mu.isolated, f.mu.delay = nil, nil, nil
}

// Delay holds back all that from sends to to; 0 ends it.
func (f *Faults) Delay(from, to string, d time.Duration) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.mu.delay == nil {
		f.mu.delay = make(map[pair]time.Duration)
	}
	f.mu.delay[pair{from, to}] = d
}

// on returns what happens to a frame. A nil Faults does nothing.
func (f *Faults) on(from, to string) (drop bool, delay time.Duration) {
	if f == nil {
		return false, 0
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	from, to = NodeOf(from), NodeOf(to)
	p := pair{from, to}
	return f.mu.cut[p] || f.mu.isolated[from] || f.mu.isolated[to], f.mu.delay[p]
}
