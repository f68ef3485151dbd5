package node

import (
	"fmt"
	"slices"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/quorumail/quorumail/proto/imapnum"
	pb "github.com/quorumail/quorumail/proto/quorumail/v1"
	"github.com/quorumail/quorumail/raftfsm"
)

// history is a mailbox whose messages come and go, with what it was like after
// each step.
type history struct {
	*machineBench
	u    *upkeep
	next imapnum.UID
	here []imapnum.UID
	was  map[imapnum.ModSeq][]imapnum.UID
}

const historyMailbox = 1

func newHistory(t *testing.T, ranges int) *history {
	b := newMachineBench(t)
	cfg := (&Config{FS: vfs.NewMem(), ExpungeHistory: ranges}).withDefaults()
	h := &history{machineBench: b, u: newUpkeep(&Node{cfg: cfg, log: cfg.Log}, b.fsm), next: 1, was: map[imapnum.ModSeq][]imapnum.UID{}}
	b.apply(&pb.Entry{Account: "alice", Op: &pb.Entry_CreateAccount{CreateAccount: &pb.CreateAccountOp{UidValiditySeed: 1}}})
	return h
}

// step adds n messages and expunges every other one of them, and an older one: so
// most ranges stay apart.
func (h *history) step(n, older int) {
	h.t.Helper()
	op := &pb.AppendOp{Mailbox: "INBOX"}
	for range n {
		id := fmt.Appendf(nil, "%016d", h.next)
		op.Messages = append(op.Messages, &pb.AppendMessage{
			Email: &pb.Email{Size: 1, BodyId: id}, Inline: []*pb.BodyChunk{{RawSize: 1, Codec: pb.Codec_CODEC_RAW, Data: []byte("x")}},
		})
		h.here = append(h.here, h.next)
		h.next++
	}
	doomed := []imapnum.UID{h.here[older%len(h.here)]}
	for i := len(h.here) - n + 1; i < len(h.here); i += 2 {
		doomed = append(doomed, h.here[i])
	}
	slices.Sort(doomed)
	doomed = slices.Compact(doomed)
	set := &pb.UidSet{Packed: imapnum.SetOf(doomed...).Pack()}
	res := h.apply(
		&pb.Entry{Account: "alice", Op: &pb.Entry_Append{Append: op}},
		&pb.Entry{Account: "alice", Op: &pb.Entry_Store{Store: &pb.StoreOp{
			MailboxId: historyMailbox, Uids: set, Mode: pb.StoreOp_MODE_ADD, Flags: []string{`\Deleted`},
		}}},
	)
	h.was[imapnum.ModSeq(res[1].GetModSeq())] = slices.Clone(h.here)
	res = h.apply(&pb.Entry{Account: "alice", Op: &pb.Entry_Expunge{Expunge: &pb.ExpungeOp{MailboxId: historyMailbox}}})
	h.here = slices.DeleteFunc(h.here, func(uid imapnum.UID) bool { return slices.Contains(doomed, uid) })
	h.was[imapnum.ModSeq(res[0].GetModSeq())] = slices.Clone(h.here)
}

// keep does what upkeep finds to do, until there is nothing more.
func (h *history) keep() {
	h.t.Helper()
	for round := 0; ; round++ {
		entries, err := h.u.plan(h.now)
		if err != nil {
			h.t.Fatal(err)
		}
		if len(entries) == 0 {
			if entries, err = h.u.plan(h.now); err != nil {
				h.t.Fatal(err)
			}
		}
		if len(entries) == 0 {
			return
		}
		if round > 100 {
			h.t.Fatalf("there is no end to it: %v", entries)
		}
		h.apply(entries...)
	}
}

// judge resynchronises a client from each state that there was, with all that it
// knew and with a part of it, and returns the queue's size and floor.
func (h *history) judge() (records, ranges int, floor imapnum.ModSeq) {
	h.t.Helper()
	if err := h.fsm.Check("alice"); err != nil {
		h.t.Fatal(err)
	}
	v, err := h.fsm.View()
	if err != nil {
		h.t.Fatal(err)
	}
	defer v.Close()
	a, err := v.Account("alice")
	if err != nil {
		h.t.Fatal(err)
	}
	m, err := a.MailboxByID(historyMailbox)
	if err != nil {
		h.t.Fatal(err)
	}
	now := imapnum.SetOf(h.here...)
	for since, cached := range h.was {
		half := slices.Clone(cached)
		for i := 0; i < len(half); i++ {
			half = slices.Delete(half, i, i+1)
		}
		for _, known := range []imapnum.Set{imapnum.SetOf(cached...), imapnum.SetOf(half...)} {
			vanished, err := m.Changes(raftfsm.Since{ModSeq: since, Known: &known, NoChanged: true}, nil)
			if err != nil {
				h.t.Fatal(err)
			}
			if got, want := vanished, known.Subtract(now); !got.Equal(want) {
				h.t.Fatalf("at %d, floor %d: of %v are told to have vanished %v, want %v", since, m.Info().GetExpungeFloor(), known, got, want)
			}
		}
		// A client that does not say what it knew is told of all that it held, and of
		// nothing that is there.
		vanished, err := m.Changes(raftfsm.Since{ModSeq: since, NoChanged: true}, nil)
		if err != nil {
			h.t.Fatal(err)
		}
		if lost := imapnum.SetOf(cached...).Subtract(now).Subtract(vanished); !lost.Empty() || !vanished.Intersect(now).Empty() {
			h.t.Fatalf("at %d: %v is told to have vanished, not %v", since, vanished, lost)
		}
	}
	err = m.ExpungeQueue(func(_ imapnum.ModSeq, n int) bool {
		records++
		ranges += n
		return true
	})
	if err != nil {
		h.t.Fatal(err)
	}
	return records, ranges, imapnum.ModSeq(m.Info().GetExpungeFloor())
}

// A mailbox's history of expunges is forgotten from its beginning when it is too
// long. A client that comes back from before is told what is gone all the same.
func TestUpkeepForgetsLongHistory_RFC7162_3_2_6(t *testing.T) {
	h := newHistory(t, 300)
	h.u.queue, h.u.group = 40, 30
	var floors []imapnum.ModSeq
	for i := range 150 {
		h.step(12, 7*i) // some 7 ranges
		h.keep()
		if i%10 > 0 {
			continue
		}
		records, ranges, floor := h.judge()
		if ranges > 300 || records > h.u.queue {
			t.Errorf("step %d: %d records with %d ranges are kept", i, records, ranges)
		}
		if floor > 0 && ranges < 150 {
			t.Errorf("step %d: only %d ranges are left", i, ranges)
		}
		if n := len(floors); n == 0 || floors[n-1] != floor {
			floors = append(floors, floor)
		}
	}
	if len(floors) < 4 || !slices.IsSorted(floors) {
		t.Errorf("the floors were %v", floors)
	}
}

// Without a bound nothing is ever forgotten, and merging makes the records few all
// the same.
func TestUpkeepKeepsEverything(t *testing.T) {
	h := newHistory(t, -1)
	h.u.queue, h.u.group = 8, 4
	for i := range 60 {
		h.step(6, 7*i)
		h.keep()
	}
	records, ranges, floor := h.judge()
	if floor != 0 || records > h.u.queue || ranges < 100 {
		t.Errorf("%d records with %d ranges, floor %d", records, ranges, floor)
	}
}
