package raftfsm

import (
	"bytes"
	"errors"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/cockroachdb/pebble/v2"

	"github.com/quorumail/quorumail/raftfsm/keys"
)

// A reader of many content records finds each in whatever order it is asked, whether
// it steps or seeks, and says of one that is not there that it is missing, whatever
// it was asked before.
func TestEmailsInAnyOrder(t *testing.T) {
	m := newMachine(t)
	m.ok(newAccount())
	for range 40 {
		m.ok(m.mail("INBOX"))
	}
	ids := emails(t, m.inbox().a)
	gone := map[uint64]bool{0: true, ids[39] + 5: true}
	for _, i := range []int{4, 9, 10, 20, 21, 22, 23, 24, 25, 39} {
		gone[ids[i]] = true
		if err := m.db.Delete(m.inbox().a.space.ID(keys.Email, ids[i]), pebble.NoSync); err != nil {
			t.Fatal(err)
		}
	}
	a := m.inbox().a
	read := func(order []uint64) {
		t.Helper()
		r, err := a.Emails(len(order))
		if err != nil {
			t.Fatal(err)
		}
		defer r.Close()
		for _, id := range order {
			got, err := r.Email(id)
			if gone[id] {
				if !errors.Is(err, errCorrupt) {
					t.Fatalf("email %d, which is gone: %v", id, err)
				}
				continue
			}
			want, _ := get(a.v.snap, a.space.ID(keys.Email, id))
			if err != nil || len(want) == 0 || !bytes.Equal(got, want) {
				t.Fatalf("email %d in %v: %x, %v, want %x", id, order, got, err, want)
			}
		}
	}
	read(ids)
	read([]uint64{ids[0], ids[0], ids[1], ids[1], ids[5], ids[3], ids[2], 0, ids[0], ids[39] + 5, ids[38]})
	rng := rand.New(rand.NewPCG(1, 1))
	for range 50 {
		some := slices.Clone(ids)
		rng.Shuffle(len(some), func(i, j int) { some[i], some[j] = some[j], some[i] })
		some = some[:5+rng.IntN(30)]
		if rng.IntN(3) > 0 {
			slices.Sort(some)
		}
		read(some)
	}
}
