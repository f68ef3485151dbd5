package raftfsm

import (
	"fmt"
	"strings"

	"github.com/quorumail/quorumail/proto/imapnum"
	pb "github.com/quorumail/quorumail/proto/quorumail/v1"
	"github.com/quorumail/quorumail/raftfsm/keys"
)

// MetadataModSeq returns the account's modseq when an annotation was last set or
// removed, 0 if none ever was.
func (a *Account) MetadataModSeq() (imapnum.ModSeq, error) {
	value, err := get(a.v.snap, a.space.Key(keys.MetadataUse))
	if err != nil {
		return 0, err
	}
	use, err := decodeMetadataUse(value)
	return use.modSeq, err
}

// Metadata calls fn with a mailbox's annotation of a name, which is in lower
// case, and with those up to depth levels below it (RFC 5464, 4.2.2), ascending,
// until it returns false or an error. The mailbox 0 is the account itself. actor
// is whose private annotations are meant; empty: the owner's. The value is only
// good during the call.
func (a *Account) Metadata(mailbox imapnum.MailboxID, actor, name string, depth uint32, fn func(*pb.MetadataEntry) (bool, error)) error {
	scope, rest := splitMetadata(mailbox, actorOf(a.name, actor), name)
	if len(scope.Actor) > imapnum.MaxAccountName {
		return nil // its length does not fit into a key
	}
	self := a.space.Metadata(scope, rest)
	value, err := get(a.v.snap, self)
	if err != nil {
		return err
	}
	if value != nil {
		e, err := metadataEntry(name, value)
		if err != nil {
			return err
		}
		if more, err := fn(e); err != nil || !more {
			return err
		}
	}
	if depth == 0 {
		return nil
	}
	start := append(self, '/')
	return scan(a.v.snap, start, keys.Successor(start), func(key, value []byte) (bool, error) {
		scope, rest, err := keys.ParseMetadata(a.space.Rest(key))
		if err != nil {
			return false, err
		}
		full := joinMetadata(scope, rest)
		if uint32(strings.Count(full[len(name)+1:], "/")) >= depth {
			return true, nil
		}
		e, err := metadataEntry(full, value)
		if err != nil {
			return false, err
		}
		return fn(e)
	})
}

// AllMetadata calls fn with all annotations of the account and of all mailboxes,
// ascending by mailbox, that are shared or actor's, until it returns false or an
// error. The value is only good during the call.
func (a *Account) AllMetadata(actor string, fn func(imapnum.MailboxID, *pb.MetadataEntry) (bool, error)) error {
	actor = actorOf(a.name, actor)
	start, end := a.space.Kind(keys.Metadata)
	return scan(a.v.snap, start, end, func(key, value []byte) (bool, error) {
		scope, rest, err := keys.ParseMetadata(a.space.Rest(key))
		if err != nil {
			return false, err
		}
		if !scope.Shared && scope.Actor != actor {
			return true, nil
		}
		e, err := metadataEntry(joinMetadata(scope, rest), value)
		if err != nil {
			return false, err
		}
		return fn(scope.Mailbox, e)
	})
}

func metadataEntry(name string, value []byte) (*pb.MetadataEntry, error) {
	rec, err := decodeMetadata(value)
	if err != nil {
		return nil, err
	}
	e := &pb.MetadataEntry{Name: name, Value: rec.value, ModSeq: uint64(rec.modSeq)}
	if e.Value == nil {
		e.Value = []byte{} // nil would be NIL
	}
	return e, nil
}

// metadata checks that each annotation is one of a mailbox that exists, and that
// what they take is counted right.
func (c *checker) metadata() error {
	value, err := get(c.a.v.snap, c.a.space.Key(keys.MetadataUse))
	if err != nil {
		return err
	}
	use, err := decodeMetadataUse(value)
	if err != nil {
		return err
	}
	sum := metadataUse{modSeq: use.modSeq}
	start, end := c.a.space.Kind(keys.Metadata)
	err = scan(c.a.v.snap, start, end, func(key, value []byte) (bool, error) {
		scope, rest, err := keys.ParseMetadata(c.a.space.Rest(key))
		if err != nil {
			return false, err
		}
		rec, err := decodeMetadata(value)
		if err != nil {
			return false, err
		}
		name := joinMetadata(scope, rest)
		sum.count(name, rec.value, 1)
		if canon, ok := imapnum.MetadataName(name); !ok || canon != name || rec.modSeq == 0 || rec.modSeq > use.modSeq {
			return false, fmt.Errorf("%w: annotation %q of mailbox %d at %d, the last at %d", ErrInvariant, name, scope.Mailbox, rec.modSeq, use.modSeq)
		}
		if scope.Mailbox == 0 {
			return true, nil
		}
		m, err := c.a.MailboxByID(scope.Mailbox)
		if err == nil && name == specialUseEntry && scope.Actor == "" && m.info.GetSpecialUse() != string(rec.value) {
			err = fmt.Errorf("%w: mailbox %d has the special use %q, annotated as %q", ErrInvariant, scope.Mailbox, m.info.GetSpecialUse(), rec.value)
		}
		return true, err
	})
	if err != nil {
		return err
	}
	if sum != use || use.modSeq > c.a.rec.modSeq {
		return fmt.Errorf("%w: annotations: %+v, counted %+v, account's clock %d", ErrInvariant, sum, use, c.a.rec.modSeq)
	}
	return nil
}
