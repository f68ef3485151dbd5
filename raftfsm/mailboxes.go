package raftfsm

import (
	"slices"
	"strings"

	"google.golang.org/protobuf/proto"

	"github.com/quorumail/quorumail/proto/imapnum"
	pb "github.com/quorumail/quorumail/proto/quorumail/v1"
	"github.com/quorumail/quorumail/raftfsm/keys"
)

// maxUIDValidity is the last that there is; an account that has given it gives
// no more.
const maxUIDValidity imapnum.UIDValidity = 1<<32 - 1

// newMailbox makes a mailbox record. Its UIDVALIDITY is above every one that the
// account has given before, so that no name ever has the same twice (RFC 9051,
// 2.3.1.1).
func (tx *tx) newMailbox(a *account, name string, seed uint32, use string) *mailbox {
	a.rec.lastMailbox++
	a.rec.lastUIDValidity = max(a.rec.lastUIDValidity+1, imapnum.UIDValidity(seed), 1)
	a.rec.mailboxes++
	m := &mailbox{id: a.rec.lastMailbox, info: &pb.MailboxInfo{
		Id: uint64(a.rec.lastMailbox), Name: name, UidValidity: uint32(a.rec.lastUIDValidity), UidNext: 1, SpecialUse: use,
	}, index: newIndex(), own: true}
	a.boxes[m.id] = m
	a.list = true
	tx.touch(a, m)
	return m
}

// name enters a mailbox under its name.
func (tx *tx) name(a *account, m *mailbox) error {
	clear(a.names)
	return tx.set(a.space.Bytes(keys.Name, []byte(m.info.GetName())), encodeUint(uint64(m.id)))
}

func (tx *tx) createMailbox(a *account, op *pb.CreateMailboxOp) (*pb.Result, error) {
	name, ok := imapnum.MailboxName(op.GetName())
	if a.actor != "" && (!ok || op.GetSpecialUse() != "") {
		// Special uses are the owner's to give; and of what is wrong with a name
		// nothing is told that would not be told of an account that does not exist.
		return noPermission(), nil
	}
	if !ok {
		return refuse(pb.Code_CODE_INVALID_NAME, "not a mailbox name"), nil
	}
	use, ok := canonUse(op.GetSpecialUse())
	if !ok {
		return refuse(pb.Code_CODE_USE_ATTR, "unknown special use"), nil
	}
	if refusal, err := tx.mayCreate(a, name); err != nil || refusal != nil {
		return refusal, err
	}
	old, err := tx.mailboxByName(a, name)
	if err != nil {
		return nil, err
	}
	switch {
	case old != nil:
		return tx.taken(a, old, "the mailbox exists")
	case a.rec.mailboxes >= maxMailboxes:
		return refuse(pb.Code_CODE_LIMIT, "too many mailboxes"), nil
	}
	if use != "" {
		taken, err := tx.useTaken(a, use)
		if err != nil {
			return nil, err
		}
		if taken {
			return refuse(pb.Code_CODE_USE_ATTR, "another mailbox has this special use"), nil
		}
	}
	if a.rec.lastUIDValidity == maxUIDValidity {
		return refuse(pb.Code_CODE_UIDS_EXHAUSTED, "no UIDVALIDITY left"), nil
	}
	if refusal := a.room(demand{mailboxes: 1}); refusal != nil {
		return refusal, nil
	}
	annotations, err := tx.metadataUse(a)
	if err != nil {
		return nil, err
	}
	if use != "" {
		if annotations.count(specialUseEntry, []byte(use), 1); annotations.full() {
			return refuse(pb.Code_CODE_LIMIT, "too many annotations"), nil
		}
	}
	parent, err := tx.superior(a, name)
	if err != nil {
		return nil, err
	}
	m := tx.newMailbox(a, name, op.GetUidValiditySeed(), use)
	if err := tx.name(a, m); err != nil {
		return nil, err
	}
	if err := tx.inheritACL(a, parent, m); err != nil {
		return nil, err
	}
	if use != "" {
		if err := tx.annotateUse(a, m, annotations); err != nil {
			return nil, err
		}
	}
	return &pb.Result{
		Code: pb.Code_CODE_OK, ModSeq: uint64(a.take()), MailboxId: uint64(m.id), UidValidity: m.info.GetUidValidity(),
	}, nil
}

// useTaken reports whether a mailbox has a special use.
func (tx *tx) useTaken(a *account, use string) (bool, error) {
	if err := tx.flush(a); err != nil {
		return false, err
	}
	taken := false
	start, end := a.space.Kind(keys.Mailbox)
	err := tx.scan(start, end, func(_, value []byte) (bool, error) {
		var info pb.MailboxInfo
		if err := proto.Unmarshal(value, &info); err != nil {
			return false, errCorrupt
		}
		taken = info.GetSpecialUse() == use
		return !taken, nil
	})
	return taken, err
}

