package raftfsm

import (
	"sync"
	"sync/atomic"

	"github.com/RoaringBitmap/roaring/v2"

	"github.com/quorumail/quorumail/proto/imapnum"
)

// lazySet is a bitmap of UIDs as ranges, made when somebody asks for them. To walk
// over a bitmap costs what there is of messages; so the ranges are made of those of
// the index before, if these are known, and of what has changed since.
type lazySet struct {
	once sync.Once
	done atomic.Bool // set is good
	set  imapnum.Set

	base  *imapnum.Set // of an earlier index, nil if there is none to begin with
	delta []uidChange  // since, in order
}

type uidChange struct {
	uid   imapnum.UID
	there bool
}

// maxDelta is how many changes are noted: with more the bitmap is walked over.
const maxDelta = 1024

// next returns the set of an index that is about to differ from this one's.
func (l *lazySet) next() *lazySet {
	switch {
	case l.done.Load():
		return &lazySet{base: &l.set}
	case l.base != nil:
		return &lazySet{base: l.base, delta: append(make([]uidChange, 0, len(l.delta)+8), l.delta...)}
	}
	return &lazySet{}
}

// note notes that a UID has come or gone.
func (l *lazySet) note(uid imapnum.UID, there bool) {
	if l.base == nil {
		return
	}
	if l.delta = append(l.delta, uidChange{uid, there}); len(l.delta) > maxDelta {
		l.base, l.delta = nil, nil
	}
}

// of returns the ranges; b is the bitmap as it is now, and stays.
func (l *lazySet) of(b *roaring.Bitmap) imapnum.Set {
	l.once.Do(func() {
		if l.base == nil {
			l.set = setOf(b)
		} else {
			l.set = withDelta(*l.base, l.delta)
		}
		l.done.Store(true)
	})
	return l.set
}

func withDelta(set imapnum.Set, delta []uidChange) imapnum.Set {
	last := make(map[imapnum.UID]bool, len(delta))
	for _, c := range delta {
		last[c.uid] = c.there
	}
	var come, gone []imapnum.UID
	for uid, there := range last {
		if there {
			come = append(come, uid)
		} else {
			gone = append(gone, uid)
		}
	}
	return set.Union(imapnum.SetOf(come...)).Subtract(imapnum.SetOf(gone...))
}

// setOf returns the ranges of a bitmap. (Bitmap.NextAbsentValue would leap over runs,
// but stops at each end of a container.)
func setOf(b *roaring.Bitmap) imapnum.Set {
	var set imapnum.SetBuilder
	it := b.ManyIterator()
	buf := make([]uint32, 4096)
	var first, last uint32
	open := false
	for n := it.NextMany(buf); n > 0; n = it.NextMany(buf) {
		for _, u := range buf[:n] {
			if open && u == last+1 {
				last = u
				continue
			}
			if open {
				set.AddRange(imapnum.UID(first), imapnum.UID(last))
			}
			first, last, open = u, u, true
		}
	}
	if open {
		set.AddRange(imapnum.UID(first), imapnum.UID(last))
	}
	return set.Set()
}
