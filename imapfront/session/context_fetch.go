package session

import (
	"context"
	"slices"

	"github.com/quorumail/quorumail/imapfront/wire"
	"github.com/quorumail/quorumail/proto/imapnum"
	pb "github.com/quorumail/quorumail/proto/quorumail/v1"
)

// fetches reports whether any context wants items of new messages.
func (s *contexts) fetches() bool {
	return slices.ContainsFunc(s.all, func(k *searchContext) bool { return k.fetch != nil })
}

// noteFresh notes that the client has been told of new messages, which others have
// added.
func (s *contexts) noteFresh(uids imapnum.Set) {
	if len(s.all) == 0 {
		return
	}
	s.untold = true
	if s.fetches() {
		s.fresh = s.fresh.Union(uids)
	}
}

// fetchMatches tells of new messages that match contexts what UPDATE asks for, and
// then that they match (RFC 5465, 7). What NOTIFY wants of the same messages is
// told with it, once (5.2). What storage cannot tell now is told with the next. An
// error ends the connection.
func (c *Conn) fetchMatches(ctx context.Context) error {
	s := &c.box.contexts
	if s.fresh.Empty() {
		return nil
	}
	s.fresh = s.fresh.Intersect(c.box.view.UIDs()).Subtract(c.box.view.Gone())
	var set imapnum.Set
	cmd := wire.Fetch{UID: true}
	for _, k := range s.all {
		if add := k.matches.Intersect(s.fresh).Subtract(k.told); k.fetch != nil && !add.Empty() {
			set = set.Union(add)
			cmd.Items = withItems(cmd.Items, k.fetch)
		}
	}
	if set.Empty() {
		s.fresh = imapnum.Set{}
		return nil
	}
	if c.notify != nil && !set.Intersect(c.box.unfetched).Empty() {
		cmd.Items = withItems(cmd.Items, c.notify.selected.fetch)
	}
	if whole, err := c.fetchUnasked(ctx, cmd, set); !whole {
		return err
	}
	c.box.unfetched = c.box.unfetched.Subtract(set)
	s.fresh, s.untold = imapnum.Set{}, true
	c.tellContexts()
	return nil
}

// withItems adds items to a list, each once.
func withItems(list, items []wire.FetchItem) []wire.FetchItem {
	list = slices.Clone(list)
	for _, item := range items {
		if item.Section != nil || !slices.Contains(list, item) {
			list = append(list, item)
		}
	}
	return list
}

// fetchUnasked tells items of messages without a FETCH command. Unless it is whole,
// storage could not be read; an error ends the connection.
func (c *Conn) fetchUnasked(ctx context.Context, cmd wire.Fetch, set imapnum.Set) (whole bool, err error) {
	p := c.plan(cmd, set)
	p.modSeq = p.modSeq || c.condstore // RFC 7162, 3.1: once it is enabled, in all of them
	if err := c.markSeen(ctx, p, set); err != nil {
		c.log.Warn("fetch of new messages", "error", err)
		return false, nil
	}
	f := &fetcher{c: c, p: p, ctx: ctx}
	err = c.box.store.Fetch(ctx, p.req, func(r *pb.FetchResponse) error { return f.take(r) })
	switch {
	case err == nil:
		return true, nil
	case f.open || c.w.Err() != nil:
		return false, err // nothing could be told from the octets of what is under way
	}
	c.log.Warn("fetch of new messages", "error", err)
	return false, nil
}
