package view

import (
	"slices"
	"testing"

	"pgregory.net/rapid"

	"github.com/quorumail/quorumail/proto/imapnum"
	pb "github.com/quorumail/quorumail/proto/quorumail/v1"
)

func TestNumbers(t *testing.T) {
	v := New(imapnum.SetOf(2, 3, 4, 8, 10, 11), 5)
	for uid, seq := range map[imapnum.UID]imapnum.SeqNum{1: 0, 2: 1, 4: 3, 5: 0, 8: 4, 10: 5, 11: 6, 12: 0} {
		if got := v.SeqNum(uid); got != seq {
			t.Errorf("SeqNum(%d) = %d, want %d", uid, got, seq)
		}
		if got := v.UID(seq); seq != 0 && got != uid {
			t.Errorf("UID(%d) = %d, want %d", seq, got, uid)
		}
	}
	if v.Count() != 6 || v.UID(7) != 0 || v.UID(0) != 0 {
		t.Error("ends")
	}
	if got := v.Span(3, 5).String(); got != "4,8,10" {
		t.Errorf("Span = %s", got)
	}
	if got := v.SeqNums(imapnum.SetOfRange(3, 10)).String(); got != "2:5" {
		t.Errorf("SeqNums = %s", got)
	}
}

func TestCameAndWentUntold_RFC7162_3_2_10_2(t *testing.T) {
	v := New(imapnum.SetOf(1), 1)
	v.Take([]*pb.MessageState{{Uid: 2, ModSeq: 2}}, imapnum.Set{}, 2)
	v.Take(nil, imapnum.SetOf(2), 3)
	if v.Pending(true) || v.TellFresh() {
		t.Error("an untold message is mentioned")
	}
	if uids, _ := v.TellExpunges(); !uids.Empty() || v.Told() != 3 {
		t.Errorf("expunged %v, told %d", uids, v.Told())
	}
}

func TestToldWaitsForExpunges_RFC7162_3_2_4(t *testing.T) {
	v := New(imapnum.SetOfRange(1, 3), 1)
	v.Take([]*pb.MessageState{{Uid: 1, ModSeq: 3}}, imapnum.SetOf(2), 3)
	v.TellFlags()
	if v.Told() != 1 {
		t.Errorf("told %d while an expunge is held back", v.Told())
	}
	v.TellExpunges()
	if v.Told() != 3 {
		t.Errorf("told %d at last", v.Told())
	}
}

// What a session has made of a message that is gone is known until it is told so.
func TestKeep(t *testing.T) {
	v := New(imapnum.SetOfRange(1, 3), 1)
	v.Take(nil, imapnum.SetOf(2), 2)
	v.Keep(&pb.MessageState{Uid: 2, SystemFlags: 1})
	v.Keep(&pb.MessageState{Uid: 3, SystemFlags: 1}) // is there
	if v.Kept(2).GetSystemFlags() != 1 || v.Kept(3) != nil || v.Pending(false) {
		t.Errorf("kept %v and %v", v.Kept(2), v.Kept(3))
	}
	if v.TellExpunges(); v.Kept(2) != nil {
		t.Error("kept for ever")
	}
}

