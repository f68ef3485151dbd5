package session

import (
	"context"

	"github.com/emersion/go-imap/v2"

	"github.com/quorumail/quorumail/imapfront/wire"
	"github.com/quorumail/quorumail/proto/imapnum"
	pb "github.com/quorumail/quorumail/proto/quorumail/v1"
)

var storeModes = map[imap.StoreFlagsOp]pb.StoreOp_Mode{
	imap.StoreFlagsSet: pb.StoreOp_MODE_REPLACE,
	imap.StoreFlagsAdd: pb.StoreOp_MODE_ADD,
	imap.StoreFlagsDel: pb.StoreOp_MODE_REMOVE,
}

// storeFlags is STORE (RFC 9051, 6.4.6; RFC 7162, 3.1.3).
func (c *Conn) storeFlags(ctx context.Context, cmd wire.Store) error {
	if err := c.refreshFor(ctx, cmd.Set, cmd.UID); err != nil {
		return c.boxFailed("STORE", err)
	}
	set, err := c.resolve(cmd.Set, cmd.UID)
	if err != nil {
		return c.bad("", err.Error())
	}
	if c.box.readOnly {
		return c.no("", "the mailbox is selected read-only")
	}
	if cmd.UnchangedSince != nil {
		c.enableCondstore()
	}
	// What the client does not know yet of the messages is told even with .SILENT.
	known, untold := uint64(c.box.view.Taken()), c.box.view.PendingFlags()
	op := &pb.StoreOp{MailboxId: c.box.id, Uids: packed(set), Mode: storeModes[cmd.Op], Flags: cmd.Flags, UnchangedSince: cmd.UnchangedSince}
	if cmd.Silent {
		op.KnownModSeq = &known
	}
	res, err := c.box.store.Propose(ctx, &pb.Entry{Op: &pb.Entry_Store{Store: op}})
	if err != nil {
		return c.boxFailed("STORE", err)
	}
	if res.GetCode() != pb.Code_CODE_OK {
		return c.refused(res)
	}
	if taken := c.takeStored(res); !taken || c.evaluate(ctx) {
		if err := c.pull(ctx, false); err != nil {
			return c.boxFailed("STORE", err)
		}
	}
	left := unpacked(res.GetSourceUids())
	if err := c.tellStored(ctx, cmd, set.Subtract(left), untold, res); err != nil {
		return c.boxFailed("STORE", err)
	}
	if err := c.tellLeft(ctx, left); err != nil {
		return c.boxFailed("STORE", err)
	}
	if err := c.storeGone(ctx, cmd, set); err != nil {
		return c.boxFailed("STORE", err)
	}
	c.tell(mayExpunge(cmd.UID))
	if left.Empty() {
		return c.done("STORE done")
	}
	if !cmd.UID {
		left = c.box.view.SeqNums(left)
	}
	return c.ok("MODIFIED "+left.String(), "conditional STORE failed for some")
}

// takeStored takes into the view what the result of STORE says of the messages,
// if nobody has done anything in between that the view lacks: then there is no
// need to ask storage what there is of changes.
func (c *Conn) takeStored(res *pb.Result) bool {
	v := c.box.view
	if res.GetBeforeModSeq() == 0 || imapnum.ModSeq(res.GetBeforeModSeq()) != v.Taken() {
		return false
	}
	uids := unpacked(res.GetUids())
	if uids.Empty() {
		return true // nothing has changed
	}
	var changed []*pb.MessageState
	for _, s := range res.GetStates() {
		if n := len(s.GetKeywords()); n > 0 && int(s.GetKeywords()[n-1]) >= len(c.box.keywords) {
			return false // a keyword that is new to the mailbox
		}
		if uids.Contains(imapnum.UID(s.GetUid())) {
			changed = append(changed, s)
		}
	}
	v.Take(changed, imapnum.Set{}, imapnum.ModSeq(res.GetModSeq()))
	c.box.contexts.note(changed, imapnum.Set{})
	return true
}

// beginStored begins the response to STORE about a message: with its UID for UID
// STORE, and always once CONDSTORE is enabled (RFC 7162, 3.2.4).
func (c *Conn) beginStored(cmd wire.Store, uid imapnum.UID) *wire.Writer {
	if cmd.UID || c.condstore {
		return c.beginFetchUID(uid)
	}
	return c.beginFetch(uid)
}

