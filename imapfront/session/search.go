package session

import (
	"context"
	"strings"
	"unicode/utf8"

	"github.com/emersion/go-message/charset"

	"github.com/quorumail/quorumail/imapfront/wire"
	"github.com/quorumail/quorumail/proto/imapnum"
	pb "github.com/quorumail/quorumail/proto/quorumail/v1"
)

// search is SEARCH and UID SEARCH (RFC 9051, 6.4.4; RFC 4731; RFC 5182; RFC
// 7162, 3.1.5). Criteria are evaluated on the storage node, next to the mail;
// message sequence numbers are the session's own and are translated here.
func (c *Conn) search(ctx context.Context, cmd wire.Search) error {
	ret := cmd.Return
	decode, ok := decoder(cmd.Charset)
	if !ok {
		c.unsave(ret)
		return c.no("BADCHARSET (US-ASCII UTF-8)", "unknown charset")
	}
	// A SEARCH is asked for what there is: all that has been acknowledged.
	if err := c.pull(ctx, true); err != nil {
		c.unsave(ret)
		return c.boxFailed("SEARCH", err)
	}
	c.tellFresh()
	t := &translator{c: c, decode: decode}
	key := t.key(cmd.Key)
	if t.modSeq {
		c.enableCondstore()
	}
	if t.err != "" {
		c.unsave(ret)
		return c.bad("", t.err)
	}
	shown := c.box.view.UIDs().Subtract(c.box.view.Gone())
	res, err := c.box.store.Search(ctx, &pb.SearchRequest{MailboxId: c.box.id, Key: key, Within: packed(shown)})
	if err != nil {
		c.unsave(ret)
		return c.boxFailed("SEARCH", err)
	}
	uids := unpacked(res.GetUids()).Intersect(shown)
	c.tellFound(cmd, uids, res, t.modSeq)
	if ret != nil && ret.Save {
		c.box.saved = savedOf(ret, uids)
	}
	c.tell(mayExpunge(cmd.UID && !keyNamesNumbers(cmd.Key))) // RFC 7162, 3.2.10.2
	return c.ok("", "SEARCH done")
}

// unsave empties the saved result, as a failed SEARCH with SAVE does (RFC 5182,
// 2.1).
func (c *Conn) unsave(ret *wire.SearchReturn) {
	if ret != nil && ret.Save {
		c.box.saved = imapnum.Set{}
	}
}

// savedOf is what SAVE keeps: only the messages told of with MIN or MAX, unless
// all are asked for too (RFC 5182, 2.4).
func savedOf(ret *wire.SearchReturn, uids imapnum.Set) imapnum.Set {
	if !ret.Min && !ret.Max || ret.All || ret.Count {
		return uids
	}
	var keep []imapnum.UID
	if ret.Min {
		keep = append(keep, uids.Min())
	}
	if ret.Max {
		keep = append(keep, uids.Max())
	}
	return imapnum.SetOf(keep...)
}

// tellFound prints the result: as SEARCH, or as ESEARCH if the client asked for
// it or has enabled IMAP4rev2.
func (c *Conn) tellFound(cmd wire.Search, uids imapnum.Set, res *pb.SearchResponse, modSeq bool) {
	nums := uids
	if !cmd.UID {
		nums = c.box.view.SeqNums(uids)
	}
	ret := cmd.Return
	if ret == nil && c.rev2 {
		ret = &wire.SearchReturn{All: true}
	}
	if ret == nil {
		c.w.Raw("* SEARCH")
		for n := range nums.All() {
			c.w.Raw(" ", uint32(n))
		}
		if modSeq && !uids.Empty() {
			c.w.Raw(" (MODSEQ ", res.GetHighestModSeq(), ")")
		}
		c.w.CRLF()
		return
	}
	if *ret == (wire.SearchReturn{Save: true}) {
		return // RFC 5182, 2.1: SAVE alone suppresses the response
	}
	c.w.Raw(`* ESEARCH (TAG `).String(c.tag).Raw(")")
	if cmd.UID {
		c.w.Raw(" UID")
	}
	if !nums.Empty() {
		if ret.Min {
			c.w.Raw(" MIN ", uint32(nums.Min()))
		}
		if ret.Max {
			c.w.Raw(" MAX ", uint32(nums.Max()))
		}
		if ret.All {
			c.w.Raw(" ALL ", nums.String())
		}
	}
	if ret.Count {
		c.w.Raw(" COUNT ", nums.Len())
	}
	if modSeq && !nums.Empty() {
		c.w.Raw(" MODSEQ ", foundModSeq(ret, res))
	}
	c.w.CRLF()
}

// foundModSeq is the MODSEQ of what is told: of the least or the greatest
// message, the higher of both, or the highest of all (RFC 4731, 3.2; RFC 7162,
// 3.1.10).
func foundModSeq(ret *wire.SearchReturn, res *pb.SearchResponse) uint64 {
	switch {
	case ret.All || ret.Count || ret.Save && !ret.Min && !ret.Max:
		return res.GetHighestModSeq()
	case ret.Min && ret.Max:
		return max(res.GetFirstModSeq(), res.GetLastModSeq())
	case ret.Min:
		return res.GetFirstModSeq()
	}
	return res.GetLastModSeq()
}

