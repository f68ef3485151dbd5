package session

import (
	"context"
	"strings"

	"github.com/xdg-go/stringprep"

	"github.com/quorumail/quorumail/imapfront/wire"
	"github.com/quorumail/quorumail/node/client"
	"github.com/quorumail/quorumail/proto/imapnum"
	pb "github.com/quorumail/quorumail/proto/quorumail/v1"
)

// Access control lists (RFC 4314). An identifier is the name of an account,
// "anyone", or either with "-" before it for rights that are taken away. It need
// not be known whether there is such an account, and it is not told.

// identifier prepares an identifier as the client spells it (RFC 4314, 3). It
// reports false for what is none.
func identifier(s string) (string, bool) {
	prepared, err := stringprep.SASLprep.Prepare(s)
	if err != nil {
		return "", false
	}
	name, negative := strings.CutPrefix(prepared, "-")
	name, err = imapnum.AccountName(name)
	if err != nil {
		return "", false
	}
	if negative {
		name = "-" + name
	}
	return name, true
}

// badIdentifier is the answer to what is none (RFC 4314, 3).
func (c *Conn) badIdentifier() error { return c.bad("", "not an identifier") }

// setACL is SETACL (RFC 4314, 3.1).
func (c *Conn) setACL(ctx context.Context, cmd wire.SetACL) error {
	mode := map[byte]pb.SetACLOp_Mode{0: pb.SetACLOp_MODE_REPLACE, '+': pb.SetACLOp_MODE_ADD, '-': pb.SetACLOp_MODE_REMOVE}[cmd.Op]
	return c.changeACL(ctx, "SETACL", cmd.Mailbox, cmd.Identifier, mode, cmd.Rights)
}

// deleteACL is DELETEACL (RFC 4314, 3.2).
func (c *Conn) deleteACL(ctx context.Context, cmd wire.DeleteACL) error {
	return c.changeACL(ctx, "DELETEACL", cmd.Mailbox, cmd.Identifier, pb.SetACLOp_MODE_REPLACE, 0)
}

func (c *Conn) changeACL(ctx context.Context, what, mailbox, spelled string, mode pb.SetACLOp_Mode, rights imapnum.Rights) error {
	id, ok := identifier(spelled)
	if !ok {
		return c.badIdentifier()
	}
	at := c.at(mailbox)
	grantee := c.grantee(at, id, mode, rights)
	if grantee != nil {
		// It comes before the grant, so that none is without; a note without a grant
		// does no harm. Who may not grant rights cannot leave notes either.
		_, err := c.readACL(ctx, at)
		if err == nil {
			err = c.note(ctx, grantee, at.store.Account(), true)
		}
		if err != nil {
			return c.fail(what, err)
		}
	}
	res, err := c.change(ctx, at.store, what, &pb.Entry{Op: &pb.Entry_SetAcl{SetAcl: &pb.SetACLOp{
		Mailbox: at.name, Identifier: id, Mode: mode, Rights: uint32(rights),
	}}})
	if res == nil {
		return err
	}
	if grantee != nil {
		// A LIST may have found nothing yet and forgotten it.
		if err := c.note(ctx, grantee, at.store.Account(), true); err != nil {
			c.log.Info("share not noted", "account", id, "error", err)
		}
	}
	return c.ok("", what+" done")
}

// grantee returns storage of the account that is granted rights on a mailbox, in
// another shard perhaps, where it is to be noted that this owner shares mailboxes
// with it; nil if none is.
func (c *Conn) grantee(at place, id string, mode pb.SetACLOp_Mode, rights imapnum.Rights) Store {
	if mode == pb.SetACLOp_MODE_REMOVE || rights == 0 || id == imapnum.AnyoneID || strings.HasPrefix(id, "-") || id == at.store.Account() {
		return nil
	}
	return c.cfg.Storage(id, "")
}

// readACL reads an access control list, for which "a" is needed.
func (c *Conn) readACL(ctx context.Context, at place) (*pb.GetAclResponse, error) {
	return aclWith(ctx, at, imapnum.RightAdmin)
}

