package session

import (
	"context"
	"strings"
	"time"

	"github.com/quorumail/quorumail/imapfront/wire"
	pb "github.com/quorumail/quorumail/proto/quorumail/v1"
)

// seed is where the UIDVALIDITY of a new mailbox starts.
func seed() uint32 { return uint32(min(time.Now().Unix(), 1<<32-2)) }

// change proposes a command about names to an account and, unless it is done,
// answers it.
func (c *Conn) change(ctx context.Context, store Store, what string, entry *pb.Entry) (*pb.Result, error) {
	res, err := store.Propose(ctx, entry)
	if err != nil {
		return nil, c.fail(what, err)
	}
	if res.GetCode() != pb.Code_CODE_OK {
		return nil, c.refused(res)
	}
	return res, nil
}

// create is CREATE (RFC 9051, 6.3.4; RFC 6154, 3). A trailing separator says
// that names below are meant to follow; it is no part of the name.
func (c *Conn) create(ctx context.Context, cmd wire.Create) error {
	if len(cmd.SpecialUse) > 1 {
		return c.no("USEATTR", "one special use a mailbox")
	}
	at := c.at(strings.TrimSuffix(cmd.Mailbox, "/"))
	if at.owner != "" && len(cmd.SpecialUse) > 0 {
		return c.no("USEATTR", "special uses are of one's own mailboxes")
	}
	op := &pb.CreateMailboxOp{Name: at.name, UidValiditySeed: seed()}
	if len(cmd.SpecialUse) == 1 {
		op.SpecialUse = cmd.SpecialUse[0]
	}
	res, err := c.change(ctx, at.store, "CREATE", &pb.Entry{Op: &pb.Entry_CreateMailbox{CreateMailbox: op}})
	if res == nil {
		return err
	}
	return c.ok("MAILBOXID ("+c.objectID(at.store, mailboxPrefix, res.GetMailboxId())+")", "CREATE done") // RFC 8474, 4.1
}

// delete is DELETE (RFC 9051, 6.3.5). A session that has the mailbox selected
// closes it first.
func (c *Conn) delete(ctx context.Context, cmd wire.Delete) error {
	at := c.at(cmd.Mailbox)
	res, err := c.change(ctx, at.store, "DELETE", &pb.Entry{Op: &pb.Entry_DeleteMailbox{DeleteMailbox: &pb.DeleteMailboxOp{Name: at.name}}})
	if res == nil {
		return err
	}
	if c.selects(at, res.GetMailboxId()) {
		c.leave()
		c.w.Untagged("OK [CLOSED] the mailbox is deleted")
	}
	c.ownMetadata(ctx, at, res.GetModSeq(), nil)
	return c.ok("", "DELETE done")
}

// rename is RENAME (RFC 9051, 6.3.6).
func (c *Conn) rename(ctx context.Context, cmd wire.Rename) error {
	from, to := c.at(cmd.From), c.at(strings.TrimSuffix(cmd.To, "/"))
	if from.owner != to.owner {
		return c.no("CANNOT", "a mailbox stays in its account")
	}
	res, err := c.change(ctx, from.store, "RENAME", &pb.Entry{Op: &pb.Entry_RenameMailbox{RenameMailbox: &pb.RenameMailboxOp{
		From: from.name, To: to.name, UidValiditySeed: seed(),
	}}})
	if res == nil {
		return err
	}
	if c.box != nil && c.box.store.Account() == from.store.Account() {
		if err := c.pull(ctx, false); err != nil {
			return c.boxFailed("RENAME", err)
		}
		c.tell(true) // renaming INBOX empties it
	}
	c.ownMetadata(ctx, from, res.GetModSeq(), nil) // renaming INBOX copies its annotations
	return c.ok("", "RENAME done")
}

// subscribe is SUBSCRIBE and UNSUBSCRIBE (RFC 9051, 6.3.7 and 6.3.8).
func (c *Conn) subscribe(ctx context.Context, cmd wire.Subscribe) error {
	name := strings.TrimSuffix(cmd.Mailbox, "/")
	if at := c.at(name); at.owner != "" {
		// Subscriptions are one's own, of others' mailboxes too. Whether there is such
		// a mailbox is not looked at (RFC 4314, 4).
		name = at.shown(at.name)
	}
	res, err := c.change(ctx, c.store, "SUBSCRIBE", &pb.Entry{Op: &pb.Entry_Subscribe{Subscribe: &pb.SubscribeOp{
		Name: name, Subscribed: !cmd.Unsubscribe,
	}}})
	if res == nil {
		return err
	}
	return c.ok("", "done")
}
