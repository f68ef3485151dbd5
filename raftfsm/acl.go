package raftfsm

import (
	"slices"
	"strings"

	"github.com/cockroachdb/pebble/v2"
	"google.golang.org/protobuf/proto"

	"github.com/quorumail/quorumail/proto/imapnum"
	pb "github.com/quorumail/quorumail/proto/quorumail/v1"
	"github.com/quorumail/quorumail/raftfsm/keys"
)

// readACL returns the access control list of a mailbox; one without entries if
// there is none.
func readACL(r pebble.Reader, space keys.Space, mailbox imapnum.MailboxID) (*pb.Acl, error) {
	acl := &pb.Acl{}
	value, err := get(r, space.ID(keys.ACL, uint64(mailbox)))
	if err == nil && proto.Unmarshal(value, acl) != nil {
		err = errCorrupt
	}
	return acl, err
}

// rightsOf returns the rights that a list gives to an account that is not the
// owner: those of its own entry and of "anyone", less what the negative entries
// of both take away (RFC 4314, 2).
func rightsOf(acl *pb.Acl, actor string) imapnum.Rights {
	var given, taken imapnum.Rights
	for _, e := range acl.GetEntries() {
		switch e.GetIdentifier() {
		case actor, imapnum.AnyoneID:
			given |= imapnum.Rights(e.GetRights())
		case "-" + actor, "-" + imapnum.AnyoneID:
			taken |= imapnum.Rights(e.GetRights())
		}
	}
	return given &^ taken
}

// readRights returns the rights on a mailbox of whom a command is for; an empty
// actor is the owner.
func readRights(r pebble.Reader, space keys.Space, mailbox imapnum.MailboxID, actor string) (imapnum.Rights, error) {
	if actor == "" {
		return imapnum.AllRights, nil
	}
	acl, err := readACL(r, space, mailbox)
	return rightsOf(acl, actor), err
}

// rights returns those of the entry's actor on a mailbox.
func (tx *tx) rights(a *account, m *mailbox) (imapnum.Rights, error) {
	return readRights(tx.b, a.space, m.id, a.actor)
}

// noMailbox is the refusal for a mailbox that does not exist, or that the actor
// may not know of: nothing may tell one from the other (RFC 4314, 6).
func noMailbox() *pb.Result { return refuse(pb.Code_CODE_NO_MAILBOX, "no such mailbox") }

// noPermission is the refusal for a mailbox that the actor may know of.
func noPermission() *pb.Result {
	return refuse(pb.Code_CODE_NO_PERMISSION, "you lack a right for this")
}

// may refuses what the entry's actor has not the rights for on a mailbox. nil is
// a mailbox that does not exist.
func (tx *tx) may(a *account, m *mailbox, need imapnum.Rights) (*pb.Result, error) {
	if m == nil {
		return noMailbox(), nil
	}
	have, err := tx.rights(a, m)
	switch {
	case err != nil:
		return nil, err
	case have.Has(need):
		return nil, nil
	case have.Has(imapnum.RightLookup):
		return noPermission(), nil
	}
	return noMailbox(), nil
}

// superior returns the nearest mailbox above a name, nil if there is none.
func (tx *tx) superior(a *account, name string) (*mailbox, error) {
	for i := strings.LastIndex(name, Separator); i > 0; i = strings.LastIndex(name, Separator) {
		name = name[:i]
		if m, err := tx.mailboxByName(a, name); err != nil || m != nil {
			return m, err
		}
	}
	return nil, nil
}

// mayCreate refuses a new name to an actor that has not the right "k" on the
// nearest mailbox above it (RFC 4314, 4). Whether there is one is not told.
func (tx *tx) mayCreate(a *account, name string) (*pb.Result, error) {
	if a.actor == "" {
		return nil, nil
	}
	parent, err := tx.superior(a, name)
	if err != nil || parent == nil {
		return noPermission(), err
	}
	have, err := tx.rights(a, parent)
	if err != nil || have.Has(imapnum.RightCreate) {
		return nil, err
	}
	return noPermission(), nil
}

