package raftfsm

import (
	"google.golang.org/protobuf/proto"

	"github.com/quorumail/quorumail/proto/imapnum"
	pb "github.com/quorumail/quorumail/proto/quorumail/v1"
	"github.com/quorumail/quorumail/raftfsm/keys"
)

// maxCollect bounds what one entry collects, whatever it asks for.
const maxCollect = 10_000

// collect removes garbage that is older than the entry says. It changes nothing
// that a client can see, so it takes no modseq.
func (tx *tx) collect(a *account, op *pb.CollectOp) (*pb.Result, error) {
	left := int(min(op.GetLimit(), maxCollect))
	more := false
	for _, step := range []func(int) (int, bool, error){
		func(n int) (int, bool, error) { return tx.collectRetained(a, op.GetBodiesBefore(), n) },
		func(n int) (int, bool, error) { return tx.collectUploads(a, op.GetUploadsBefore(), n) },
		func(n int) (int, bool, error) {
			return tx.collectRemembered(a, keys.Session, op.GetSessionsBefore(), n)
		},
		func(n int) (int, bool, error) {
			return tx.collectRemembered(a, keys.Delivery, op.GetDeliveriesBefore(), n)
		},
	} {
		done, again, err := step(left)
		if err != nil {
			return nil, err
		}
		left -= done
		more = more || again
	}
	return &pb.Result{Code: pb.Code_CODE_OK, More: more}, nil
}

// collectRetained lets go of expunged messages and deleted mailboxes. Returned
// are how many messages it took and whether there are more.
func (tx *tx) collectRetained(a *account, before int64, limit int) (int, bool, error) {
	type due struct {
		key     []byte
		mailbox imapnum.MailboxID
		uid     imapnum.UID
	}
	var list []due
	more := false
	start, end := a.space.Kind(keys.Retention)
	err := tx.scan(start, end, func(key, _ []byte) (bool, error) {
		time, mailbox, uid, err := keys.ParseRetention(a.space.Rest(key))
		if err != nil || time >= before {
			return false, err
		}
		if len(list) >= limit {
			more = true
			return false, nil
		}
		list = append(list, due{append([]byte(nil), key...), mailbox, uid})
		return true, nil
	})
	if err != nil {
		return 0, false, err
	}
	done := 0
	for _, d := range list {
		if d.uid == 0 {
			n, again, err := tx.collectMailbox(a, d.mailbox, limit-done)
			if err != nil {
				return 0, false, err
			}
			done += n
			if again {
				return done, true, nil
			}
		} else {
			if done >= limit {
				return done, true, nil
			}
			if err := tx.release(a, keys.Retained, d.mailbox, d.uid); err != nil {
				return 0, false, err
			}
			done++
		}
		if err := tx.del(d.key); err != nil {
			return 0, false, err
		}
	}
	return done, more, nil
}

// release removes a message's record and its reference to the content.
func (tx *tx) release(a *account, kind keys.Kind, mailbox imapnum.MailboxID, uid imapnum.UID) error {
	key := a.space.UID(kind, mailbox, uid)
	value, err := get(tx.b, key)
	if err != nil {
		return err
	}
	if value == nil {
		return errCorrupt
	}
	rec, err := decodeMessage(value)
	if err != nil {
		return err
	}
	if err := tx.del(key); err != nil {
		return err
	}
	return tx.refer(a, rec.emailID, -1)
}

// collectMailbox removes up to limit messages of a deleted mailbox, and its
// indexes after the last.
func (tx *tx) collectMailbox(a *account, mailbox imapnum.MailboxID, limit int) (int, bool, error) {
	var uids []imapnum.UID
	more := false
	start, end := a.space.Mailbox(keys.Message, mailbox)
	err := tx.scan(start, end, func(key, _ []byte) (bool, error) {
		if len(uids) >= limit {
			more = true
			return false, nil
		}
		_, uid, err := keys.ParseUID(a.space.Rest(key))
		uids = append(uids, uid)
		return true, err
	})
	if err != nil {
		return 0, false, err
	}
	for _, uid := range uids {
		if err := tx.release(a, keys.Message, mailbox, uid); err != nil {
			return 0, false, err
		}
	}
	if more {
		return len(uids), true, nil
	}
	for _, kind := range []keys.Kind{keys.Change, keys.Expunge} {
		start, end := a.space.Mailbox(kind, mailbox)
		if err := tx.delRange(start, end); err != nil {
			return 0, false, err
		}
	}
	return len(uids), false, nil
}

func (tx *tx) collectUploads(a *account, before int64, limit int) (int, bool, error) {
	return tx.collectKind(a, keys.Upload, limit, func(rest, value []byte) (bool, error) {
		up, err := decodeUpload(value)
		return up.time < before, err
	}, func(rest []byte) error { return tx.dropBody(a, rest) })
}

func (tx *tx) collectRemembered(a *account, kind keys.Kind, before int64, limit int) (int, bool, error) {
	clear(a.sessions)
	return tx.collectKind(a, kind, limit, func(_, value []byte) (bool, error) {
		rec, err := decodeRemembered(value)
		return rec.time < before, err
	}, func([]byte) error { return nil })
}

// collectKind removes up to limit keys of a kind that are due.
func (tx *tx) collectKind(a *account, kind keys.Kind, limit int, due func(rest, value []byte) (bool, error), drop func(rest []byte) error) (int, bool, error) {
	var list [][]byte
	more := false
	start, end := a.space.Kind(kind)
	err := tx.scan(start, end, func(key, value []byte) (bool, error) {
		is, err := due(a.space.Rest(key), value)
		if err != nil || !is {
			return err == nil, err
		}
		if len(list) >= limit {
			more = true
			return false, nil
		}
		list = append(list, append([]byte(nil), key...))
		return true, nil
	})
	if err != nil {
		return 0, false, err
	}
	for _, key := range list {
		if err := tx.del(key); err != nil {
			return 0, false, err
		}
		if err := drop(a.space.Rest(key)); err != nil {
			return 0, false, err
		}
	}
	return len(list), more, nil
}

// unmarshalInfo decodes a mailbox record.
func unmarshalInfo(value []byte) (*pb.MailboxInfo, error) {
	info := &pb.MailboxInfo{}
	if err := proto.Unmarshal(value, info); err != nil {
		return nil, errCorrupt
	}
	return info, nil
}
