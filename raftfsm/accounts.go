package raftfsm

import (
	pb "github.com/quorumail/quorumail/proto/quorumail/v1"
	"github.com/quorumail/quorumail/raftfsm/keys"
)

// createAccount makes an account with its INBOX.
func (tx *tx) createAccount(a *account, op *pb.CreateAccountOp) (*pb.Result, error) {
	switch {
	case a.exists:
		return refuse(pb.Code_CODE_ACCOUNT_EXISTS, "the account exists"), nil
	case a.rec.lastUIDValidity == maxUIDValidity:
		return refuse(pb.Code_CODE_UIDS_EXHAUSTED, "no UIDVALIDITY left"), nil
	}
	limits, ok := packLimits(op.GetQuota())
	if !ok {
		return refuse(pb.Code_CODE_INVALID, "a limit is too high"), nil
	}
	a.exists, a.deleted, a.rec.deleted, a.dirty = true, false, false, true
	a.rec.mailboxes, a.rec.quota = 0, &quotaRecord{limits: limits}
	m := tx.newMailbox(a, Inbox, op.GetUidValiditySeed(), "")
	if err := tx.name(a, m); err != nil {
		return nil, err
	}
	res, err := tx.setCredentials(a, op.GetCredentials())
	if err != nil {
		return nil, err
	}
	res.MailboxId, res.UidValidity = uint64(m.id), m.info.GetUidValidity()
	return res, nil
}

func (tx *tx) setCredentials(a *account, c *pb.Credentials) (*pb.Result, error) {
	if c == nil {
		c = &pb.Credentials{}
	}
	value, err := marshal(c)
	if err != nil {
		return nil, err
	}
	if err := tx.set(a.space.Key(keys.Credentials), value); err != nil {
		return nil, err
	}
	return &pb.Result{Code: pb.Code_CODE_OK, ModSeq: uint64(a.take())}, nil
}

// deleteAccount removes all keys of an account but its counters.
func (tx *tx) deleteAccount(a *account) (*pb.Result, error) {
	modSeq := a.take()
	if err := tx.delRange(a.space.Range()); err != nil {
		return nil, err
	}
	if err := tx.delRange(keys.Summaries(tx.f.cfg.Shard, a.name)); err != nil {
		return nil, err
	}
	a.exists, a.deleted, a.rec.deleted, a.dirty = false, true, true, true
	a.rec.mailboxes, a.rec.quota = 0, &quotaRecord{}
	a.forgetMailboxes()
	clear(a.sessions)
	return &pb.Result{Code: pb.Code_CODE_OK, ModSeq: uint64(modSeq)}, nil
}