// mayStage refuses bodies from an actor that could not append them to any mailbox.
func (tx *tx) mayStage(a *account) (*pb.Result, error) {
	if a.actor == "" {
		return nil, nil
	}
	refusal := noMailbox()
	start, end := a.space.Kind(keys.ACL)
	err := tx.scan(start, end, func(_, value []byte) (bool, error) {
		acl := &pb.Acl{}
		if proto.Unmarshal(value, acl) != nil {
			return false, errCorrupt
		}
		if rightsOf(acl, a.actor).Has(imapnum.RightInsert) {
			refusal = nil
		}
		return refusal != nil, nil
	})
	return refusal, err
}

// taken refuses a name that a mailbox has. That there is one is not told to an
// actor that may not look it up.
func (tx *tx) taken(a *account, m *mailbox, detail string) (*pb.Result, error) {
	have, err := tx.rights(a, m)
	if err != nil || have.Has(imapnum.RightLookup) {
		return refuse(pb.Code_CODE_MAILBOX_EXISTS, detail), err
	}
	return noPermission(), nil
}

// inheritACL gives a new mailbox the list of another (RFC 4314, 4, CREATE).
func (tx *tx) inheritACL(a *account, from, to *mailbox) error {
	if from == nil {
		return nil
	}
	value, err := get(tx.b, a.space.ID(keys.ACL, uint64(from.id)))
	if err != nil || value == nil {
		return err
	}
	return tx.set(a.space.ID(keys.ACL, uint64(to.id)), value)
}

// setACL changes the rights of one identifier (RFC 4314, 3.1 and 3.2). The
// mailbox's HIGHESTMODSEQ stays: its messages have not changed.
func (tx *tx) setACL(a *account, op *pb.SetACLOp) (*pb.Result, error) {
	id, rights := op.GetIdentifier(), imapnum.Rights(op.GetRights())
	if !imapnum.ValidIdentifier(id) || !rights.Valid() || op.GetMode() < pb.SetACLOp_MODE_REPLACE || op.GetMode() > pb.SetACLOp_MODE_REMOVE {
		return refuse(pb.Code_CODE_INVALID, "malformed change of an access control list"), nil
	}
	m, err := tx.namedMailbox(a, op.GetMailbox())
	if err != nil {
		return nil, err
	}
	if refusal, err := tx.may(a, m, imapnum.RightAdmin); err != nil || refusal != nil {
		return refusal, err
	}
	ok := &pb.Result{Code: pb.Code_CODE_OK, MailboxId: uint64(m.id)}
	if strings.TrimPrefix(id, "-") == a.name {
		if id == a.name && changeRights(op.GetMode(), imapnum.AllRights, rights) == imapnum.AllRights {
			return ok, nil
		}
		return refuse(pb.Code_CODE_INVALID, "the owner of a mailbox always has all rights"), nil
	}
	acl, err := readACL(tx.b, a.space, m.id)
	if err != nil {
		return nil, err
	}
	at, found := slices.BinarySearchFunc(acl.Entries, id, func(e *pb.AclEntry, id string) int {
		return strings.Compare(e.GetIdentifier(), id)
	})
	var old imapnum.Rights
	if found {
		old = imapnum.Rights(acl.Entries[at].GetRights())
	}
	now := changeRights(op.GetMode(), old, rights)
	switch {
	case now == old:
		return ok, nil
	case now == 0:
		acl.Entries = slices.Delete(acl.Entries, at, at+1)
	case found:
		acl.Entries[at].Rights = uint32(now)
	case len(acl.Entries) >= maxACL:
		return refuse(pb.Code_CODE_LIMIT, "too many identifiers in the access control list"), nil
	default:
		acl.Entries = slices.Insert(acl.Entries, at, &pb.AclEntry{Identifier: id, Rights: uint32(now)})
	}
	ok.ModSeq = uint64(a.take())
	a.changed[m.id], a.list = true, true
	key := a.space.ID(keys.ACL, uint64(m.id))
	if len(acl.Entries) == 0 {
		return ok, tx.del(key)
	}
	value, err := marshal(acl)
	if err != nil {
		return nil, err
	}
	return ok, tx.set(key, value)
}