// A client that applies what it is told, by sequence numbers alone, always has
// the view's messages; and all of the mailbox's after everything is told.
func TestClientFollows(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		box := map[imapnum.UID]imapnum.ModSeq{}
		next, modSeq := imapnum.UID(1), imapnum.ModSeq(1)
		type change struct {
			at   imapnum.ModSeq
			uid  imapnum.UID
			gone bool
		}
		var log []change
		add := func() {
			box[next] = modSeq
			log = append(log, change{modSeq, next, false})
			next++
		}
		for range rapid.IntRange(0, 8).Draw(t, "at first") {
			add()
		}
		v := New(keysOf(box), modSeq)
		client := slices.Collect(v.UIDs().All())
		for range rapid.IntRange(1, 30).Draw(t, "steps") {
			modSeq++
			switch rapid.SampledFrom([]string{"add", "flag", "expunge", "take", "tell", "tell all"}).Draw(t, "step") {
			case "add":
				add()
			case "flag", "expunge":
				if len(box) == 0 {
					continue
				}
				uid := rapid.SampledFrom(slices.Sorted(keysOf(box).All())).Draw(t, "uid")
				gone := rapid.Bool().Draw(t, "gone")
				if gone {
					delete(box, uid)
				} else {
					box[uid] = modSeq
				}
				log = append(log, change{modSeq, uid, gone})
			case "take":
				take(v, log2states(box, v.Taken()), gone(log, func(c change) (bool, imapnum.UID) { return c.gone && c.at > v.Taken(), c.uid }), modSeq)
			case "tell all":
				take(v, log2states(box, v.Taken()), gone(log, func(c change) (bool, imapnum.UID) { return c.gone && c.at > v.Taken(), c.uid }), modSeq)
				_, seqs := v.TellExpunges()
				for _, s := range seqs {
					client = slices.Delete(client, int(s)-1, int(s))
				}
				fallthrough
			case "tell":
				for _, s := range v.TellFlags() {
					if seq := v.SeqNum(imapnum.UID(s.GetUid())); client[seq-1] != imapnum.UID(s.GetUid()) {
						t.Fatalf("message %d is %d, the client has %d there", seq, s.GetUid(), client[seq-1])
					}
				}
				if v.TellFresh() {
					for uid := range v.UIDs().All() {
						if len(client) == 0 || uid > client[len(client)-1] {
							client = append(client, uid)
						}
					}
				}
			}
			if !imapnum.SetOf(client...).Equal(v.UIDs()) {
				t.Fatalf("the client has %v, the view %v", client, v.UIDs())
			}
		}
		take(v, log2states(box, v.Taken()), gone(log, func(c change) (bool, imapnum.UID) { return c.gone && c.at > v.Taken(), c.uid }), modSeq+1)
		v.TellExpunges()
		v.TellFlags()
		v.TellFresh()
		if !v.UIDs().Equal(keysOf(box)) || v.Told() != modSeq+1 {
			t.Fatalf("the view has %v, the mailbox %v; told %d", v.UIDs(), keysOf(box), v.Told())
		}
	})
}

func take(v *View, changed []*pb.MessageState, vanished imapnum.Set, modSeq imapnum.ModSeq) {
	v.Take(changed, vanished, modSeq)
}

func keysOf(box map[imapnum.UID]imapnum.ModSeq) imapnum.Set {
	var uids []imapnum.UID
	for uid := range box {
		uids = append(uids, uid)
	}
	return imapnum.SetOf(uids...)
}

func log2states(box map[imapnum.UID]imapnum.ModSeq, since imapnum.ModSeq) []*pb.MessageState {
	var list []*pb.MessageState
	for uid := range keysOf(box).All() {
		if box[uid] > since {
			list = append(list, &pb.MessageState{Uid: uint32(uid), ModSeq: uint64(box[uid])})
		}
	}
	return list
}

func gone[C any](log []C, is func(C) (bool, imapnum.UID)) imapnum.Set {
	var uids []imapnum.UID
	for _, c := range log {
		if ok, uid := is(c); ok {
			uids = append(uids, uid)
		}
	}
	return imapnum.SetOf(uids...)
}

// Pending reports whether there is anything to tell; expunges count only if
// they may be told.
func (v *View) Pending(expunges bool) bool {
	return v.withheld || !v.fresh.Empty() || len(v.flags) > 0 || expunges && !v.gone.Empty()
}

// TellExpunges removes all expunged messages.
func (v *View) TellExpunges() (uids imapnum.Set, seqs []imapnum.SeqNum) {
	return v.TellExpungesOf(v.gone)
}

// Withheld reports whether flags have been left out.
func (v *View) Withheld() bool { return v.withheld }