// deleteMailbox takes the mailbox out of the account. Its messages stay, for
// CollectOp to remove in bounded steps: a mailbox can be larger than an entry
// should make work.
func (tx *tx) deleteMailbox(a *account, op *pb.DeleteMailboxOp) (*pb.Result, error) {
	name, ok := imapnum.MailboxName(op.GetName())
	if !ok {
		return noMailbox(), nil
	}
	m, err := tx.mailboxByName(a, name)
	if err != nil {
		return nil, err
	}
	if refusal, err := tx.may(a, m, imapnum.RightDelete); err != nil || refusal != nil {
		return refusal, err
	}
	if name == Inbox {
		return refuse(pb.Code_CODE_INVALID_NAME, "INBOX cannot be deleted"), nil
	}
	modSeq := a.take()
	a.changed[m.id], a.list = true, true
	a.rec.mailboxes--
	a.rec.quota.octets -= m.info.GetSize()
	a.rec.quota.messages -= uint64(m.info.GetExists())
	a.boxes[m.id] = nil
	clear(a.names)
	for _, key := range [][]byte{
		a.space.Bytes(keys.Name, []byte(name)),
		a.space.ID(keys.Mailbox, uint64(m.id)),
		a.space.ID(keys.ACL, uint64(m.id)),
		keys.Summary(tx.f.cfg.Shard, a.name, m.id),
	} {
		if err := tx.del(key); err != nil {
			return nil, err
		}
	}
	if err := tx.dropMetadata(a, m.id); err != nil {
		return nil, err
	}
	// UID 0 stands for the mailbox itself.
	if err := tx.set(a.space.Retention(tx.applied.time, m.id, 0), nil); err != nil {
		return nil, err
	}
	return &pb.Result{Code: pb.Code_CODE_OK, ModSeq: uint64(modSeq), MailboxId: uint64(m.id)}, nil
}

func (tx *tx) renameMailbox(a *account, op *pb.RenameMailboxOp) (*pb.Result, error) {
	from, ok := imapnum.MailboxName(op.GetFrom())
	if !ok {
		return noMailbox(), nil
	}
	to, ok := imapnum.MailboxName(op.GetTo())
	if a.actor != "" {
		m, err := tx.mailboxByName(a, from)
		if err != nil {
			return nil, err
		}
		if refusal, err := tx.may(a, m, imapnum.RightDelete); err != nil || refusal != nil {
			return refusal, err
		}
	}
	if !ok || strings.HasPrefix(to, from+Separator) && from != Inbox {
		return refuse(pb.Code_CODE_INVALID_NAME, "not a possible new name"), nil
	}
	m, err := tx.mailboxByName(a, from)
	if err != nil {
		return nil, err
	}
	level := false // a name that mailboxes lie below, and none is called
	if m == nil {
		if level, err = tx.hasInferiors(a, from); err != nil {
			return nil, err
		}
		if !level {
			return noMailbox(), nil
		}
	}
	if refusal, err := tx.mayCreate(a, to); err != nil || refusal != nil {
		return refusal, err
	}
	old, err := tx.mailboxByName(a, to)
	if err != nil {
		return nil, err
	}
	switch {
	case old != nil:
		return tx.taken(a, old, "the new name exists")
	case level && from == to:
		return refuse(pb.Code_CODE_MAILBOX_EXISTS, "the new name is the old one"), nil
	case from == Inbox:
		return tx.renameInbox(a, m, to, op.GetUidValiditySeed())
	}
	moved, refusal, err := tx.family(a, from, to)
	if err != nil || refusal != nil {
		return refusal, err
	}
	modSeq := a.take()
	a.list = true
	// All old names go before the first new one comes: a new name can be another's
	// old one.
	for _, kin := range moved {
		clear(a.names)
		if err := tx.del(a.space.Bytes(keys.Name, []byte(kin.info.GetName()))); err != nil {
			return nil, err
		}
	}
	for _, kin := range moved {
		kin.info.Name = to + kin.info.GetName()[len(from):]
		kin.dirty = true
		a.changed[kin.id] = true
		if err := tx.name(a, kin); err != nil {
			return nil, err
		}
	}
	res := &pb.Result{Code: pb.Code_CODE_OK, ModSeq: uint64(modSeq)}
	if m != nil {
		res.MailboxId, res.UidValidity = uint64(m.id), m.info.GetUidValidity()
	}
	return res, nil
}

// hasInferiors reports whether mailboxes lie below a name.
func (tx *tx) hasInferiors(a *account, name string) (found bool, err error) {
	start := a.space.Bytes(keys.Name, []byte(name+Separator))
	err = tx.scan(start, keys.Successor(start), func(_, _ []byte) (bool, error) {
		found = true
		return false, nil
	})
	return found, err
}

