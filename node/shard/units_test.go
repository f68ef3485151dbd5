package shard

import (
	"context"
	"errors"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hashicorp/raft"
	"pgregory.net/rapid"
)

func TestAppliedWaiter(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var w appliedWaiter
		w.advance(3)
		if err := w.wait(t.Context(), 3); err != nil {
			t.Errorf("reached already: %v", err)
		}
		var wg sync.WaitGroup
		woken := make(map[uint64]time.Duration)
		var mu sync.Mutex
		began := time.Now()
		for _, i := range []uint64{9, 4, 7, 5, 7} {
			wg.Go(func() {
				if err := w.wait(t.Context(), i); err != nil {
					t.Errorf("wait for %d: %v", i, err)
				}
				mu.Lock()
				defer mu.Unlock()
				woken[i] = time.Since(began)
			})
		}
		short, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		wg.Go(func() {
			if err := w.wait(short, 8); !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("with a deadline: %v", err)
			}
		})
		for _, i := range []uint64{5, 2, 7, 9} {
			time.Sleep(2 * time.Second)
			w.advance(i)
		}
		wg.Wait()
		for i, want := range map[uint64]time.Duration{4: 2 * time.Second, 5: 2 * time.Second, 7: 6 * time.Second, 9: 8 * time.Second} {
			if woken[i] != want {
				t.Errorf("%d was reached after %v, want %v", i, woken[i], want)
			}
		}
		if len(w.mu.waiters) != 0 {
			t.Errorf("%d waiters are left", len(w.mu.waiters))
		}
		wg.Go(func() {
			if err := w.wait(t.Context(), 10); !errors.Is(err, ErrStopped) {
				t.Errorf("waiting when stopped: %v", err)
			}
		})
		synctest.Wait()
		w.stop(ErrStopped)
		wg.Wait()
		if err := w.wait(t.Context(), 10); !errors.Is(err, ErrStopped) {
			t.Errorf("after stop: %v", err)
		}
		if err := w.wait(t.Context(), 9); err != nil {
			t.Errorf("reached before stop: %v", err)
		}
	})
}

func TestRoundsServeOnlyThoseWhoCameBefore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		began := time.Now()
		n := 0
		r := newRounds(func(context.Context) (time.Duration, error) {
			n++
			at := time.Since(began)
			time.Sleep(10 * time.Millisecond)
			return at, nil
		})
		var wg sync.WaitGroup
		for i := range 50 {
			wg.Go(func() {
				time.Sleep(time.Duration(i) * time.Millisecond)
				came := time.Since(began)
				at, err := r.join(t.Context())
				if err != nil || at < came {
					t.Errorf("came at %v, served by the round of %v, %v", came, at, err)
				}
			})
		}
		wg.Wait()
		if n > 7 {
			t.Errorf("%d rounds for 50 callers in 50 ms", n)
		}
		short, cancel := context.WithTimeout(t.Context(), time.Millisecond)
		defer cancel()
		if _, err := r.join(short); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("impatient caller: %v", err)
		}
		r.close()
		if _, err := r.join(t.Context()); !errors.Is(err, ErrStopped) {
			t.Errorf("after close: %v", err)
		}
	})
}

func TestMembersAt(t *testing.T) {
	conf := func(id string) raft.Configuration {
		return raft.Configuration{Servers: []raft.Server{{ID: raft.ServerID(id)}}}
	}
	var m members
	if _, err := m.at(1); err == nil {
		t.Error("membership known before the log was read")
	}
	m.reset(10, 4, conf("a"))
	if _, err := m.at(11); !errors.Is(err, errReplaying) {
		t.Errorf("beyond what was seen: %v", err)
	}
	m.add(4, conf("repeated"))
	m.add(20, conf("b"))
	m.add(30, conf("c"))
	m.saw(35)
	for index, want := range map[uint64]string{10: "a", 19: "a", 20: "b", 29: "b", 30: "c", 35: "c"} {
		got, err := m.at(index)
		if err != nil || string(got.conf.Servers[0].ID) != want {
			t.Errorf("at %d: %v, %v; want %s", index, got, err, want)
		}
	}
	m.forget(25)
	if got, err := m.at(26); err != nil || string(got.conf.Servers[0].ID) != "b" {
		t.Errorf("after forget: %v, %v", got, err)
	}
	if _, err := m.at(15); err == nil {
		t.Error("membership of what was forgotten is known")
	}
}

// TestTakeKeepsOrderAndLimits draws queues of commands and empties them.
func TestTakeKeepsOrderAndLimits(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		p := &proposer{limits: Limits{BatchOps: 4, BatchBytes: 100}}
		var want []*proposal
		for range rapid.IntRange(0, 30).Draw(t, "n") {
			pr := &proposal{data: make([]byte, rapid.IntRange(0, 150).Draw(t, "size")), raw: rapid.IntRange(0, 5).Draw(t, "raw") == 0}
			want = append(want, pr)
			p.mu.queue = append(p.mu.queue, pr)
			p.mu.bytes += int64(len(pr.data))
		}
		for len(want) > 0 {
			p.mu.entries = 0
			batch := p.take()
			if len(batch) == 0 {
				t.Fatal("nothing taken from a queue that has something")
			}
			if p.mu.entries != 1 {
				t.Fatalf("%d entries under way", p.mu.entries)
			}
			size := 0
			for i, pr := range batch {
				if pr != want[i] {
					t.Fatal("out of order")
				}
				if pr.raw && len(batch) > 1 {
					t.Fatal("raw proposal shares an entry")
				}
				size += len(pr.data)
			}
			if len(batch) > 4 || len(batch) > 1 && size > 100 {
				t.Fatalf("batch of %d with %d octets", len(batch), size)
			}
			want = want[len(batch):]
		}
		if p.mu.entries = 0; len(p.take()) != 0 || p.mu.bytes != 0 {
			t.Fatal("something is left")
		}
	})
}

// TestTakeWaitsForAFullBatch: behind an entry that is under way only what fills
// one is proposed, and no more entries than are allowed.
func TestTakeWaitsForAFullBatch(t *testing.T) {
	p := &proposer{limits: Limits{BatchOps: 4, BatchBytes: 100, InFlight: 2}}
	steps := []struct {
		what    string
		add     []int // sizes of commands that come
		landed  bool  // the oldest entry has landed
		want    int   // commands in the next entry
		entries int   // under way then
	}{
		{"nothing under way", []int{10}, false, 1, 1},
		{"too few", []int{10, 10, 10}, false, 0, 1},
		{"as many as an entry may have", []int{10}, false, 4, 2},
		{"full, but two are under way", []int{10, 10, 10, 10}, false, 0, 2},
		{"one has landed", nil, true, 4, 2},
		{"too few again", []int{10}, true, 0, 1},
		{"octets of more than an entry", []int{60, 60}, false, 2, 2},
		{"the rest", nil, true, 0, 1},
		{"the rest, alone", nil, true, 1, 1},
	}
	for _, s := range steps {
		for _, size := range s.add {
			p.mu.queue = append(p.mu.queue, &proposal{data: make([]byte, size)})
		}
		if s.landed {
			p.landed(nil)
		}
		if got := len(p.take()); got != s.want || p.mu.entries != s.entries {
			t.Fatalf("%s: %d commands taken, %d entries under way; want %d, %d", s.what, got, p.mu.entries, s.want, s.entries)
		}
	}
}
