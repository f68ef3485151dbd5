package raftfsm

import (
	"github.com/quorumail/quorumail/proto/imapnum"
	pb "github.com/quorumail/quorumail/proto/quorumail/v1"
)

// claimRecent gives the messages that no session has been told of to the one that
// asks, up to the last there is. Only where that stands is kept, not a flag of each
// message; so a claim costs the same however many there are.
func (tx *tx) claimRecent(a *account, op *pb.ClaimRecentOp) (*pb.Result, error) {
	m, err := tx.mailboxByID(a, imapnum.MailboxID(op.GetMailboxId()))
	if err != nil {
		return nil, err
	}
	if refusal, err := tx.may(a, m, imapnum.RightRead); err != nil || refusal != nil {
		return refusal, err
	}
	res := &pb.Result{Code: pb.Code_CODE_OK}
	first, next := max(m.info.GetRecentUid(), 1), m.info.GetUidNext()
	if first < next {
		res.Uids = packed(imapnum.SetOfRange(imapnum.UID(first), imapnum.UID(next-1)))
		m.info.RecentUid, m.info.Recent, m.dirty = next, 0, true
	}
	return res, nil
}

// countsRecent reports whether a message is among those that the mailbox's record
// counts as recent. Until the first claim all are, and are not counted.
func countsRecent(info *pb.MailboxInfo, uid imapnum.UID) bool {
	first := info.GetRecentUid()
	return first != 0 && uint32(uid) >= first
}
