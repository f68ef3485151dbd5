package raftfsm

import (
	"fmt"
	"strings"

	"github.com/quorumail/quorumail/proto/imapnum"
	pb "github.com/quorumail/quorumail/proto/quorumail/v1"
	"github.com/quorumail/quorumail/raftfsm/keys"
)

// Rights returns what an account may do with the mailbox; an empty actor, or the
// account's own name, is the owner.
func (m *Mailbox) Rights(actor string) (imapnum.Rights, error) { return m.a.RightsOn(m.id, actor) }

// RightsOn does so for a mailbox that exists, by its id.
func (a *Account) RightsOn(mailbox imapnum.MailboxID, actor string) (imapnum.Rights, error) {
	if actor == a.name {
		actor = ""
	}
	return readRights(a.v.snap, a.space, mailbox, actor)
}

// ACL returns the mailbox's access control list, without its owner.
func (m *Mailbox) ACL() (*pb.Acl, error) { return readACL(m.a.v.snap, m.a.space, m.id) }

// SharedBy returns the accounts that may share mailboxes with this one, ascending.
func (a *Account) SharedBy() ([]string, error) {
	var owners []string
	start, end := a.space.Kind(keys.SharedBy)
	err := scanKeys(a.v.snap, start, end, func(key []byte) (bool, error) {
		owners = append(owners, string(a.space.Rest(key)))
		return true, nil
	})
	return owners, err
}

// acls checks that each access control list is one of a mailbox that exists, and
// of the form that the state machine writes.
func (c *checker) acls() error {
	start, end := c.a.space.Kind(keys.ACL)
	err := scanKeys(c.a.v.snap, start, end, func(key []byte) (bool, error) {
		id, err := keys.ParseID(c.a.space.Rest(key))
		if err != nil {
			return false, err
		}
		m, err := c.a.MailboxByID(imapnum.MailboxID(id))
		if err != nil {
			return false, fmt.Errorf("access control list of mailbox %d: %w", id, err)
		}
		acl, err := m.ACL()
		if err != nil {
			return false, err
		}
		last := ""
		for _, e := range acl.GetEntries() {
			name, rights := e.GetIdentifier(), imapnum.Rights(e.GetRights())
			if !imapnum.ValidIdentifier(name) || name <= last || strings.TrimPrefix(name, "-") == c.a.name || rights == 0 || !rights.Valid() {
				return false, fmt.Errorf("%w: access control list of mailbox %d: %v", ErrInvariant, id, acl)
			}
			last = name
		}
		if n := len(acl.GetEntries()); n == 0 || n > maxACL {
			return false, fmt.Errorf("%w: access control list of mailbox %d has %d entries", ErrInvariant, id, n)
		}
		return true, nil
	})
	if err != nil {
		return err
	}
	owners, err := c.a.SharedBy()
	for _, owner := range owners {
		if canon, bad := imapnum.AccountName(owner); bad != nil || canon != owner || owner == c.a.name {
			return fmt.Errorf("%w: %q is noted to share mailboxes", ErrInvariant, owner)
		}
	}
	return err
}
