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

// criteria brings the view up to date and translates what SORT and THREAD search
// for. The request is nil if the command has been answered.
func (c *Conn) criteria(ctx context.Context, what, charset string, key wire.SearchKey) (req *pb.SearchRequest, modSeq bool, err error) {
	decode, ok := decoder(charset)
	if !ok {
		return nil, false, c.no("BADCHARSET (US-ASCII UTF-8)", "unknown charset")
	}
	// Like SEARCH these are asked for all that has been acknowledged.
	if err := c.pull(ctx, true); err != nil {
		return nil, false, c.boxFailed(what, err)
	}
	c.tellFresh()
	t := &translator{c: c, decode: decode}
	req = &pb.SearchRequest{MailboxId: c.box.id, Key: t.key(key)}
	if t.modSeq {
		c.condstore = true // RFC 7162, 3.1
	}
	if t.err != "" {
		return nil, false, c.bad("", t.err)
	}
	req.Within = packed(c.box.view.UIDs().Subtract(c.box.view.Gone()))
	return req, t.modSeq, nil
}

// sort is SORT and UID SORT (RFC 5256, 3; RFC 5267, 3; RFC 7162, 3.1.6). The
// storage node sorts, next to the mail.
func (c *Conn) sort(ctx context.Context, cmd wire.Sort) error {
	req, modSeq, err := c.criteria(ctx, "SORT", cmd.Charset, cmd.Key)
	if req == nil {
		c.unsave(cmd.Return)
		return err
	}
	sortReq := &pb.SortRequest{Search: req}
	for _, k := range cmd.Keys {
		sortReq.Keys = append(sortReq.Keys, &pb.SortKey{Field: sortFields[k.Name], Reverse: k.Reverse})
	}
	res, err := c.box.store.Sort(ctx, sortReq)
	if err != nil {
		c.unsave(cmd.Return)
		return c.boxFailed("SORT", err)
	}
	uids := res.GetUids()
	nums := uids
	if !cmd.UID {
		nums = c.seqNums(uids)
	}
	c.tellSorted(cmd, nums, res, modSeq)
	if ret := cmd.Return; ret != nil && ret.Save {
		c.box.saved = savedSorted(ret, uids)
	}
	c.tell(mayExpunge(cmd.UID))
	return c.ok("", "SORT done")
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

// savedSorted is what SAVE keeps of a sorted result (RFC 5182, 2.4).
func savedSorted(ret *wire.SearchReturn, uids []uint32) imapnum.Set {
	if len(uids) == 0 {
		return imapnum.Set{}
	}
	if (ret.Min || ret.Max) && !ret.All && !ret.Count {
		var keep []imapnum.UID
		if ret.Min {
			keep = append(keep, imapnum.UID(uids[0]))
		}
		if ret.Max {
			keep = append(keep, imapnum.UID(uids[len(uids)-1]))
		}
		return imapnum.SetOf(keep...)
	}
	all := make([]imapnum.UID, len(uids))
	for i, uid := range uids {
		all[i] = imapnum.UID(uid)
	}
	return imapnum.SetOf(all...)
}

// tellSorted prints the result: as SORT, or as ESEARCH if the client asked for it
// with RETURN. There MIN and MAX are the first and the last, and ALL is in order
// (RFC 5267, 3.1 and 3.2).
func (c *Conn) tellSorted(cmd wire.Sort, nums []uint32, res *pb.SortResponse, modSeq bool) {
	ret := cmd.Return
	if ret == nil {
		c.w.Raw("* SORT")
		for _, n := range nums {
			c.w.Raw(" ", n)
		}
		if modSeq && len(nums) > 0 {
			c.w.Raw(" (MODSEQ ", res.GetHighestModSeq(), ")")
		}
		c.w.CRLF()
		return
	}
	if *ret == (wire.SearchReturn{Save: true}) {
		return // RFC 5182, 2.1
	}
	c.w.Raw(`* ESEARCH (TAG `).String(c.tag).Raw(")")
	if cmd.UID {
		c.w.Raw(" UID")
	}
	if len(nums) > 0 {
		if ret.Min {
			c.w.Raw(" MIN ", nums[0])
		}
		if ret.Max {
			c.w.Raw(" MAX ", nums[len(nums)-1])
		}
		if ret.All {
			c.w.Raw(" ALL ")
			c.inOrder(nums)
		}
	}
	if ret.Count {
		c.w.Raw(" COUNT ", len(nums))
	}
	if modSeq && len(nums) > 0 {
		c.w.Raw(" MODSEQ ", foundModSeq(ret, &pb.SearchResponse{
			HighestModSeq: res.GetHighestModSeq(), FirstModSeq: res.GetFirstModSeq(), LastModSeq: res.GetLastModSeq(),
		}))
	}
	c.w.CRLF()
}

// inOrder prints numbers as a set whose order matters: only what ascends without
// a gap is a range.
func (c *Conn) inOrder(nums []uint32) {
	for i := 0; i < len(nums); {
		j := i
		for j+1 < len(nums) && nums[j+1] == nums[j]+1 {
			j++
		}
		if i > 0 {
			c.w.Raw(",")
		}
		c.w.Raw(nums[i])
		if j > i {
			c.w.Raw(":", nums[j])
		}
		i = j + 1
	}
}
