package raftfsm

import (
	pb "github.com/quorumail/quorumail/proto/quorumail/v1"
	"github.com/quorumail/quorumail/raftfsm/keys"
)

// CollectDue reports whether a CollectOp would remove anything now, so that a
// leader proposes none in vain. It reads until it finds something.
func (a *Account) CollectDue(op *pb.CollectOp) (bool, error) {
	due := false
	find := func(kind keys.Kind, is func(rest, value []byte) (found, goOn bool, err error)) error {
		if due {
			return nil
		}
		start, end := a.space.Kind(kind)
		return scan(a.v.snap, start, end, func(key, value []byte) (bool, error) {
			found, goOn, err := is(a.space.Rest(key), value)
			due = due || found
			return goOn && !found, err
		})
	}
	remembered := func(before int64) func(_, value []byte) (bool, bool, error) {
		return func(_, value []byte) (bool, bool, error) {
			rec, err := decodeRemembered(value)
			return err == nil && rec.time < before, true, err
		}
	}
	// The retention queue is in the order of time: its head tells.
	err := find(keys.Retention, func(rest, _ []byte) (bool, bool, error) {
		time, _, _, err := keys.ParseRetention(rest)
		return err == nil && time < op.GetBodiesBefore(), false, err
	})
	if err == nil {
		err = find(keys.Upload, func(_, value []byte) (bool, bool, error) {
			up, err := decodeUpload(value)
			return err == nil && up.time < op.GetUploadsBefore(), true, err
		})
	}
	if err == nil {
		err = find(keys.Session, remembered(op.GetSessionsBefore()))
	}
	if err == nil {
		err = find(keys.Delivery, remembered(op.GetDeliveriesBefore()))
	}
	return due, err
}