// decoder returns how search strings become UTF-8.
func decoder(name string) (func(string) (string, bool), bool) {
	switch name {
	case "", "UTF-8", "US-ASCII", "UTF8":
		return func(s string) (string, bool) { return s, utf8.ValidString(s) }, true
	}
	if _, err := charset.Reader(name, strings.NewReader("")); err != nil {
		return nil, false
	}
	return func(s string) (string, bool) {
		r, err := charset.Reader(name, strings.NewReader(s))
		if err != nil {
			return "", false
		}
		var sb strings.Builder
		buf := make([]byte, 1024)
		for {
			n, err := r.Read(buf)
			sb.Write(buf[:n])
			if err != nil {
				return sb.String(), utf8.ValidString(sb.String())
			}
		}
	}, true
}

// translator makes the storage's criteria of the client's.
type translator struct {
	c      *Conn
	decode func(string) (string, bool)
	modSeq bool   // MODSEQ is among them
	err    string // what is wrong with them
}

func (t *translator) text(s string) string {
	text, ok := t.decode(s)
	if !ok {
		t.err = "a search string is not in the charset"
	}
	return text
}

func (t *translator) uids(set wire.NumSet, uid bool) *pb.SearchKey {
	uids, err := t.c.resolve(set, uid)
	if err != nil {
		t.err = err.Error()
	}
	return &pb.SearchKey{Key: &pb.SearchKey_Uids{Uids: packed(uids)}}
}

func not(k *pb.SearchKey) *pb.SearchKey { return &pb.SearchKey{Key: &pb.SearchKey_Not{Not: k}} }

func (t *translator) key(k wire.SearchKey) *pb.SearchKey {
	switch k := k.(type) {
	case wire.SearchAnd:
		list := &pb.SearchKeyList{}
		for _, sub := range k {
			list.Keys = append(list.Keys, t.key(sub))
		}
		return &pb.SearchKey{Key: &pb.SearchKey_And{And: list}}
	case wire.SearchOr:
		return &pb.SearchKey{Key: &pb.SearchKey_Or{Or: &pb.SearchKeyList{Keys: []*pb.SearchKey{t.key(k.A), t.key(k.B)}}}}
	case wire.SearchNot:
		return not(t.key(k.Key))
	case wire.SearchNums:
		return t.uids(k.Set, false)
	case wire.SearchUIDs:
		return t.uids(k.Set, true)
	case wire.SearchFlag:
		return &pb.SearchKey{Key: &pb.SearchKey_Flag{Flag: k.Flag}}
	case wire.SearchHeader:
		return &pb.SearchKey{Key: &pb.SearchKey_Header{Header: &pb.HeaderKey{Name: k.Name, Value: t.text(k.Value)}}}
	case wire.SearchBody:
		return &pb.SearchKey{Key: &pb.SearchKey_Body{Body: t.text(k.Value)}}
	case wire.SearchText:
		return &pb.SearchKey{Key: &pb.SearchKey_Text{Text: t.text(k.Value)}}
	case wire.SearchModSeq:
		t.modSeq = true
		return &pb.SearchKey{Key: &pb.SearchKey_ModSeq{ModSeq: k.ModSeq}}
	case wire.SearchSize:
		if k.Larger != nil {
			return &pb.SearchKey{Key: &pb.SearchKey_Larger{Larger: *k.Larger}}
		}
		return &pb.SearchKey{Key: &pb.SearchKey_Smaller{Smaller: *k.Smaller}}
	case wire.SearchAge:
		if k.Older != nil {
			return &pb.SearchKey{Key: &pb.SearchKey_OlderSeconds{OlderSeconds: *k.Older}}
		}
		return &pb.SearchKey{Key: &pb.SearchKey_YoungerSeconds{YoungerSeconds: *k.Younger}}
	case wire.SearchDate:
		return dateKey(k)
	case wire.SearchEmailID:
		if id, ok := t.c.parseObjectID(t.c.box.store, emailPrefix, k.ID); ok {
			return &pb.SearchKey{Key: &pb.SearchKey_EmailId{EmailId: id}}
		}
		return not(&pb.SearchKey{Key: &pb.SearchKey_All{All: true}})
	case wire.SearchThreadID:
		if id, ok := t.c.parseObjectID(t.c.box.store, threadPrefix, k.ID); ok {
			return &pb.SearchKey{Key: &pb.SearchKey_ThreadId{ThreadId: id}}
		}
		return not(&pb.SearchKey{Key: &pb.SearchKey_All{All: true}})
	}
	return &pb.SearchKey{Key: &pb.SearchKey_All{All: true}}
}

func dateKey(k wire.SearchDate) *pb.SearchKey {
	d := &pb.DateKey{}
	if k.From != nil {
		day := k.From.Unix() / 86400
		d.FromDay = &day
	}
	if k.Before != nil {
		day := k.Before.Unix() / 86400
		d.BeforeDay = &day
	}
	switch k.Field {
	case wire.SentDate:
		return &pb.SearchKey{Key: &pb.SearchKey_SentDate{SentDate: d}}
	case wire.SaveDate:
		return &pb.SearchKey{Key: &pb.SearchKey_SaveDate{SaveDate: d}}
	}
	return &pb.SearchKey{Key: &pb.SearchKey_InternalDate{InternalDate: d}}
}
