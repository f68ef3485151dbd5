package session

import (
	"context"
	"slices"

	"google.golang.org/protobuf/proto"

	"github.com/quorumail/quorumail/imapfront/wire"
	"github.com/quorumail/quorumail/proto/imapnum"
	pb "github.com/quorumail/quorumail/proto/quorumail/v1"
)

// Bounds of the contexts of a connection. The first is never refused (RFC 5267,
// 4.3.1).
const (
	maxContexts = 16
	// maxContextsSize bounds the octets that their criteria and results take when
	// one more is asked for, maxContextsGrown what they may come to.
	maxContextsSize  = 1 << 20
	maxContextsGrown = 4 << 20
)

// contexts are the searches of the selected mailbox whose results the client is
// kept up to date with (RFC 5267, 4.3). Which messages match is found on storage
// when changes are taken into the view, of those that have changed only; what
// follows for the client is told where the view moves.
type contexts struct {
	all []*searchContext
	// changed are messages that may match otherwise than is known.
	changed imapnum.Set
	// untold: a result may differ from what the client knows.
	untold bool
	// fresh are messages that the client has been told of as new, whose FETCH items
	// are not told yet (RFC 5465, 7).
	fresh imapnum.Set
}

// searchContext is one of them.
type searchContext struct {
	tag string
	// uid: it is told in UIDs; esearch: with the name of the mailbox.
	uid, esearch bool
	// key has UIDs where the client gave message sequence numbers or "$": those are
	// what they were when the command came (RFC 5267, 4.3).
	key    wire.SearchKey
	decode func(string) (string, bool)
	// moving: messages come to match without being changed.
	moving bool
	fetch  []wire.FetchItem
	size   int // octets of the criteria

	matches imapnum.Set // of the mailbox, as far as changes have been taken
	told    imapnum.Set // the result as the client knows it: part of the view
}

// tagInUse reports whether a command asks for updates under the tag of another
// that did (RFC 5267, 4.3).
func (c *Conn) tagInUse(ret *wire.SearchReturn) bool {
	return ret != nil && ret.Update != nil &&
		slices.ContainsFunc(c.box.contexts.all, func(k *searchContext) bool { return k.tag == c.tag })
}

// keep keeps a search up to date whose result has just been found, as of modSeq, or
// says that it is not.
func (c *Conn) keep(cmd wire.Search, esearch bool, uids imapnum.Set, modSeq imapnum.ModSeq) {
	if cmd.Return == nil || cmd.Return.Update == nil {
		return
	}
	decode, _ := decoder(cmd.Charset) // it was there for the search itself
	t := &translator{c: c, in: c.box.searched(), decode: decode}
	k := &searchContext{
		tag: c.tag, uid: cmd.UID, esearch: esearch, key: t.fixed(cmd.Key), decode: decode, moving: moves(cmd.Key),
		fetch: cmd.Return.Update.Fetch, matches: uids, told: uids,
	}
	k.size = proto.Size(t.key(k.key))
	s := &c.box.contexts
	if len(s.all) > 0 && (len(s.all) >= maxContexts || s.size()+k.octets() > maxContextsSize) {
		c.refuseUpdate(c.tag)
		return
	}
	s.all = append(s.all, k)
	// What the client has not been told of has not been looked at, nor what has been
	// taken in since.
	s.changed = s.changed.Union(c.box.view.Fresh())
	if c.box.view.Taken() > modSeq {
		s.changed = s.changed.Union(c.box.view.UIDs())
	}
}

// refuseUpdate says that a search is not kept up to date (RFC 5267, 4.3.1).
func (c *Conn) refuseUpdate(tag string) {
	c.w.Raw("* NO [NOUPDATE ").String(tag).Raw("] no more searches are kept up to date").CRLF()
}

// cancelUpdate is CANCELUPDATE (RFC 5267, 4.3.5).
func (c *Conn) cancelUpdate(cmd wire.CancelUpdate) error {
	s := &c.box.contexts
	known := 0
	for _, tag := range cmd.Tags {
		before := len(s.all)
		s.all = slices.DeleteFunc(s.all, func(k *searchContext) bool { return k.tag == tag })
		known += before - len(s.all)
	}
	if known == 0 {
		return c.no("", "no search with this tag is kept up to date")
	}
	return c.ok("", "no further updates")
}

// note notes messages that have changed, new ones among them, and those that are
// gone.
func (s *contexts) note(changed []*pb.MessageState, vanished imapnum.Set) {
	if len(s.all) == 0 || len(changed) == 0 && vanished.Empty() {
		return
	}
	uids := make([]imapnum.UID, len(changed))
	for i, m := range changed {
		uids[i] = imapnum.UID(m.GetUid())
	}
	s.changed = s.changed.Union(imapnum.SetOf(uids...)).Subtract(vanished)
	for _, k := range s.all {
		k.matches = k.matches.Subtract(vanished)
	}
	s.untold = true
}

