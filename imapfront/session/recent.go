package session

import (
	"context"
	"math"

	"github.com/quorumail/quorumail/proto/imapnum"
	pb "github.com/quorumail/quorumail/proto/quorumail/v1"
)

// A message is \Recent to the first session that is told of it, if that has the
// mailbox read-write, and to no later one (RFC 3501, 2.3.2). Which of several
// that are told at the same time is the first is decided by the log. IMAP4rev2 has no
// such flag (RFC 9051, appendix E, 12): who has enabled it leaves them to others.

// claimRecent takes the messages that no session has been told of, before this one
// is. To a session that may not change the mailbox they are recent too, and stay so
// to others (RFC 3501, 6.3.2).
func (c *Conn) claimRecent(ctx context.Context, info *pb.MailboxInfo) {
	unclaimed := unclaimed(info)
	if unclaimed.Empty() || c.rev2 {
		return
	}
	if !c.box.readOnly && mayWrite(c.box.rights) {
		res, err := c.box.store.Propose(ctx, &pb.Entry{Op: &pb.Entry_ClaimRecent{ClaimRecent: &pb.ClaimRecentOp{MailboxId: info.GetId()}}})
		switch {
		case err != nil:
			// Where it is not possible to tell whether a session is the first, they
			// should be considered recent (RFC 3501, 2.3.2).
			c.log.Warn("claim recent messages", "error", err)
		case res.GetCode() == pb.Code_CODE_OK:
			unclaimed = unpacked(res.GetUids())
		}
	}
	c.box.recent = c.box.recent.Union(unclaimed)
}

// unclaimed returns the UIDs of which no session had been told.
func unclaimed(info *pb.MailboxInfo) imapnum.Set {
	first, next := max(info.GetRecentUid(), 1), info.GetUidNext()
	if first >= next {
		return imapnum.Set{}
	}
	return imapnum.SetOfRange(imapnum.UID(first), imapnum.UID(next-1))
}

// recentCount is what RECENT tells: how many of the messages told are recent.
func (b *mailbox) recentCount() uint64 { return b.recent.Intersect(b.view.UIDs()).Len() }

// statusRecent is what STATUS says of a mailbox: of the selected one what its
// session has been told, of others how many messages no session has been told of.
func (c *Conn) statusRecent(info *pb.MailboxInfo) uint64 {
	switch {
	case c.box != nil && c.box.name == info.GetName():
		return c.box.recentCount()
	case info.GetRecentUid() == 0:
		return uint64(info.GetExists())
	}
	return uint64(info.GetRecent())
}

// untold are the UIDs in a mailbox that is not selected, told of in a session that
// has \Recent, that would be recent to it.
func (c *Conn) untold(info *pb.MailboxInfo) imapnum.Set {
	if c.rev2 {
		return imapnum.Set{}
	}
	return imapnum.SetOfRange(imapnum.UID(max(info.GetRecentUid(), 1)), math.MaxUint32)
}
