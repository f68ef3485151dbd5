package view

import (
	"slices"
	"testing"

	"github.com/quorumail/quorumail/proto/imapnum"
	pb "github.com/quorumail/quorumail/proto/quorumail/v1"
)

// Flags that a session does not want are not told, and told does not move past
// them, so that they can be had later (RFC 5465, 3.1).
func TestWithhold(t *testing.T) {
	v := New(imapnum.SetOfRange(1, 3), 1)
	v.Withhold()
	if v.Withheld() || v.Pending(true) {
		t.Error("nothing was there to be left out")
	}
	changed := []*pb.MessageState{{Uid: 1, ModSeq: 2}, {Uid: 4, ModSeq: 3}}
	v.Take(changed, imapnum.Set{}, 3)
	v.Withhold()
	if got := v.TellFlags(); len(got) != 0 || !v.TellFresh() || !v.Withheld() || !v.Pending(false) {
		t.Errorf("told %v", got)
	}
	if v.Told() != 1 || v.Taken() != 3 {
		t.Errorf("told %d, taken %d", v.Told(), v.Taken())
	}
	v.Recall()
	if v.Taken() != 1 {
		t.Errorf("taken %d", v.Taken())
	}
	v.Take(changed, imapnum.Set{}, 3)
	var uids []uint32
	for _, s := range v.TellFlags() {
		uids = append(uids, s.GetUid())
	}
	if !slices.Equal(uids, []uint32{1, 4}) || v.Told() != 3 || v.Withheld() {
		t.Errorf("told the flags of %v, up to %d", uids, v.Told())
	}
	v.Recall()
	if v.Taken() != 3 {
		t.Errorf("taken %d", v.Taken())
	}
}

// What the session itself has expunged is told though other expunges are not: in
// the numbering that it knows.
func TestTellExpungesOf(t *testing.T) {
	v := New(imapnum.SetOfRange(1, 9), 1)
	v.Take(nil, imapnum.SetOf(2, 4, 5, 8), 2)
	uids, seqs := v.TellExpungesOf(imapnum.SetOf(3, 4, 8, 20))
	if uids.String() != "4,8" || !slices.Equal(seqs, []imapnum.SeqNum{4, 7}) {
		t.Errorf("told %s, %v", uids, seqs)
	}
	if v.Gone().String() != "2,5" || v.UIDs().String() != "1:3,5:7,9" || v.Told() != 1 {
		t.Errorf("gone %s of %s, told %d", v.Gone(), v.UIDs(), v.Told())
	}
	if uids, seqs := v.TellExpunges(); uids.String() != "2,5" || !slices.Equal(seqs, []imapnum.SeqNum{2, 3}) || v.Told() != 2 {
		t.Errorf("then %s, %v", uids, seqs)
	}
}