// family returns the mailbox of a name, if there is one, and its inferiors, or a
// refusal if they cannot all be given names below to.
func (tx *tx) family(a *account, from, to string) ([]*mailbox, *pb.Result, error) {
	names := []string{from}
	start := a.space.Bytes(keys.Name, []byte(from+Separator))
	err := tx.scan(start, keys.Successor(start), func(key, _ []byte) (bool, error) {
		names = append(names, string(a.space.Rest(key)))
		return true, nil
	})
	if err != nil {
		return nil, nil, err
	}
	var family []*mailbox
	for _, name := range names {
		target := to + name[len(from):]
		if canon, ok := imapnum.MailboxName(target); !ok || canon != target {
			return nil, refuse(pb.Code_CODE_INVALID_NAME, "an inferior mailbox's new name would be too long"), nil
		}
		old, err := tx.mailboxByName(a, target)
		if err != nil {
			return nil, nil, err
		}
		if old != nil && !slices.Contains(names, target) {
			refusal, err := tx.taken(a, old, "an inferior mailbox's new name exists")
			return nil, refusal, err
		}
		m, err := tx.mailboxByName(a, name)
		if err != nil {
			return nil, nil, err
		}
		if m != nil {
			family = append(family, m)
		}
	}
	return family, nil, nil
}

// renameInbox moves INBOX's messages to a new mailbox (RFC 9051, 6.3.6).
func (tx *tx) renameInbox(a *account, inbox *mailbox, to string, seed uint32) (*pb.Result, error) {
	if a.rec.mailboxes >= maxMailboxes {
		return refuse(pb.Code_CODE_LIMIT, "too many mailboxes"), nil
	}
	if a.rec.lastUIDValidity == maxUIDValidity {
		return refuse(pb.Code_CODE_UIDS_EXHAUSTED, "no UIDVALIDITY left"), nil
	}
	use, copied, err := tx.metadataToCopy(a, inbox.id)
	if err != nil {
		return nil, err
	}
	if use.full() {
		return refuse(pb.Code_CODE_LIMIT, "no room to copy INBOX's annotations"), nil
	}
	if refusal := a.room(demand{mailboxes: 1}); refusal != nil {
		return refusal, nil
	}
	m := tx.newMailbox(a, to, seed, "")
	if err := tx.name(a, m); err != nil {
		return nil, err
	}
	// The rights on the messages stay as they are (RFC 4314, 4, RENAME).
	if err := tx.inheritACL(a, inbox, m); err != nil {
		return nil, err
	}
	if err := tx.copyMetadata(a, use, copied, m.id); err != nil {
		return nil, err
	}
	msgs, err := tx.messages(a, inbox, imapnum.SetOfRange(1, 1<<32-1))
	if err != nil {
		return nil, err
	}
	if _, err := tx.transfer(a, inbox, m, msgs, transferOptions{move: true, mask: maskOf(imapnum.AllRights)}); err != nil {
		return nil, err
	}
	return &pb.Result{Code: pb.Code_CODE_OK, ModSeq: uint64(a.take()), MailboxId: uint64(m.id), UidValidity: m.info.GetUidValidity()}, nil
}

func (tx *tx) subscribe(a *account, op *pb.SubscribeOp) (*pb.Result, error) {
	name, ok := imapnum.MailboxName(op.GetName())
	if !ok {
		return refuse(pb.Code_CODE_INVALID_NAME, "not a mailbox name"), nil
	}
	key := a.space.Bytes(keys.Subscribed, []byte(name))
	old, err := get(tx.b, key)
	if err != nil {
		return nil, err
	}
	res := &pb.Result{Code: pb.Code_CODE_OK}
	switch {
	case op.GetSubscribed() && old == nil:
		full, err := tx.subscriptionsFull(a)
		if err != nil {
			return nil, err
		}
		if full {
			return refuse(pb.Code_CODE_LIMIT, "too many subscriptions"), nil
		}
		err = tx.set(key, []byte{recordVersion})
		if err != nil {
			return nil, err
		}
	case !op.GetSubscribed() && old != nil:
		if err := tx.del(key); err != nil {
			return nil, err
		}
	default:
		return res, nil
	}
	a.list = true
	res.ModSeq = uint64(a.take())
	return res, nil
}

func (tx *tx) subscriptionsFull(a *account) (bool, error) {
	n := 0
	start, end := a.space.Kind(keys.Subscribed)
	err := tx.scan(start, end, func(_, _ []byte) (bool, error) {
		n++
		return n < maxSubscriptions, nil
	})
	return n >= maxSubscriptions, err
}
