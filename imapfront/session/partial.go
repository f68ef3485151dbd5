package session

import (
	"github.com/quorumail/quorumail/imapfront/wire"
	"github.com/quorumail/quorumail/proto/imapnum"
	pb "github.com/quorumail/quorumail/proto/quorumail/v1"
)

// searchExtensions are the capabilities that say what else SEARCH can do.
var searchExtensions = []string{"PARTIAL", "MULTISEARCH", "CONTEXT=SEARCH"}

// found is what a search has come to.
type found struct {
	// uids is all messages found or, if nothing else is to be told or kept, those
	// of the part.
	uids imapnum.Set
	// part is those that PARTIAL names (RFC 9394, 3.1).
	part imapnum.Set
	// modSeq is the MODSEQ to tell; 0: none.
	modSeq uint64
}

// partOf asks storage for what PARTIAL names; alone, if nothing else is wanted,
// so that the search ends as soon as it has that.
func partOf(ret *wire.SearchReturn) *pb.SearchPart {
	if ret == nil || ret.Partial.First == 0 {
		return nil
	}
	from, to := ret.Partial.Bounds()
	return &pb.SearchPart{First: from, Last: to, FromEnd: ret.Partial.FromEnd, Only: onlyPart(ret)}
}

func onlyPart(ret *wire.SearchReturn) bool {
	return ret.Partial.First != 0 && !ret.Min && !ret.Max && !ret.Count && ret.Update == nil
}

// foundOf takes what storage has found for a request.
func foundOf(res *pb.SearchResponse, req *pb.SearchRequest, ret *wire.SearchReturn) found {
	f := found{uids: unpacked(res.GetUids()), modSeq: res.GetHighestModSeq()}
	if ret == nil {
		return f
	}
	f.modSeq = foundModSeq(ret, res)
	switch {
	case ret.Partial.First == 0:
	case req.GetPart().GetOnly():
		f.part = f.uids
	default:
		f.part = imapnum.SetOfRanges(ret.Partial.Of(f.uids.Ranges()))
	}
	return f
}

// foundModSeq is the MODSEQ of what is told: the highest of all messages, or of
// those that MIN, MAX and PARTIAL tell of (RFC 4731, 3.2; RFC 7162, 3.1.10).
func foundModSeq(ret *wire.SearchReturn, res *pb.SearchResponse) uint64 {
	if ret.All || ret.Count || !ret.Min && !ret.Max && ret.Partial.First == 0 {
		return res.GetHighestModSeq()
	}
	m := uint64(0)
	if ret.Min {
		m = res.GetFirstModSeq()
	}
	if ret.Max {
		m = max(m, res.GetLastModSeq())
	}
	if ret.Partial.First != 0 {
		m = max(m, res.GetPartModSeq())
	}
	return m
}

// saved is what SAVE keeps: only the messages told of by MIN, MAX and PARTIAL,
// unless all are asked for too (RFC 5182, 2.4; RFC 9394, 3.2).
func (f found) saved(ret *wire.SearchReturn) imapnum.Set {
	if savesAll(ret) {
		return f.uids
	}
	keep := f.part
	if f.uids.Empty() {
		return keep
	}
	if ret.Min {
		keep = keep.Union(imapnum.SetOf(f.uids.Min()))
	}
	if ret.Max {
		keep = keep.Union(imapnum.SetOf(f.uids.Max()))
	}
	return keep
}

// savesAll reports whether SAVE keeps all messages found.
func savesAll(ret *wire.SearchReturn) bool {
	return !ret.Min && !ret.Max && ret.Partial.First == 0 || ret.All || ret.Count
}