// aclWith reads what is told of a mailbox's access control list to whom has a
// right: else the error is client.ErrNoPermission, or client.ErrNoMailbox for whom
// may not know that there is one, or another of storage.
func aclWith(ctx context.Context, at place, need imapnum.Rights) (*pb.GetAclResponse, error) {
	resp, err := at.store.GetAcl(ctx, at.name)
	if err != nil {
		return nil, err
	}
	have := imapnum.Rights(resp.GetInfo().GetRights())
	switch {
	case have.Has(need):
		return resp, nil
	case have.Has(imapnum.RightLookup):
		return nil, client.ErrNoPermission
	}
	return nil, client.ErrNoMailbox
}

// getACL is GETACL (RFC 4314, 3.3). The owner comes first.
func (c *Conn) getACL(ctx context.Context, cmd wire.GetACL) error {
	at := c.at(cmd.Mailbox)
	resp, err := c.readACL(ctx, at)
	if err != nil {
		return c.fail("GETACL", err)
	}
	list := []wire.ACLEntry{{Identifier: at.store.Account(), Rights: imapnum.AllRights}}
	for _, e := range resp.GetAcl().GetEntries() {
		list = append(list, wire.ACLEntry{Identifier: e.GetIdentifier(), Rights: imapnum.Rights(e.GetRights())})
	}
	c.w.ACL(at.shown(resp.GetInfo().GetName()), list)
	return c.ok("", "GETACL done")
}

// listRights is LISTRIGHTS (RFC 4314, 3.4): the owner has all rights, and anyone
// else can be granted each by itself. The identifier is told as it was spelled.
func (c *Conn) listRights(ctx context.Context, cmd wire.ListRights) error {
	id, ok := identifier(cmd.Identifier)
	if !ok {
		return c.badIdentifier()
	}
	at := c.at(cmd.Mailbox)
	resp, err := c.readACL(ctx, at)
	if err != nil {
		return c.fail("LISTRIGHTS", err)
	}
	var required imapnum.Rights
	owner := at.store.Account()
	if id == owner {
		required = imapnum.AllRights
	}
	c.w.ListRights(at.shown(resp.GetInfo().GetName()), cmd.Identifier, required, id != owner && id != "-"+owner)
	return c.ok("", "LISTRIGHTS done")
}

// myRights is MYRIGHTS (RFC 4314, 3.5).
func (c *Conn) myRights(ctx context.Context, cmd wire.MyRights) error {
	at := c.at(cmd.Mailbox)
	resp, err := at.store.GetAcl(ctx, at.name)
	if err != nil {
		return c.fail("MYRIGHTS", err)
	}
	c.w.MyRights(at.shown(resp.GetInfo().GetName()), imapnum.Rights(resp.GetInfo().GetRights()))
	return c.ok("", "MYRIGHTS done")
}

// rightsOn returns what a connection may do with a mailbox that it is told of by
// the name that it has there: with its own, everything.
func rightsOn(info *pb.MailboxInfo) imapnum.Rights {
	if !strings.HasPrefix(info.GetName(), othersPrefix) {
		return imapnum.AllRights
	}
	return imapnum.Rights(info.GetRights())
}

// takeRights notes the rights that storage has told of the selected mailbox, and
// reports whether they are others than before.
func (b *mailbox) takeRights(at place, info *pb.MailboxInfo) bool {
	before := b.rights
	if b.rights = imapnum.AllRights; at.owner != "" {
		b.rights = imapnum.Rights(info.GetRights())
	}
	return b.rights != before
}

// mayWrite reports whether a mailbox is read-write to whom has rights: it may be
// changed in any way (RFC 4314, 5.2; all flags are shared).
func mayWrite(r imapnum.Rights) bool {
	const write = imapnum.RightInsert | imapnum.RightExpunge | imapnum.RightSeen | imapnum.RightWrite | imapnum.RightDeleted
	return r&write != 0
}

// permanentFlags are the flags that may be changed (RFC 4314, 5.1.1).
func (b *mailbox) permanentFlags() []string {
	if b.readOnly {
		return nil
	}
	var flags []string
	write := b.rights.Has(imapnum.RightWrite)
	if write {
		flags = append(flags, `\Answered`, `\Flagged`)
	}
	if b.rights.Has(imapnum.RightDeleted) {
		flags = append(flags, `\Deleted`)
	}
	if b.rights.Has(imapnum.RightSeen) {
		flags = append(flags, `\Seen`)
	}
	if write {
		flags = append(append(flags, `\Draft`), b.keywords...)
		if len(b.keywords) < imapnum.MaxKeywords {
			flags = append(flags, `\*`)
		}
	}
	return flags
}
