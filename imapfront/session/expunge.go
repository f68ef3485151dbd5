package session

import (
	"context"

	"github.com/quorumail/quorumail/imapfront/wire"
	pb "github.com/quorumail/quorumail/proto/quorumail/v1"
)

// expunge is EXPUNGE and UID EXPUNGE (RFC 9051, 6.4.3 and 6.4.9). What has
// \Deleted is decided where the command is applied, not by what this session
// knows; UID EXPUNGE is limited to messages that it has been told of.
func (c *Conn) expunge(ctx context.Context, cmd wire.Expunge) error {
	op := &pb.ExpungeOp{MailboxId: c.box.id}
	if cmd.UIDs != nil {
		if err := c.refreshFor(ctx, *cmd.UIDs, true); err != nil {
			return c.boxFailed("EXPUNGE", err)
		}
		set, err := c.resolve(*cmd.UIDs, true)
		if err != nil {
			return c.bad("", err.Error())
		}
		op.Uids = packed(set)
	}
	if c.box.readOnly {
		return c.no("", "the mailbox is selected read-only")
	}
	res, err := c.box.store.Propose(ctx, &pb.Entry{Op: &pb.Entry_Expunge{Expunge: op}})
	if err != nil {
		return c.boxFailed("EXPUNGE", err)
	}
	if res.GetCode() != pb.Code_CODE_OK {
		return c.refused(res)
	}
	if err := c.pull(ctx, false); err != nil {
		return c.boxFailed("EXPUNGE", err)
	}
	c.tell(true)
	return c.ok(c.modSeqCode(res), "EXPUNGE done")
}

// modSeqCode is the HIGHESTMODSEQ code after a command that removed messages
// (RFC 7162, 3.2.7): what the session has been told up to, which is never ahead
// of what it has been told.
func (c *Conn) modSeqCode(res *pb.Result) string {
	if !c.qresync || res.GetModSeq() == 0 || uint64(c.box.view.Told()) < res.GetModSeq() {
		return ""
	}
	return "HIGHESTMODSEQ " + uitoa(uint64(c.box.view.Told()))
}

// copy is COPY and MOVE (RFC 9051, 6.4.7 and 6.4.8).
func (c *Conn) copy(ctx context.Context, cmd wire.Copy) error {
	if err := c.refreshFor(ctx, cmd.Set, cmd.UID); err != nil {
		return c.boxFailed("COPY", err)
	}
	set, err := c.resolve(cmd.Set, cmd.UID)
	if err != nil {
		return c.bad("", err.Error())
	}
	if cmd.Move && c.box.readOnly {
		return c.no("", "the mailbox is selected read-only")
	}
	at := c.at(cmd.Mailbox)
	if at.store.Account() != c.box.store.Account() {
		return c.copyAcross(ctx, cmd, set, at)
	}
	tellsUIDs := true
	if at.owner != "" {
		if tellsUIDs, err = c.mayInsert(ctx, at); err != nil {
			return c.intoFailed(ctx, at, "COPY", err)
		}
	}
	res, err := c.box.store.Propose(ctx, &pb.Entry{Op: &pb.Entry_Copy{Copy: &pb.CopyOp{
		MailboxId: c.box.id, Uids: packed(set), Destination: at.name, Move: cmd.Move,
	}}})
	if err != nil {
		return c.boxFailed("COPY", err)
	}
	if res.GetCode() != pb.Code_CODE_OK {
		return c.copyRefused(ctx, at, res)
	}
	code := ""
	if from := unpacked(res.GetSourceUids()); !from.Empty() && tellsUIDs {
		code = "COPYUID " + uitoa(uint64(res.GetUidValidity())) + " " + from.String() + " " + unpacked(res.GetUids()).String()
	}
	if !cmd.Move && res.GetMailboxId() != c.box.id {
		c.tell(false)
		return c.ok(code, "COPY done")
	}
	if cmd.Move && code != "" {
		// Before the expunges, so that the client knows where the messages went
		// (RFC 6851, 4.3).
		c.w.Untagged("OK [", code, "] moved")
		code = ""
	}
	if err := c.pull(ctx, false); err != nil {
		return c.boxFailed("MOVE", err)
	}
	c.tell(true)
	if cmd.Move {
		code = c.modSeqCode(res)
	}
	return c.ok(code, "done")
}
