package session

import (
	"context"

	"github.com/quorumail/quorumail/imapfront/wire"
	"github.com/quorumail/quorumail/proto/imapnum"
	pb "github.com/quorumail/quorumail/proto/quorumail/v1"
)

// tellsMessages reports whether the client is told of others' new and expunged
// messages of the selected mailbox, and tellsFlags of their changes of flags:
// unless it has used NOTIFY without asking for it.
func (c *Conn) tellsMessages() bool { return c.notify == nil || c.notify.selected.messages }

func (c *Conn) tellsFlags() bool { return c.notify == nil || c.notify.selected.flags }

// ownMessages are messages of the selected mailbox that the session has added and
// removed itself and has not been told of yet. They are noted only after NOTIFY.
type ownMessages struct{ added, removed imapnum.Set }

// tellOwn tells of what the client has done itself: that is the answer to its
// command, and no notification.
func (c *Conn) tellOwn(expunges bool) {
	c.tellGone()
	if expunges {
		c.tellExpunges()
	}
	c.box.view.Withhold()
	c.tellFresh()
	c.tellContexts()
}

// fetchFresh tells what the client wants to know of messages that it has been
// told of as new (RFC 5465, 5.2). What storage cannot tell now is told with the
// next. An error ends the connection.
func (c *Conn) fetchFresh(ctx context.Context) error {
	if c.box == nil {
		return nil
	}
	if err := c.fetchMatches(ctx); err != nil || c.box.unfetched.Empty() {
		return err
	}
	set := c.box.unfetched
	if c.notify == nil || c.notify.selected.fetch == nil {
		c.box.unfetched = imapnum.Set{}
		return nil
	}
	cmd := wire.Fetch{UID: true, Items: c.notify.selected.fetch}
	p := c.plan(cmd, set)
	p.modSeq = p.modSeq || c.condstore // RFC 7162, 3.1: once it is enabled, in all of them
	if err := c.markSeen(ctx, p, set); err != nil {
		c.log.Warn("notify", "error", err)
		return nil
	}
	f := &fetcher{c: c, p: p, ctx: ctx}
	err := c.box.store.Fetch(ctx, p.req, func(r *pb.FetchResponse) error {
		err := f.take(r)
		if s := r.GetMessage().GetState(); s != nil {
			c.box.unfetched = c.box.unfetched.Subtract(imapnum.SetOf(imapnum.UID(s.GetUid())))
		}
		return err
	})
	switch {
	case err == nil:
		c.box.unfetched = imapnum.Set{} // with those that are gone
	case f.open || c.w.Err() != nil:
		return err // nothing could be told from the octets of what is under way
	default:
		c.log.Warn("notify", "error", err)
	}
	return nil
}
