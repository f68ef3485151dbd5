package raftfsm

import (
	"slices"

	"github.com/quorumail/quorumail/proto/imapnum"
	pb "github.com/quorumail/quorumail/proto/quorumail/v1"
)

// unpack returns the set of a message of the log; a malformed one is refused.
func unpack(s *pb.UidSet) (imapnum.Set, *pb.Result) {
	set, err := imapnum.Unpack(s.GetPacked())
	if err != nil {
		return set, refuse(pb.Code_CODE_INVALID, err.Error())
	}
	return set, nil
}

func packed(s imapnum.Set) *pb.UidSet { return &pb.UidSet{Packed: s.Pack()} }

// selected opens the mailbox and the messages that an operation is for, which
// needs rights besides "r".
func (tx *tx) selected(a *account, id uint64, uids *pb.UidSet, need imapnum.Rights) (*mailbox, []message, *pb.Result, error) {
	set, refusal := unpack(uids)
	if refusal != nil {
		return nil, nil, refusal, nil
	}
	m, err := tx.mailboxByID(a, imapnum.MailboxID(id))
	if err != nil {
		return nil, nil, nil, err
	}
	if m == nil {
		return nil, nil, refuse(pb.Code_CODE_NO_MAILBOX, "the mailbox is gone"), nil
	}
	if refusal, err := tx.may(a, m, need|imapnum.RightRead); err != nil || refusal != nil {
		return nil, nil, refusal, err
	}
	msgs, err := tx.messages(a, m, set)
	return m, msgs, nil, err
}

// maxStates is for how many messages a result has their states. More are read
// with Changes.
const maxStates = 100

// store changes flags (RFC 9051, 6.4.6). With UNCHANGEDSINCE it leaves messages
// whose MODSEQ is above it and reports them (RFC 7162, 3.1.3); which they are
// is decided here, at the entry's place in the log.
func (tx *tx) store(a *account, op *pb.StoreOp) (*pb.Result, error) {
	if op.GetMode() < pb.StoreOp_MODE_REPLACE || op.GetMode() > pb.StoreOp_MODE_REMOVE {
		return refuse(pb.Code_CODE_INVALID, "unknown mode"), nil
	}
	m, msgs, refusal, err := tx.selected(a, op.GetMailboxId(), op.GetUids(), 0)
	if err != nil || refusal != nil {
		return refusal, err
	}
	rights, err := tx.rights(a, m)
	if err != nil {
		return nil, err
	}
	mask := maskOf(rights)
	names := mask.allowed(op.GetFlags())
	if mask.none() || len(names) == 0 && len(op.GetFlags()) > 0 {
		// With a right for any of them it must not fail (RFC 4314, 4).
		return noPermission(), nil
	}
	var left imapnum.SetBuilder
	if op.UnchangedSince != nil {
		msgs = slices.DeleteFunc(msgs, func(msg message) bool {
			newer := uint64(msg.rec.modSeq) > op.GetUnchangedSince()
			if newer {
				left.Add(msg.uid)
			}
			return newer
		})
	}
	// The keyword table grows only for a message that will have the keyword.
	system, keywords, refusal := m.flags(names, op.GetMode() != pb.StoreOp_MODE_REMOVE && len(msgs) > 0)
	if refusal != nil {
		return refusal, nil
	}
	var done, overtaken imapnum.SetBuilder
	var states []*pb.MessageState
	highest := m.info.GetHighestModSeq()
	for _, msg := range msgs {
		before := msg.rec.modSeq
		newSystem, newKeywords := changeFlags(op.GetMode(), &msg.rec, system, keywords)
		newSystem, newKeywords = mask.keep(&msg.rec, newSystem, newKeywords)
		if newSystem == msg.rec.system && slices.Equal(newKeywords, msg.rec.keywords) {
			if len(msgs) <= maxStates {
				states = append(states, msg.state())
			}
			continue
		}
		if err := tx.replace(a, m, msg, newSystem, newKeywords); err != nil {
			return nil, err
		}
		if len(msgs) <= maxStates {
			states = append(states, &pb.MessageState{
				Uid: uint32(msg.uid), ModSeq: uint64(a.modSeq), SystemFlags: uint32(newSystem), Keywords: newKeywords,
			})
		}
		done.Add(msg.uid)
		if op.KnownModSeq != nil && uint64(before) > op.GetKnownModSeq() {
			overtaken.Add(msg.uid)
		}
	}
	res := &pb.Result{
		Code: pb.Code_CODE_OK, ModSeq: uint64(a.modSeq), Uids: packed(done.Set()), SourceUids: packed(left.Set()),
	}
	if len(msgs) <= maxStates {
		res.States, res.BeforeModSeq = states, highest
	}
	if set := overtaken.Set(); !set.Empty() {
		res.Overtaken = packed(set)
	}
	return res, nil
}

// changeFlags returns what a message's flags become.
func changeFlags(mode pb.StoreOp_Mode, rec *messageRecord, system imapnum.SystemFlags, keywords []uint32) (imapnum.SystemFlags, []uint32) {
	switch mode {
	case pb.StoreOp_MODE_ADD:
		merged := slices.Concat(rec.keywords, keywords)
		slices.Sort(merged)
		return rec.system | system, slices.Compact(merged)
	case pb.StoreOp_MODE_REMOVE:
		rest := slices.DeleteFunc(slices.Clone(rec.keywords), func(k uint32) bool {
			_, ok := slices.BinarySearch(keywords, k)
			return ok
		})
		return rec.system &^ system, rest
	}
	return system, keywords
}

