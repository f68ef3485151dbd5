package raftfsm

import (
	"bytes"
	"encoding/binary"
	"strings"

	"github.com/quorumail/quorumail/proto/imapnum"
	pb "github.com/quorumail/quorumail/proto/quorumail/v1"
	"github.com/quorumail/quorumail/raftfsm/keys"
)

// Scopes of the names of annotations (RFC 5464, 3.2).
const (
	privateScope = "/private"
	sharedScope  = "/shared"
)

// metadataRecord is an annotation as stored.
type metadataRecord struct {
	modSeq imapnum.ModSeq
	value  []byte
}

func (r *metadataRecord) encode() []byte {
	b := binary.AppendUvarint([]byte{recordVersion}, uint64(r.modSeq))
	return append(b, r.value...)
}

// decodeMetadata's value are b's own octets.
func decodeMetadata(b []byte) (metadataRecord, error) {
	d := decoder{b: b}
	d.version()
	r := metadataRecord{modSeq: imapnum.ModSeq(d.uvarint())}
	if d.bad {
		return r, errCorrupt
	}
	r.value = d.b
	return r, nil
}

// metadataUse is what an account's annotations take, and the account's modseq
// when one was last set or removed.
type metadataUse struct {
	entries, octets uint64
	modSeq          imapnum.ModSeq
}

func (u *metadataUse) encode() []byte {
	b := binary.AppendUvarint([]byte{recordVersion}, u.entries)
	b = binary.AppendUvarint(b, u.octets)
	return binary.AppendUvarint(b, uint64(u.modSeq))
}

func decodeMetadataUse(b []byte) (metadataUse, error) {
	if b == nil {
		return metadataUse{}, nil
	}
	d := decoder{b: b}
	d.version()
	u := metadataUse{entries: d.uvarint(), octets: d.uvarint(), modSeq: imapnum.ModSeq(d.uvarint())}
	return u, d.end()
}

// count adds an annotation, or takes it away (n = -1).
func (u *metadataUse) count(name string, value []byte, n int) {
	u.entries += uint64(n)
	u.octets += uint64(n) * uint64(len(name)+len(value))
}

func (u *metadataUse) full() bool { return u.entries > maxMetadata || u.octets > maxMetadataOctets }

func (tx *tx) metadataUse(a *account) (metadataUse, error) {
	value, err := get(tx.b, a.space.Key(keys.MetadataUse))
	if err != nil {
		return metadataUse{}, err
	}
	return decodeMetadataUse(value)
}

// changeMetadata notes that annotations have changed.
func (tx *tx) changeMetadata(a *account, use metadataUse) error {
	use.modSeq = a.take()
	a.metadata = true
	return tx.set(a.space.Key(keys.MetadataUse), use.encode())
}

// splitMetadata tells the scope of a name and what follows it.
func splitMetadata(mailbox imapnum.MailboxID, actor, name string) (keys.MetadataScope, string) {
	if rest, ok := strings.CutPrefix(name, sharedScope); ok {
		return keys.MetadataScope{Mailbox: mailbox, Shared: true}, rest
	}
	return keys.MetadataScope{Mailbox: mailbox, Actor: actor}, strings.TrimPrefix(name, privateScope)
}

// actorOf returns whose private annotations are meant: the owner's have no name in
// their keys.
func actorOf(account, actor string) string {
	if actor == account {
		return ""
	}
	return actor
}

// joinMetadata is the reverse of splitMetadata.
func joinMetadata(scope keys.MetadataScope, rest string) string {
	if scope.Shared {
		return sharedScope + rest
	}
	return privateScope + rest
}

// metadataChange is what an entry wants of one annotation.
type metadataChange struct {
	key      []byte
	scope    keys.MetadataScope
	name     string
	old, now []byte // values; nil: none
	// use is the mailbox whose special use this is; see specialUseEntry.
	use *mailbox
}

