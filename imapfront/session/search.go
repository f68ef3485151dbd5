package session

import (
	"context"
	"strings"
	"unicode/utf8"

	"github.com/emersion/go-message/charset"

	"github.com/quorumail/quorumail/imapfront/view"
	"github.com/quorumail/quorumail/imapfront/wire"
	"github.com/quorumail/quorumail/proto/imapnum"
	pb "github.com/quorumail/quorumail/proto/quorumail/v1"
)

// search is SEARCH and UID SEARCH (RFC 9051, 6.4.4; RFC 4731; RFC 5182; RFC
// 7162, 3.1.5; RFC 9394, 3.1). Criteria are evaluated on the storage node, next
// to the mail; message sequence numbers are the session's own and are translated
// here.
func (c *Conn) search(ctx context.Context, cmd wire.Search) error {
	return c.searchSelected(ctx, cmd, false)
}

// searchSelected does so, also as the ESEARCH command (RFC 7377).
func (c *Conn) searchSelected(ctx context.Context, cmd wire.Search, esearch bool) error {
	if c.charsetClashes(cmd) {
		return c.bad("", charsetClash)
	}
	ret := cmd.Return
	req, err := c.criteria(ctx, "SEARCH", cmd.Charset, cmd.Key, ret)
	if req == nil {
		return err
	}
	if esearch {
		wantsAny(req)
	}
	res, err := during(ctx, &progress{c: c}, c.box.store.Search, req)
	if err == nil {
		err = c.searchedAt(ctx, res.GetMailboxModSeq())
	}
	if err != nil {
		c.unsave(ret)
		return c.boxFailed("SEARCH", err)
	}
	f := foundOf(res, req, ret)
	if esearch {
		c.tellFoundIn(cmd, f, c.box.name, c.box.uidValidity)
	} else {
		c.tellFound(cmd, f)
	}
	if ret != nil && ret.Save {
		c.box.saved = f.saved(ret)
	}
	c.keep(cmd, esearch, f.uids, imapnum.ModSeq(res.GetMailboxModSeq()))
	c.tell(mayExpunge(cmd.UID && !keyNamesNumbers(cmd.Key))) // RFC 7162, 3.2.10.2
	return c.done("SEARCH done")
}

const charsetClash = "strings are UTF-8 once UTF8=ACCEPT is enabled, and have no CHARSET"

// charsetClashes reports whether a SEARCH names a charset though the client has
// said that all its strings are UTF-8 (RFC 6855, 3).
func (c *Conn) charsetClashes(cmd wire.Search) bool { return c.utf8Accept && cmd.Charset != "" }

// criteria brings the view up to date and translates what SEARCH, SORT and THREAD
// look for in it. The request is nil if the command has been answered.
func (c *Conn) criteria(ctx context.Context, what, charset string, key wire.SearchKey, ret *wire.SearchReturn) (*pb.SearchRequest, error) {
	if c.tagInUse(ret) {
		return nil, c.bad("", "the tag is that of a search that is kept up to date")
	}
	decode, ok := decoder(charset)
	if !ok {
		c.unsave(ret)
		return nil, c.no("BADCHARSET (US-ASCII UTF-8)", "unknown charset")
	}
	// They are asked for what there is: all that has been acknowledged.
	if err := c.pull(ctx, true); err != nil {
		c.unsave(ret)
		return nil, c.boxFailed(what, err)
	}
	c.tellFresh()
	t := &translator{c: c, in: c.box.searched(), decode: decode}
	req := &pb.SearchRequest{MailboxId: c.box.id, Key: t.key(key), Part: partOf(ret)}
	if t.err != "" {
		return nil, c.bad("", t.err)
	}
	if t.modSeq {
		c.enableCondstore() // RFC 7162, 3.1
	}
	req.Within = packed(c.box.view.UIDs().Subtract(c.box.view.Gone()))
	return req, nil
}

