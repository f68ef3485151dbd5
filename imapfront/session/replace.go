package session

import (
	"context"

	"github.com/quorumail/quorumail/imapfront/wire"
	"github.com/quorumail/quorumail/proto/imapnum"
	pb "github.com/quorumail/quorumail/proto/quorumail/v1"
)

// replace is REPLACE and UID REPLACE (RFC 8508): one entry adds the message and
// removes the other, or does neither. Whether the other is still there is decided
// where the entry is applied; a message that is known to be gone is refused
// before the new one is asked for.
func (c *Conn) replace(ctx context.Context, cmd wire.Replace) error {
	if c.box.readOnly {
		return c.no("", "the mailbox is selected read-only")
	}
	set := wire.NumSet{Ranges: []wire.NumRange{{Start: cmd.Num, Stop: cmd.Num}}}
	if cmd.UID && reaches(set, uint32(c.box.view.UIDs().Max())) {
		// It may be of another connection. Expunges are not told before all is done
		// (RFC 8508, 3.4).
		if err := c.pull(ctx, true); err != nil {
			return c.boxFailed("REPLACE", err)
		}
		c.tellFresh()
	}
	uids, err := c.resolve(set, cmd.UID)
	switch {
	case err != nil:
		return c.bad("", err.Error())
	case uids.Empty():
		return c.no("", "no message has this UID")
	case !uids.Intersect(c.box.view.Gone()).Empty():
		return c.no("EXPUNGEISSUED", "the message to be replaced is gone")
	}
	at := c.at(cmd.Mailbox)
	across := at.store.Account() != c.box.store.Account()
	if across && !c.box.rights.Has(imapnum.RightExpunge|imapnum.RightDeleted) {
		return c.refused(&pb.Result{Code: pb.Code_CODE_NO_PERMISSION}) // RFC 8508, 4.1
	}
	tellsUIDs, err := c.mayReceive(ctx, at, cmd.Message)
	if err != nil {
		return c.beforeLiteral(c.intoFailed(ctx, at, "REPLACE", err))
	}
	msgs, err := c.receiveAll(ctx, at.store, cmd.Message, 1)
	if msgs == nil {
		return err
	}
	op := &pb.AppendOp{Mailbox: at.name, Messages: msgs}
	if across {
		return c.replaceAcross(ctx, uids.Min(), at, op, tellsUIDs)
	}
	return c.replaceOne(ctx, uids.Min(), at, op, tellsUIDs)
}

// replaceOne puts a message in another's place and answers. The client learns
// where the new message is before the old one goes (RFC 8508, 4.3).
func (c *Conn) replaceOne(ctx context.Context, uid imapnum.UID, at place, op *pb.AppendOp, tellsUIDs bool) error {
	res, err := c.box.store.Propose(ctx, &pb.Entry{Op: &pb.Entry_Replace{Replace: &pb.ReplaceOp{
		Append: op, MailboxId: c.box.id, Uid: uint32(uid),
	}}})
	if err != nil {
		return c.fail("REPLACE", err)
	}
	if res.GetCode() != pb.Code_CODE_OK {
		return c.refusedInto(ctx, at, res)
	}
	return c.replaced(ctx, res, res, tellsUIDs)
}

// replaced answers once the message is added, and the other removed.
func (c *Conn) replaced(ctx context.Context, added, removed *pb.Result, tellsUIDs bool) error {
	if tellsUIDs {
		c.w.Untagged("OK [", appendUID(added), "] replacement is there")
	}
	if err := c.pull(ctx, false); err != nil {
		// It is done all the same; the next command finds out what is amiss.
		return c.ok("", "REPLACE done")
	}
	c.tellFresh()
	c.tell(true)
	return c.ok(c.modSeqCode(removed), "REPLACE done")
}

// replaceAcross does so where the mailboxes are of different accounts. No entry is
// of two: the message is added, then the other is removed, and if that is gone
// meanwhile, the new one goes too.
func (c *Conn) replaceAcross(ctx context.Context, uid imapnum.UID, dst place, op *pb.AppendOp, tellsUIDs bool) error {
	added, err := dst.store.Propose(ctx, &pb.Entry{Op: &pb.Entry_Append{Append: op}})
	if err != nil {
		return c.fail("REPLACE", err)
	}
	if added.GetCode() != pb.Code_CODE_OK {
		return c.refusedInto(ctx, dst, added)
	}
	removed, err := c.box.store.Propose(ctx, &pb.Entry{Op: &pb.Entry_Expunge{Expunge: &pb.ExpungeOp{
		MailboxId: c.box.id, Uids: packed(imapnum.SetOf(uid)), UndeletedToo: true,
	}}})
	if err == nil && removed.GetCode() == pb.Code_CODE_OK && !unpacked(removed.GetUids()).Empty() {
		return c.replaced(ctx, added, removed, tellsUIDs)
	}
	half := &across{c: c, dst: dst, mailboxID: added.GetMailboxId()}
	for uid := range unpacked(added.GetUids()).All() {
		half.to.Add(uid)
	}
	half.undo(ctx)
	switch {
	case err != nil:
		return c.boxFailed("REPLACE", err)
	case removed.GetCode() != pb.Code_CODE_OK:
		return c.refused(removed)
	}
	return c.no("EXPUNGEISSUED", "the message to be replaced is gone")
}
