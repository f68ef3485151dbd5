package session

import (
	"context"

	"github.com/quorumail/quorumail/imapfront/wire"
	"github.com/quorumail/quorumail/proto/imapnum"
	pb "github.com/quorumail/quorumail/proto/quorumail/v1"
)

var sortFields = map[string]pb.SortKey_Field{
	"ARRIVAL": pb.SortKey_FIELD_ARRIVAL, "CC": pb.SortKey_FIELD_CC, "DATE": pb.SortKey_FIELD_DATE,
	"FROM": pb.SortKey_FIELD_FROM, "SIZE": pb.SortKey_FIELD_SIZE, "SUBJECT": pb.SortKey_FIELD_SUBJECT,
	"TO": pb.SortKey_FIELD_TO, "DISPLAYFROM": pb.SortKey_FIELD_DISPLAYFROM, "DISPLAYTO": pb.SortKey_FIELD_DISPLAYTO,
}

// sort is SORT and UID SORT (RFC 5256, 3; RFC 5267, 3; RFC 7162, 3.1.6). The
// storage node sorts, next to the mail.
func (c *Conn) sort(ctx context.Context, cmd wire.Sort) error {
	req, err := c.criteria(ctx, "SORT", cmd.Charset, cmd.Key, cmd.Return)
	if req == nil {
		return err
	}
	sortReq := &pb.SortRequest{Search: req}
	for _, k := range cmd.Keys {
		sortReq.Keys = append(sortReq.Keys, &pb.SortKey{Field: sortFields[k.Name], Reverse: k.Reverse})
	}
	res, err := during(ctx, &progress{c: c}, c.box.store.Sort, sortReq)
	if err == nil {
		err = c.searchedAt(ctx, res.GetMailboxModSeq())
	}
	if err != nil {
		c.unsave(cmd.Return)
		return c.boxFailed("SORT", err)
	}
	f := sortedOf(res, cmd.Return)
	c.tellSorted(cmd, f)
	if ret := cmd.Return; ret != nil && ret.Save {
		c.box.saved = f.saved(ret)
	}
	if cmd.Return != nil && cmd.Return.Update != nil {
		c.refuseUpdate(c.tag) // RFC 5267, 4.3.1: a sorted result is not kept up to date
	}
	c.tell(mayExpunge(cmd.UID && !keyNamesNumbers(cmd.Key)))
	return c.done("SORT done")
}

// sorted is what a SORT has come to, in the order asked for; see found.
type sorted struct {
	uids, part []uint32
	modSeq     uint64
}

func sortedOf(res *pb.SortResponse, ret *wire.SearchReturn) sorted {
	f := sorted{uids: res.GetUids(), modSeq: res.GetHighestModSeq()}
	if ret == nil {
		return f
	}
	f.modSeq = foundModSeq(ret, &pb.SearchResponse{
		HighestModSeq: res.GetHighestModSeq(), FirstModSeq: res.GetFirstModSeq(), LastModSeq: res.GetLastModSeq(), PartModSeq: res.GetPartModSeq(),
	})
	switch {
	case ret.Partial.First == 0:
	case onlyPart(ret):
		f.part = f.uids
	default:
		i, j := ret.Partial.In(len(f.uids))
		f.part = f.uids[i:j]
	}
	return f
}

// saved is what SAVE keeps (RFC 5182, 2.4; RFC 9394, 3.2).
func (f sorted) saved(ret *wire.SearchReturn) imapnum.Set {
	if savesAll(ret) {
		return setOfUIDs(f.uids)
	}
	keep := setOfUIDs(f.part)
	if ret.Min && len(f.uids) > 0 {
		keep = keep.Union(setOfUIDs(f.uids[:1]))
	}
	if ret.Max && len(f.uids) > 0 {
		keep = keep.Union(setOfUIDs(f.uids[len(f.uids)-1:]))
	}
	return keep
}

func setOfUIDs(uids []uint32) imapnum.Set {
	all := make([]imapnum.UID, len(uids))
	for i, uid := range uids {
		all[i] = imapnum.UID(uid)
	}
	return imapnum.SetOf(all...)
}

// seqNums returns the message sequence numbers of UIDs, in their order.
func (c *Conn) seqNums(uids []uint32) []uint32 {
	nums := make([]uint32, 0, len(uids))
	for _, uid := range uids {
		if n := c.box.view.SeqNum(imapnum.UID(uid)); n != 0 {
			nums = append(nums, uint32(n))
		}
	}
	return nums
}

// tellSorted prints the result: as SORT, or as ESEARCH if the client asked for it
// with RETURN. There MIN and MAX are the first and the last, and ALL is in order
// (RFC 5267, 3.1 and 3.2).
func (c *Conn) tellSorted(cmd wire.Sort, f sorted) {
	numbers := func(uids []uint32) []uint32 {
		if cmd.UID {
			return uids
		}
		return c.seqNums(uids)
	}
	ret := cmd.Return
	switch {
	case ret == nil:
		c.w.Raw("* SORT")
		for _, n := range numbers(f.uids) {
			c.w.Raw(" ", n)
		}
		if f.modSeq != 0 && len(f.uids) > 0 {
			c.w.Raw(" (MODSEQ ", f.modSeq, ")")
		}
		c.w.CRLF()
	case *ret == (wire.SearchReturn{Save: true}):
		// RFC 5182, 2.1: SAVE alone suppresses the response.
	default:
		c.w.ESearch(wire.ESearchResult{
			Tag: c.tag, UID: cmd.UID, Return: *ret,
			Found: inOrder(numbers(f.uids)), Partial: inOrder(numbers(f.part)), ModSeq: f.modSeq,
		})
	}
}

// inOrder returns numbers as ranges whose order matters: only what ascends without
// a gap is one.
func inOrder(nums []uint32) []imapnum.Range {
	var list []imapnum.Range
	for _, n := range nums {
		if k := len(list); k > 0 && uint32(list[k-1].Last)+1 == n {
			list[k-1].Last = imapnum.UID(n)
		} else {
			list = append(list, imapnum.Range{First: imapnum.UID(n), Last: imapnum.UID(n)})
		}
	}
	return list
}