// searchedAt takes into the view what there was where storage has searched. What has
// been expunged before that is missing from the result, and the answer has to say so
// (RFC 5530, 3).
func (c *Conn) searchedAt(ctx context.Context, modSeq uint64) error {
	if imapnum.ModSeq(modSeq) <= c.box.view.Taken() {
		return nil
	}
	return c.pull(ctx, false)
}

// unsave empties the saved result, as a SEARCH with SAVE does that is answered
// NO; BAD leaves it as it is (RFC 5182, 2.1).
func (c *Conn) unsave(ret *wire.SearchReturn) {
	if ret != nil && ret.Save {
		c.box.saved = imapnum.Set{}
	}
}

// tellFound prints the result: as SEARCH, or as ESEARCH if the client asked for
// it or has enabled IMAP4rev2.
func (c *Conn) tellFound(cmd wire.Search, f found) {
	numbers := func(uids imapnum.Set) imapnum.Set {
		if cmd.UID {
			return uids
		}
		return c.box.view.SeqNums(uids)
	}
	ret := cmd.Return
	if ret == nil && c.rev2 {
		ret = &wire.SearchReturn{All: true}
	}
	switch {
	case ret == nil:
		c.w.Search(numbers(f.uids), f.modSeq)
	case *ret == (wire.SearchReturn{Save: true}):
		// RFC 5182, 2.1: SAVE alone suppresses the response.
	default:
		c.w.ESearch(wire.ESearchResult{
			Tag: c.tag, UID: cmd.UID, Return: *ret,
			Found: numbers(f.uids).Ranges(), Partial: numbers(f.part).Ranges(), ModSeq: f.modSeq,
		})
	}
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
	in     searched
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

// uids translates a sequence-set. Numbers that no message has match none: to name
// them is no mistake in a search (RFC 7377, 2).
func (t *translator) uids(set wire.NumSet, uid bool) *pb.SearchKey {
	return &pb.SearchKey{Key: &pb.SearchKey_Uids{Uids: packed(t.numbers(set, uid))}}
}

// numbers returns the UIDs that a sequence-set names.
func (t *translator) numbers(set wire.NumSet, uid bool) (uids imapnum.Set) {
	v := t.in.view
	switch {
	case set.Saved:
		uids = t.in.saved
	case uid:
		uids = uidsOf(set, uint32(t.in.last))
	default:
		uids = uidsAt(v, set) // within the view: what lies between is none of it
	}
	return uids
}

// uidsOf returns the numbers that a sequence-set names if last is the greatest in
// use; 0: none is.
func uidsOf(set wire.NumSet, last uint32) imapnum.Set {
	ranges := make([]imapnum.Range, 0, len(set.Ranges))
	for _, r := range set.Ranges {
		first, end := r.Start, r.Stop
		if first == 0 {
			first = last
		}
		if end == 0 {
			end = last
		}
		ranges = append(ranges, imapnum.Range{First: imapnum.UID(min(first, end)), Last: imapnum.UID(max(first, end))})
	}
	return imapnum.SetOfRanges(ranges)
}

// uidsAt returns the UIDs from and to the message sequence numbers of a set, as far
// as a view has them. Between two neighbours there may be UIDs that it has not.
func uidsAt(v *view.View, set wire.NumSet) imapnum.Set {
	var b imapnum.SetBuilder
	last := v.Count()
	for _, r := range uidsOf(set, last).Ranges() {
		if uint32(r.First) <= last {
			b.AddRange(v.UID(imapnum.SeqNum(r.First)), v.UID(imapnum.SeqNum(min(uint32(r.Last), last))))
		}
	}
	return b.Set()
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
		if k.Flag == wire.Recent {
			return &pb.SearchKey{Key: &pb.SearchKey_Uids{Uids: packed(t.in.recent)}}
		}
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
		if id, ok := t.c.parseObjectID(t.in.store, emailPrefix, k.ID); ok {
			return &pb.SearchKey{Key: &pb.SearchKey_EmailId{EmailId: id}}
		}
		return not(&pb.SearchKey{Key: &pb.SearchKey_All{All: true}})
	case wire.SearchThreadID:
		if id, ok := t.c.parseObjectID(t.in.store, threadPrefix, k.ID); ok {
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