// evaluate finds out which of the messages that have changed match, and reports
// whether storage has looked at a later state than the view has. If storage cannot
// tell, that is done with the next look at the mailbox.
func (c *Conn) evaluate(ctx context.Context) (ahead bool) {
	s := &c.box.contexts
	for _, k := range s.all {
		if s.changed.Empty() && !k.moving {
			continue
		}
		req := c.requestOf(k)
		if !k.moving {
			req.Within = packed(s.changed)
		}
		res, err := c.box.store.Search(ctx, req)
		if err != nil {
			c.log.Warn("update of a search", "error", err)
			return false
		}
		ahead = ahead || imapnum.ModSeq(res.GetMailboxModSeq()) > c.box.view.Taken()
		now := unpacked(res.GetUids())
		if !k.moving {
			now = k.matches.Subtract(s.changed).Union(now)
		}
		s.untold = s.untold || !now.Equal(k.matches)
		k.matches = now
	}
	s.changed = imapnum.Set{}
	c.bound()
	return ahead
}

// bound gives up the largest of the searches whose results have grown beyond what a
// connection may hold, but for the last one.
func (c *Conn) bound() {
	s := &c.box.contexts
	for len(s.all) > 1 && s.size() > maxContextsGrown {
		i := 0
		for j, k := range s.all {
			if k.octets() > s.all[i].octets() {
				i = j
			}
		}
		c.refuseUpdate(s.all[i].tag)
		s.all = slices.Delete(s.all, i, i+1)
	}
}

// octets is about what a context holds of memory.
func (k *searchContext) octets() int {
	return k.size + 8*len(k.matches.Ranges()) + 8*len(k.told.Ranges())
}

func (s *contexts) size() (sum int) {
	for _, k := range s.all {
		sum += k.octets()
	}
	return sum
}

// requestOf asks for what matches a context.
func (c *Conn) requestOf(k *searchContext) *pb.SearchRequest {
	in := c.box.searched()
	v := c.box.view
	in.last = v.UIDs().Subtract(v.Gone()).Union(v.Fresh()).Max() // whatever has been told
	t := &translator{c: c, in: in, decode: k.decode}
	return &pb.SearchRequest{MailboxId: c.box.id, Key: t.key(k.key)}
}

// tellGone tells that messages have left results because they are expunged. That
// may be told at any time and must be before the expunge is: it is told in the
// numbers from before (RFC 5267, 4.3.4 and A.3).
func (c *Conn) tellGone() {
	gone := c.box.view.Gone()
	if len(c.box.contexts.all) == 0 || gone.Empty() {
		return
	}
	for _, k := range c.box.contexts.all {
		c.tellUpdate(k, k.told.Intersect(gone), imapnum.Set{})
	}
}

// tellContexts tells how results have changed, after the new messages and the
// flags that are the reason (RFC 5267, 4.3.3; RFC 5465, 5.1).
func (c *Conn) tellContexts() {
	s := &c.box.contexts
	if len(s.all) == 0 || !s.untold {
		return
	}
	s.untold = !c.box.view.Fresh().Empty()
	known := c.box.view.UIDs().Subtract(c.box.view.Gone())
	for _, k := range s.all {
		now := k.matches.Intersect(known)
		added := now.Subtract(k.told)
		if k.fetch != nil {
			added = added.Subtract(s.fresh) // with their items: see fetchMatches
		}
		c.tellUpdate(k, k.told.Subtract(now), added)
	}
}

func (c *Conn) tellUpdate(k *searchContext, removed, added imapnum.Set) {
	if removed.Empty() && added.Empty() {
		return
	}
	k.told = k.told.Subtract(removed).Union(added)
	u := wire.ESearchUpdate{Tag: k.tag, UID: k.uid, Removed: removed, Added: added}
	if !k.uid {
		u.Removed, u.Added = c.box.view.SeqNums(removed), c.box.view.SeqNums(added)
	}
	if k.esearch {
		u.Mailbox, u.UIDValidity = c.box.name, c.box.uidValidity
	}
	c.w.ESearchUpdate(u)
}

// fixed returns criteria whose message sequence numbers and "$" are replaced by the
// UIDs that they stand for.
func (t *translator) fixed(key wire.SearchKey) wire.SearchKey {
	fix := func(set wire.NumSet, uid bool) wire.SearchKey {
		var fixed wire.NumSet
		for _, r := range t.numbers(set, uid).Ranges() {
			fixed.Ranges = append(fixed.Ranges, wire.NumRange{Start: uint32(r.First), Stop: uint32(r.Last)})
		}
		return wire.SearchUIDs{Set: fixed}
	}
	switch key := key.(type) {
	case wire.SearchNums:
		return fix(key.Set, false)
	case wire.SearchUIDs:
		if key.Set.Saved {
			return fix(key.Set, true)
		}
	case wire.SearchAnd:
		and := make(wire.SearchAnd, len(key))
		for i, sub := range key {
			and[i] = t.fixed(sub)
		}
		return and
	case wire.SearchOr:
		return wire.SearchOr{A: t.fixed(key.A), B: t.fixed(key.B)}
	case wire.SearchNot:
		return wire.SearchNot{Key: t.fixed(key.Key)}
	}
	return key
}

// moves reports whether messages come to match criteria without being changed: by
// age (RFC 5032), or as the last, "*".
func moves(key wire.SearchKey) bool {
	switch key := key.(type) {
	case wire.SearchAge:
		return true
	case wire.SearchUIDs:
		return slices.ContainsFunc(key.Set.Ranges, func(r wire.NumRange) bool { return r.Start == 0 || r.Stop == 0 })
	case wire.SearchAnd:
		return slices.ContainsFunc(key, moves)
	case wire.SearchOr:
		return moves(key.A) || moves(key.B)
	case wire.SearchNot:
		return moves(key.Key)
	}
	return false
}
