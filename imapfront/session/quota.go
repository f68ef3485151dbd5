package session

import (
	"context"
	"errors"

	"github.com/quorumail/quorumail/imapfront/wire"
	"github.com/quorumail/quorumail/node/client"
	"github.com/quorumail/quorumail/proto/imapnum"
	pb "github.com/quorumail/quorumail/proto/quorumail/v1"
)

// Quota (RFC 9208). Each account is one quota root, of the account's name. Storage
// keeps to the limits; here they are told, and set by administrators.

// getQuota is GETQUOTA (RFC 9208, 4.1.1).
func (c *Conn) getQuota(ctx context.Context, cmd wire.GetQuota) error {
	store, refused := c.quotaRoot(cmd.Root)
	if store == nil {
		return refused()
	}
	quota, err := readQuota(ctx, store)
	if err != nil {
		return c.quotaFailed("GETQUOTA", store, err)
	}
	c.w.Quota(store.Account(), quota)
	return c.ok("", "GETQUOTA done")
}

// quotaRoot returns storage of the account that a quota root is; nil and how to
// answer if this connection is not to know it. Who may not know a root is not
// told whether it exists (RFC 9208, 8).
func (c *Conn) quotaRoot(root string) (Store, func() error) {
	account, err := imapnum.AccountName(root)
	switch {
	case err == nil && account == c.store.Account():
		return c.store, nil
	case !c.isAdmin():
		return nil, func() error { return c.no("NOPERM", "not your quota root") }
	case err != nil:
		return nil, c.noQuotaRoot
	}
	return c.cfg.Storage(account, ""), nil
}

func (c *Conn) noQuotaRoot() error { return c.no("NONEXISTENT", "no such quota root") }

// isAdmin reports whether the connection's user is an administrator.
func (c *Conn) isAdmin() bool { return c.cfg.Admins[c.store.Account()] }

// quotaFailed answers an error of a quota root's account. That another's account
// is gone does not end this connection.
func (c *Conn) quotaFailed(what string, store Store, err error) error {
	if errors.Is(err, client.ErrNoAccount) && store.Account() != c.store.Account() {
		return c.noQuotaRoot()
	}
	return c.fail(what, err)
}

// readQuota returns the limits of a quota root and how much of them is used.
// Resources without a limit are not named (RFC 9208, 4.2.1); limits of the system
// are limits too (3.2).
func readQuota(ctx context.Context, store Store) ([]wire.Quota, error) {
	a, err := store.GetAccount(ctx)
	if err != nil {
		return nil, err
	}
	q := a.GetQuota()
	l := client.QuotaLimits(q)
	var list []wire.Quota
	add := func(resource string, usage uint64, limit *uint64) {
		if limit != nil {
			list = append(list, wire.Quota{Resource: resource, Usage: usage, Limit: *limit})
		}
	}
	add("STORAGE", (q.GetOctets()+quotaUnit-1)/quotaUnit, l.Storage)
	add("MESSAGE", q.GetMessages(), l.Messages)
	add("MAILBOX", q.GetMailboxes(), l.Mailboxes)
	return list, nil
}

// quotaUnit is the unit of STORAGE in octets (RFC 9208, 5.1).
const quotaUnit = 1024

// getQuotaRoot is GETQUOTAROOT (RFC 9208, 4.1.2): a mailbox, also one that is yet
// to be created, is under its account's root.
func (c *Conn) getQuotaRoot(ctx context.Context, cmd wire.GetQuotaRoot) error {
	at := c.at(cmd.Mailbox)
	if at.name == nowhere {
		c.w.QuotaRoot(cmd.Mailbox) // no mailbox can have this name
		return c.ok("", "GETQUOTAROOT done")
	}
	if at.owner != "" {
		// It tells of the messages that there are: "r" is needed (RFC 9208, 6).
		if _, err := at.store.OpenMailbox(ctx, at.name, 0, nil, nil); err != nil {
			return c.fail("GETQUOTAROOT", err)
		}
		at.store = c.cfg.Storage(at.owner, "")
	}
	quota, err := readQuota(ctx, at.store)
	if err != nil {
		return c.quotaFailed("GETQUOTAROOT", at.store, err)
	}
	c.w.QuotaRoot(cmd.Mailbox, at.store.Account())
	c.w.Quota(at.store.Account(), quota)
	return c.ok("", "GETQUOTAROOT done")
}

// setQuota is SETQUOTA (RFC 9208, 4.1.3). What is not listed is not limited any
// more.
func (c *Conn) setQuota(ctx context.Context, cmd wire.SetQuota) error {
	if !c.isAdmin() {
		return c.no("NOPERM", "only administrators set quotas")
	}
	limits := &pb.QuotaLimits{}
	for _, l := range cmd.Limits {
		switch l.Resource {
		case "STORAGE":
			limits.Storage = &l.Limit
		case "MESSAGE":
			limits.Messages = &l.Limit
		case "MAILBOX":
			limits.Mailboxes = &l.Limit
		default:
			return c.no("CANNOT", "no such resource can be limited")
		}
	}
	store, refused := c.quotaRoot(cmd.Root)
	if store == nil {
		return refused()
	}
	res, err := store.Propose(ctx, &pb.Entry{Op: &pb.Entry_SetQuota{SetQuota: &pb.SetQuotaOp{Limits: limits}}})
	switch {
	case err != nil:
		return c.quotaFailed("SETQUOTA", store, err)
	case res.GetCode() == pb.Code_CODE_NO_ACCOUNT:
		return c.noQuotaRoot()
	case res.GetCode() != pb.Code_CODE_OK:
		return c.refused(res)
	}
	c.log.Info("quota set", "root", store.Account(), "limits", limits.String())
	quota, err := readQuota(ctx, store)
	if err != nil {
		return c.quotaFailed("SETQUOTA", store, err)
	}
	c.w.Quota(store.Account(), quota)
	return c.ok("", "SETQUOTA done")
}