// changeRights returns what SETACL makes of rights.
func changeRights(mode pb.SetACLOp_Mode, old, rights imapnum.Rights) imapnum.Rights {
	switch mode {
	case pb.SetACLOp_MODE_ADD:
		return old | rights
	case pb.SetACLOp_MODE_REMOVE:
		return old &^ rights
	}
	return rights
}

// namedMailbox opens the mailbox of a name that need not be in canonical form;
// nil if there is none.
func (tx *tx) namedMailbox(a *account, name string) (*mailbox, error) {
	canon, ok := imapnum.MailboxName(name)
	if !ok {
		return nil, nil
	}
	return tx.mailboxByName(a, canon)
}

// noteShare notes that another account shares mailboxes with this one.
func (tx *tx) noteShare(a *account, op *pb.NoteShareOp) (*pb.Result, error) {
	owner, err := imapnum.AccountName(op.GetOwner())
	if err != nil || owner != op.GetOwner() || owner == a.name {
		return refuse(pb.Code_CODE_INVALID, "not another account's name"), nil
	}
	key := a.space.Bytes(keys.SharedBy, []byte(owner))
	old, err := get(tx.b, key)
	if err != nil {
		return nil, err
	}
	res := &pb.Result{Code: pb.Code_CODE_OK}
	switch {
	case op.GetShared() == (old != nil):
		return res, nil
	case op.GetShared():
		n := 0
		start, end := a.space.Kind(keys.SharedBy)
		err := scanKeys(tx.b, start, end, func([]byte) (bool, error) {
			n++
			return n < maxSharedBy, nil
		})
		if err != nil {
			return nil, err
		}
		if n >= maxSharedBy {
			return refuse(pb.Code_CODE_LIMIT, "too many accounts share mailboxes with this one"), nil
		}
		if err := tx.set(key, []byte{recordVersion}); err != nil {
			return nil, err
		}
	default:
		if err := tx.del(key); err != nil {
			return nil, err
		}
	}
	a.list = true
	res.ModSeq = uint64(a.take())
	return res, nil
}

// flagMask is which flags an actor may change (RFC 4314, 4): \Seen with "s",
// \Deleted with "t", all others, keywords too, with "w".
type flagMask struct {
	system imapnum.SystemFlags
	words  bool
}

func maskOf(r imapnum.Rights) flagMask {
	var m flagMask
	if r.Has(imapnum.RightSeen) {
		m.system |= imapnum.FlagSeen
	}
	if r.Has(imapnum.RightDeleted) {
		m.system |= imapnum.FlagDeleted
	}
	if r.Has(imapnum.RightWrite) {
		m.system |= imapnum.FlagAnswered | imapnum.FlagFlagged | imapnum.FlagDraft
		m.words = true
	}
	return m
}

// none reports whether no flag may be changed.
func (m flagMask) none() bool { return m == flagMask{} }

// allowed returns those of the names of flags that may be changed. What is no
// flag at all counts as a keyword.
func (m flagMask) allowed(names []string) []string {
	return slices.DeleteFunc(slices.Clone(names), func(name string) bool {
		if bit, ok := imapnum.ParseSystemFlag(name); ok {
			return m.system&bit == 0
		}
		return !m.words
	})
}

// keep returns what a message's flags become: those that may not be changed stay
// as they are.
func (m flagMask) keep(rec *messageRecord, system imapnum.SystemFlags, words []uint32) (imapnum.SystemFlags, []uint32) {
	if !m.words {
		words = rec.keywords
	}
	return system&m.system | rec.system&^m.system, words
}

// ownersOnly reports whether an operation is for the owner alone.
func ownersOnly(e *pb.Entry) bool {
	switch e.GetOp().(type) {
	case *pb.Entry_CreateMailbox, *pb.Entry_DeleteMailbox, *pb.Entry_RenameMailbox, *pb.Entry_Append, *pb.Entry_Store, *pb.Entry_Expunge,
		*pb.Entry_Copy, *pb.Entry_Replace, *pb.Entry_PutChunk, *pb.Entry_SetMetadata, *pb.Entry_SetAcl, *pb.Entry_ClaimRecent:
		return false
	}
	return true
}
