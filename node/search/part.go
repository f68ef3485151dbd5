package search

import (
	"github.com/quorumail/quorumail/proto/imapnum"
	pb "github.com/quorumail/quorumail/proto/quorumail/v1"
)

// Part names some of the matches by their places in the order of UIDs, from
// First to Last: 1 is the lowest UID or, with FromEnd, the highest (RFC 9394,
// 3.1). The zero value names none.
type Part struct {
	First, Last uint64
	FromEnd     bool
	// Only: the other matches are not wanted. The search ends when it has found
	// those of the part, having looked from their end; Result tells of no others.
	Only bool
}

// of returns what of the matches a part names.
func (p Part) of(uids imapnum.Set) imapnum.Set {
	if p.Last == 0 {
		return imapnum.Set{}
	}
	return imapnum.SetOfRanges(imapnum.Places(uids.Ranges(), p.First, p.Last, p.FromEnd))
}

// Of returns which of n matches in another order a part names: from i up to j,
// without it.
func (p Part) Of(n int) (i, j int) {
	if p.Last == 0 || p.First > uint64(n) {
		return 0, 0
	}
	i, j = int(max(p.First, 1))-1, int(min(p.Last, uint64(n)))
	if p.FromEnd {
		i, j = n-j, n-i
	}
	return i, j
}

// firstWindow is how many messages are looked at before matches are counted for
// the first time; then it is twice as many at a time.
const firstWindow = 256

// matches returns which messages match, of those that possibly do, with a part's
// MODSEQ if one is wanted: all that match, or those of the part alone.
func (q *query) matches(root *node, sure, possible imapnum.Set, part Part) (Result, error) {
	var res Result
	if part.Only {
		if err := q.someMatches(root, sure, possible, part, &res); err != nil {
			return res, err
		}
		res = Result{UIDs: part.of(res.UIDs)}
		err := q.modSeqs(&res, res.UIDs)
		return res, err
	}
	look := possible.Subtract(sure)
	if q.wantModSeq {
		look = possible
	}
	res.UIDs = sure
	if err := q.look(root, look, &res); err != nil {
		return res, err
	}
	of := Result{}
	err := q.modSeqs(&of, part.of(res.UIDs))
	res.PartModSeq = of.HighestModSeq
	return res, err
}

// someMatches looks for matches from a part's end until it has all of its.
func (q *query) someMatches(root *node, sure, possible imapnum.Set, part Part, res *Result) error {
	for place, window := uint64(1), uint64(firstWindow); res.UIDs.Len() < part.Last; window *= 2 {
		set := imapnum.SetOfRanges(imapnum.Places(possible.Ranges(), place, place+window-1, part.FromEnd))
		if set.Empty() {
			return nil
		}
		more := Result{UIDs: set.Intersect(sure)}
		if err := q.look(root, set.Subtract(sure), &more); err != nil {
			return err
		}
		res.UIDs = res.UIDs.Union(more.UIDs)
		place += window
	}
	return nil
}

// modSeqs reads the MODSEQs of some matches, if they are wanted.
func (q *query) modSeqs(res *Result, uids imapnum.Set) error {
	if !q.wantModSeq {
		return nil
	}
	err := q.mb.Messages(uids, func(rec *pb.FetchedMessage) (bool, error) {
		res.count(imapnum.ModSeq(rec.GetState().GetModSeq()))
		return true, q.ctx.Err()
	})
	res.PartModSeq = res.HighestModSeq
	return err
}