// setMetadata sets and removes annotations of a mailbox, all or none (RFC 5464,
// 4.3). actor is whose private ones are meant; empty: the account's owner.
func (tx *tx) setMetadata(a *account, actor string, op *pb.SetMetadataOp) (*pb.Result, error) {
	actor = actorOf(a.name, actor)
	changes, refusal, err := tx.metadataChanges(a, actor, op)
	if err != nil || refusal != nil {
		return refusal, err
	}
	use, err := tx.metadataUse(a)
	if err != nil {
		return nil, err
	}
	more := make(map[keys.MetadataScope]int)
	var scopes []keys.MetadataScope // in the order of the entry
	changed := false
	for i := range changes {
		c := &changes[i]
		if c.use != nil {
			if refusal, err := tx.checkUse(a, actor, c); err != nil || refusal != nil {
				return refusal, err
			}
			changed = changed || c.use.info.GetSpecialUse() != string(c.now)
		}
		if c.old != nil {
			use.count(c.name, c.old, -1)
			more[c.scope]--
		}
		if c.now != nil {
			use.count(c.name, c.now, 1)
			more[c.scope]++
		}
		scopes = append(scopes, c.scope)
		changed = changed || (c.old == nil) != (c.now == nil) || !bytes.Equal(c.old, c.now)
	}
	if !changed {
		return &pb.Result{Code: pb.Code_CODE_OK}, nil
	}
	if use.full() {
		return refuse(pb.Code_CODE_LIMIT, "too many annotations"), nil
	}
	for _, scope := range scopes {
		n, err := tx.metadataCount(a, scope)
		if err != nil {
			return nil, err
		}
		if more[scope] > 0 && n+more[scope] > maxMetadataScope {
			return refuse(pb.Code_CODE_LIMIT, "too many annotations of one mailbox"), nil
		}
		delete(more, scope)
	}
	modSeq := a.take()
	for _, c := range changes {
		if same := (c.old == nil) == (c.now == nil) && bytes.Equal(c.old, c.now); !same && c.scope.Mailbox != 0 {
			// RFC 7162, 3.2: a mailbox whose annotations change has another mod-sequence.
			m, err := tx.mailboxByID(a, c.scope.Mailbox)
			if err != nil {
				return nil, err
			}
			tx.touch(a, m)
		}
		if c.use != nil && c.use.info.GetSpecialUse() != string(c.now) {
			c.use.info.SpecialUse, c.use.dirty = string(c.now), true
			a.changed[c.use.id], a.list = true, true
		}
		switch {
		case c.now == nil && c.old != nil:
			err = tx.del(c.key)
		case c.now != nil && (c.old == nil || !bytes.Equal(c.old, c.now)):
			rec := metadataRecord{modSeq: modSeq, value: c.now}
			err = tx.set(c.key, rec.encode())
		}
		if err != nil {
			return nil, err
		}
	}
	return &pb.Result{Code: pb.Code_CODE_OK, ModSeq: uint64(modSeq)}, tx.changeMetadata(a, use)
}

// metadataChanges returns what is to be done with each annotation, each once:
// of several values for one the last counts.
func (tx *tx) metadataChanges(a *account, actor string, op *pb.SetMetadataOp) ([]metadataChange, *pb.Result, error) {
	var m *mailbox
	mailbox := imapnum.MailboxID(0)
	if len(actor) > imapnum.MaxAccountName {
		return nil, refuse(pb.Code_CODE_INVALID, "not an account name"), nil
	}
	if op.GetMailbox() != "" {
		name, ok := imapnum.MailboxName(op.GetMailbox())
		if !ok {
			return nil, refuse(pb.Code_CODE_NO_MAILBOX, "no such mailbox"), nil
		}
		var err error
		if m, err = tx.mailboxByName(a, name); err != nil {
			return nil, nil, err
		}
		if refusal, err := tx.may(a, m, imapnum.RightLookup); err != nil || refusal != nil {
			return nil, refusal, err
		}
		rights, err := tx.rights(a, m)
		if err != nil {
			return nil, nil, err
		}
		if !rights.MayAnnotate() {
			return nil, noPermission(), nil
		}
		mailbox = m.id
	} else if a.actor != "" {
		return nil, noPermission(), nil
	}
	if len(op.GetEntries()) > maxMetadataSet {
		return nil, refuse(pb.Code_CODE_LIMIT, "too many annotations at once"), nil
	}
	at := make(map[string]int)
	var changes []metadataChange
	for _, e := range op.GetEntries() {
		canon, ok := imapnum.MetadataName(e.GetName())
		if !ok || canon != e.GetName() || len(canon) > imapnum.MaxMetadataName || len(e.GetValue()) > imapnum.MaxMetadataValue {
			return nil, refuse(pb.Code_CODE_INVALID, "malformed annotation"), nil
		}
		c := metadataChange{name: canon}
		var rest string
		c.scope, rest = splitMetadata(mailbox, actor, canon)
		if mailbox == 0 && c.scope.Shared {
			return nil, refuse(pb.Code_CODE_INVALID, "the server's shared annotations cannot be set"), nil
		}
		c.key = a.space.Metadata(c.scope, rest)
		if e.Value != nil {
			c.now = append([]byte{}, e.GetValue()...)
		}
		if canon == specialUseEntry {
			c.use = m
		}
		if i, again := at[canon]; again {
			changes[i].now = c.now
			continue
		}
		value, err := get(tx.b, c.key)
		if err != nil {
			return nil, nil, err
		}
		if value != nil {
			rec, err := decodeMetadata(value)
			if err != nil {
				return nil, nil, err
			}
			c.old = append([]byte{}, rec.value...)
		}
		at[canon] = len(changes)
		changes = append(changes, c)
	}
	return changes, nil, nil
}

