package witness

import (
	"math/rand/v2"
	"sync"
)

// pool is the UIDs that workers may choose from: appended, answered, and not yet
// chosen to be expunged.
type pool struct {
	mu   sync.Mutex
	uids []uint32
}

func newPool() *pool { return new(pool) }

func (p *pool) add(uid uint32) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.uids = append(p.uids, uid)
}

// choose returns a UID at random; 0 if there is none.
func (p *pool) choose(rng *rand.Rand) uint32 {
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.uids) == 0 {
		return 0
	}
	return p.uids[rng.IntN(len(p.uids))]
}

// take removes up to n UIDs at random, as long as keep remain.
func (p *pool) take(rng *rand.Rand, n, keep int) []uint32 {
	p.mu.Lock()
	defer p.mu.Unlock()
	var taken []uint32
	for len(p.uids) > keep && len(taken) < n {
		i := rng.IntN(len(p.uids))
		last := len(p.uids) - 1
		taken = append(taken, p.uids[i])
		p.uids[i] = p.uids[last]
		p.uids = p.uids[:last]
	}
	return taken
}