// tellStoredFlags tells a message's flags in response to STORE.
func (c *Conn) tellStoredFlags(cmd wire.Store, s *pb.MessageState) {
	c.beginStored(cmd, imapnum.UID(s.GetUid())).Raw("FLAGS ").Flags(c.flagNames(s))
	if c.condstore {
		c.w.Raw(" ")
		c.modSeq(s.GetModSeq())
	}
	c.w.Raw(")").CRLF()
}

// tellStored tells what the client's own STORE has done: the flags of each
// message, whether or not they changed.
func (c *Conn) tellStored(ctx context.Context, cmd wire.Store, done, untold imapnum.Set, res *pb.Result) error {
	v := c.box.view
	defer v.Settle()
	done = done.Intersect(v.UIDs()).Subtract(v.Gone())
	if cmd.Silent {
		return c.tellSilent(ctx, cmd, done, untold, res)
	}
	tell := func(s *pb.MessageState) { c.tellStoredFlags(cmd, s) }
	if done.Equal(unpacked(res.GetUids())) {
		for uid := range done.All() {
			if s := v.Drop(uid); s != nil {
				tell(s)
			}
		}
		return nil
	}
	return c.statesOf(ctx, done, res, tell)
}

// tellSilent does so for .SILENT: of what has changed the MODSEQ, once CONDSTORE
// is enabled; with UNCHANGEDSINCE that of all (RFC 7162, 3.1.3). Flags are told
// where another session was there too.
func (c *Conn) tellSilent(ctx context.Context, cmd wire.Store, done, untold imapnum.Set, res *pb.Result) error {
	v := c.box.view
	untold = untold.Union(unpacked(res.GetOvertaken()))
	tell := func(s *pb.MessageState) {
		c.beginStored(cmd, imapnum.UID(s.GetUid()))
		c.modSeq(s.GetModSeq())
		c.w.Raw(")").CRLF()
	}
	changed := unpacked(res.GetUids()).Intersect(done)
	for uid := range changed.All() {
		s := v.Drop(uid)
		switch {
		case s == nil:
		case s.GetModSeq() != res.GetModSeq() || untold.Contains(uid):
			c.tellState(s)
		case c.condstore:
			tell(s)
		}
	}
	if cmd.UnchangedSince == nil {
		return nil
	}
	return c.statesOf(ctx, done.Subtract(changed).Subtract(v.PendingFlags()), res, tell)
}

// tellLeft tells the flags of messages that UNCHANGEDSINCE has left alone, so
// that the client need not ask why (RFC 7162, 3.1.3).
func (c *Conn) tellLeft(ctx context.Context, left imapnum.Set) error {
	v := c.box.view
	defer v.Settle()
	return c.statesOf(ctx, left.Intersect(v.UIDs()).Subtract(v.Gone()), &pb.Result{}, c.tellState)
}

// statesOf calls tell with the state of each message of a set, ascending: as the
// result of STORE has it or, if it does not, as storage has, unless the view has
// a newer one to tell.
func (c *Conn) statesOf(ctx context.Context, set imapnum.Set, res *pb.Result, tell func(*pb.MessageState)) error {
	if set.Empty() {
		return nil
	}
	newest := func(s *pb.MessageState) {
		uid := imapnum.UID(s.GetUid())
		if !set.Contains(uid) {
			return
		}
		if newer := c.box.view.Drop(uid); newer != nil && newer.GetModSeq() > s.GetModSeq() {
			s = newer
		}
		tell(s)
	}
	if res.GetBeforeModSeq() != 0 {
		for _, s := range res.GetStates() {
			newest(s)
		}
		return nil
	}
	return c.box.store.Fetch(ctx, &pb.FetchRequest{MailboxId: c.box.id, Uids: packed(set)}, func(r *pb.FetchResponse) error {
		if len(r.GetKeywords()) > len(c.box.keywords) {
			c.box.keywords = r.GetKeywords()
			c.tellFlagsList()
		}
		if s := r.GetMessage().GetState(); s != nil {
			newest(s)
		}
		return c.w.Err()
	})
}