// metadataCount returns how many annotations a scope has, without reading them.
func (tx *tx) metadataCount(a *account, scope keys.MetadataScope) (int, error) {
	start := a.space.Metadata(scope, "/")
	n := 0
	err := scanKeys(tx.b, start, keys.Successor(start), func([]byte) (bool, error) {
		n++
		return n <= maxMetadataScope, nil
	})
	return n, err
}

// dropMetadata removes the annotations of a mailbox that is deleted (RFC 5464,
// 4.1). They are few enough to go at once.
func (tx *tx) dropMetadata(a *account, mailbox imapnum.MailboxID) error {
	use, err := tx.metadataUse(a)
	if err != nil || use.entries == 0 {
		return err
	}
	before := use.entries
	start, end := a.space.Mailbox(keys.Metadata, mailbox)
	err = tx.scan(start, end, func(key, value []byte) (bool, error) {
		scope, rest, err := keys.ParseMetadata(a.space.Rest(key))
		if err != nil {
			return false, err
		}
		rec, err := decodeMetadata(value)
		use.count(joinMetadata(scope, rest), rec.value, -1)
		return true, err
	})
	if err != nil || use.entries == before {
		return err
	}
	if err := tx.delRange(start, end); err != nil {
		return err
	}
	return tx.changeMetadata(a, use)
}

// metadataToCopy returns a mailbox's annotations, and what all take once they
// are there twice.
func (tx *tx) metadataToCopy(a *account, mailbox imapnum.MailboxID) (metadataUse, []metadataChange, error) {
	use, err := tx.metadataUse(a)
	if err != nil {
		return use, nil, err
	}
	var list []metadataChange
	start, end := a.space.Mailbox(keys.Metadata, mailbox)
	err = tx.scan(start, end, func(key, value []byte) (bool, error) {
		scope, rest, err := keys.ParseMetadata(a.space.Rest(key))
		if err != nil {
			return false, err
		}
		rec, err := decodeMetadata(value)
		if joinMetadata(scope, rest) == specialUseEntry && scope.Actor == "" {
			return true, err // INBOX keeps it: two mailboxes cannot have the same
		}
		c := metadataChange{scope: scope, name: joinMetadata(scope, rest), now: append([]byte{}, rec.value...)}
		use.count(c.name, c.now, 1)
		list = append(list, c)
		return true, err
	})
	return use, list, err
}

// copyMetadata gives a new mailbox annotations: renaming INBOX leaves them there
// and copies them (RFC 5464, 4.1).
func (tx *tx) copyMetadata(a *account, use metadataUse, list []metadataChange, to imapnum.MailboxID) error {
	if len(list) == 0 {
		return nil
	}
	for _, c := range list {
		_, rest := splitMetadata(to, "", c.name)
		c.scope.Mailbox = to
		rec := metadataRecord{modSeq: a.take(), value: c.now}
		if err := tx.set(a.space.Metadata(c.scope, rest), rec.encode()); err != nil {
			return err
		}
	}
	return tx.changeMetadata(a, use)
}

// specialUseEntry is tied to the mailbox's special use (RFC 6154, 4): to set the
// one is to set the other. Mailboxes that were given theirs before there were
// annotations have no entry until it is set anew.
const specialUseEntry = privateScope + "/specialuse"

// checkUse spells a special use, and refuses one that another mailbox has or that
// there is not. The special use is the owner's.
func (tx *tx) checkUse(a *account, actor string, c *metadataChange) (*pb.Result, error) {
	use, ok := canonUse(string(c.now))
	if !ok || actor != "" {
		return refuse(pb.Code_CODE_USE_ATTR, "not a special use that the mailbox can have"), nil
	}
	if c.now = []byte(use); use == "" {
		c.now = nil
	}
	if use == "" || use == c.use.info.GetSpecialUse() {
		return nil, nil
	}
	taken, err := tx.useTaken(a, use)
	if taken {
		return refuse(pb.Code_CODE_USE_ATTR, "another mailbox has this special use"), err
	}
	return nil, err
}

// annotateUse gives a new mailbox the annotation of its special use.
func (tx *tx) annotateUse(a *account, m *mailbox, use metadataUse) error {
	scope, rest := splitMetadata(m.id, "", specialUseEntry)
	rec := metadataRecord{modSeq: a.take(), value: []byte(m.info.GetSpecialUse())}
	if err := tx.set(a.space.Metadata(scope, rest), rec.encode()); err != nil {
		return err
	}
	return tx.changeMetadata(a, use)
}
