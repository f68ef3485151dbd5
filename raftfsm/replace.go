package raftfsm

import (
	"github.com/quorumail/quorumail/proto/imapnum"
	pb "github.com/quorumail/quorumail/proto/quorumail/v1"
)

// replaceMessage adds a message to a mailbox and removes another, of the same
// mailbox or of another one, under one modseq; both or neither (RFC 8508, 3.4).
// The new message has nothing of the old one.
func (tx *tx) replaceMessage(a *account, op *pb.ReplaceOp) (*pb.Result, error) {
	if len(op.GetAppend().GetMessages()) != 1 || len(op.GetAppend().GetDeliveryId()) > 0 {
		return refuse(pb.Code_CODE_INVALID, "one message replaces another"), nil
	}
	src, err := tx.mailboxByID(a, imapnum.MailboxID(op.GetMailboxId()))
	if err != nil {
		return nil, err
	}
	if src != nil {
		// Those of APPEND, STORE and EXPUNGE (RFC 8508, 4.1).
		const need = imapnum.RightRead | imapnum.RightDeleted | imapnum.RightExpunge
		if refusal, err := tx.may(a, src, need); err != nil || refusal != nil {
			return refusal, err
		}
	}
	var msgs []message
	if src != nil && op.GetUid() != 0 {
		if msgs, err = tx.messages(a, src, imapnum.SetOf(imapnum.UID(op.GetUid()))); err != nil {
			return nil, err
		}
	}
	if len(msgs) == 0 {
		return refuse(pb.Code_CODE_NO_MESSAGE, "the message to be replaced is gone"), nil
	}
	res, err := tx.append(a, op.GetAppend(), msgs...)
	if err != nil || res.GetCode() != pb.Code_CODE_OK {
		return res, err
	}
	gone, err := tx.remove(a, src, msgs)
	res.SourceUids = packed(gone)
	return res, err
}