// expunge removes the messages that are \Deleted now (RFC 9051, 6.4.3).
func (tx *tx) expunge(a *account, op *pb.ExpungeOp) (*pb.Result, error) {
	m, err := tx.mailboxByID(a, imapnum.MailboxID(op.GetMailboxId()))
	if err != nil {
		return nil, err
	}
	if m == nil {
		return refuse(pb.Code_CODE_NO_MAILBOX, "the mailbox is gone"), nil
	}
	need := imapnum.RightRead | imapnum.RightExpunge
	if op.GetUndeletedToo() {
		need |= imapnum.RightDeleted
	}
	if refusal, err := tx.may(a, m, need); err != nil || refusal != nil {
		return refusal, err
	}
	res := &pb.Result{Code: pb.Code_CODE_OK}
	if op.GetUndeletedToo() {
		return tx.removeAll(a, m, op.GetUids())
	}
	if m.info.GetDeleted() == 0 {
		res.Uids = &pb.UidSet{}
		return res, nil
	}
	x, err := tx.indexOf(a, m)
	if err != nil {
		return nil, err
	}
	doomed := setOf(x.flags[deletedBit])
	if op.GetUids() != nil {
		only, refusal := unpack(op.GetUids())
		if refusal != nil {
			return refusal, nil
		}
		doomed = doomed.Intersect(only)
	}
	msgs, err := tx.messages(a, m, doomed)
	if err != nil {
		return nil, err
	}
	gone, err := tx.remove(a, m, msgs)
	res.ModSeq, res.Uids = uint64(a.modSeq), packed(gone)
	return res, err
}

// removeAll removes messages whether or not they are \Deleted.
func (tx *tx) removeAll(a *account, m *mailbox, uids *pb.UidSet) (*pb.Result, error) {
	set, refusal := unpack(uids)
	if refusal != nil {
		return refusal, nil
	}
	msgs, err := tx.messages(a, m, set)
	if err != nil {
		return nil, err
	}
	gone, err := tx.remove(a, m, msgs)
	return &pb.Result{Code: pb.Code_CODE_OK, ModSeq: uint64(a.modSeq), Uids: packed(gone)}, err
}

// deletedBit and seenBit are the places of flags among an index's bitmaps.
const (
	seenBit    = 0
	deletedBit = 3
)

// copy copies or moves messages to a mailbox of the account (RFC 9051, 6.4.7,
// 6.4.8).
func (tx *tx) copy(a *account, op *pb.CopyOp) (*pb.Result, error) {
	var need imapnum.Rights
	if op.GetMove() {
		need = imapnum.RightExpunge | imapnum.RightDeleted // RFC 6851, 4.2
	}
	src, msgs, refusal, err := tx.selected(a, op.GetMailboxId(), op.GetUids(), need)
	if err != nil || refusal != nil {
		return refusal, err
	}
	dst, err := tx.namedMailbox(a, op.GetDestination())
	if err != nil {
		return nil, err
	}
	if refusal, err := tx.may(a, dst, imapnum.RightInsert); err != nil || refusal != nil {
		return refusal, err
	}
	if !dst.roomFor(len(msgs)) {
		return refuse(pb.Code_CODE_UIDS_EXHAUSTED, "no UIDs left"), nil
	}
	if !op.GetMove() {
		refusal := a.room(demandOf(msgs, messageSize))
		if refusal != nil {
			return refusal, nil
		}
	}
	rights, err := tx.rights(a, dst)
	if err != nil {
		return nil, err
	}
	return tx.transfer(a, src, dst, msgs, transferOptions{move: op.GetMove(), mask: maskOf(rights)})
}

type transferOptions struct {
	// move: the messages are removed from the source.
	move bool
	// mask has the flags that they keep.
	mask flagMask
}

// transfer copies or moves messages in ascending order of UID, all under one
// modseq.
func (tx *tx) transfer(a *account, src, dst *mailbox, msgs []message, o transferOptions) (*pb.Result, error) {
	known := len(dst.info.GetKeywords())
	recs := make([]messageRecord, len(msgs))
	for i, msg := range msgs {
		names := make([]string, len(msg.rec.keywords))
		for j, k := range msg.rec.keywords {
			if int(k) >= len(src.info.GetKeywords()) {
				return nil, errCorrupt
			}
			names[j] = src.info.GetKeywords()[k]
		}
		names = o.mask.allowed(names)
		_, keywords, refusal := dst.flags(names, true)
		if refusal != nil {
			dst.info.Keywords = dst.info.GetKeywords()[:known]
			return refusal, nil
		}
		recs[i] = msg.rec
		recs[i].keywords = keywords
		recs[i].system &= o.mask.system
	}
	var from, to imapnum.SetBuilder
	for i, msg := range msgs {
		if err := tx.refer(a, msg.rec.emailID, 1); err != nil {
			return nil, err
		}
		uid, err := tx.insert(a, dst, recs[i])
		if err != nil {
			return nil, err
		}
		from.Add(msg.uid)
		to.Add(uid)
	}
	if o.move {
		if _, err := tx.remove(a, src, msgs); err != nil {
			return nil, err
		}
	}
	return &pb.Result{
		Code: pb.Code_CODE_OK, ModSeq: uint64(a.modSeq), UidValidity: dst.info.GetUidValidity(), MailboxId: uint64(dst.id),
		Uids: packed(to.Set()), SourceUids: packed(from.Set()),
	}, nil
}
