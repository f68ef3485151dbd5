package session

import (
	"context"
	"errors"
	"strings"

	"github.com/quorumail/quorumail/node/client"
	"github.com/quorumail/quorumail/proto/imapnum"
	pb "github.com/quorumail/quorumail/proto/quorumail/v1"
)

// refusedInto answers a command that the state machine has refused, and that has a
// destination. One that does not exist is TRYCREATE, unless it is certain that it cannot
// be created (RFC 9051, 6.3.12, 6.4.7 and 6.4.8): then it is what CREATE would say.
func (c *Conn) refusedInto(ctx context.Context, at place, res *pb.Result) error {
	if res.GetCode() != pb.Code_CODE_NO_MAILBOX {
		return c.refused(res)
	}
	if refusal := c.notCreatable(ctx, at); refusal != nil {
		return c.refused(refusal)
	}
	return c.no("TRYCREATE", refusalText(res))
}

// copyRefused does so for COPY and MOVE: it may be the selected mailbox that does not exist
// any more.
func (c *Conn) copyRefused(ctx context.Context, at place, res *pb.Result) error {
	if res.GetCode() == pb.Code_CODE_NO_MAILBOX {
		if err := c.pull(ctx, false); lost(err) {
			return c.boxFailed("COPY", err)
		}
	}
	return c.refusedInto(ctx, at, res)
}

// intoFailed answers a command whose messages cannot go into a mailbox, which is
// found out before they are sent.
func (c *Conn) intoFailed(ctx context.Context, at place, what string, err error) error {
	if errors.Is(err, client.ErrNoMailbox) {
		return c.refusedInto(ctx, at, &pb.Result{Code: pb.Code_CODE_NO_MAILBOX})
	}
	return c.fail(what, err)
}

// notCreatable returns how CREATE of a name that is no mailbox's would be refused; nil
// if that is not certain.
func (c *Conn) notCreatable(ctx context.Context, at place) *pb.Result {
	switch _, ok := imapnum.MailboxName(at.name); {
	case at.owner != "":
		// Whether there is a mailbox that may not be looked up makes no difference.
		if !ok || !mayCreate(ctx, at) {
			return &pb.Result{Code: pb.Code_CODE_NO_PERMISSION}
		}
		return nil
	case !ok:
		return &pb.Result{Code: pb.Code_CODE_INVALID_NAME, Detail: "not a mailbox name"}
	}
	a, err := c.store.GetAccount(ctx)
	if limit := client.QuotaLimits(a.GetQuota()).Mailboxes; err == nil && limit != nil && a.GetQuota().GetMailboxes() >= *limit {
		return &pb.Result{Code: pb.Code_CODE_OVER_QUOTA, Detail: "no such mailbox, and no room for another"}
	}
	return nil
}

// mayCreate reports whether there may be a mailbox above a name in another's account on
// which the user has the right "k" (RFC 4314, 4). One of which it may know nothing is
// passed over.
func mayCreate(ctx context.Context, at place) bool {
	for i := strings.LastIndexByte(at.name, '/'); i > 0; i = strings.LastIndexByte(at.name, '/') {
		at.name = at.name[:i]
		resp, err := at.store.GetAcl(ctx, at.name)
		if !errors.Is(err, client.ErrNoMailbox) {
			return err != nil || imapnum.Rights(resp.GetInfo().GetRights()).Has(imapnum.RightCreate)
		}
	}
	return false
}
