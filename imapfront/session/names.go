package session

import (
	"context"
	"slices"
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
	if len(cmd.SpecialUse) == 1 {
		c.ownMetadata(ctx, at, res.GetModSeq(), nil) // the use is an annotation (RFC 6154, 5.4)
	}
	c.tellSpelling(cmd.Mailbox)
	return c.ok("MAILBOXID ("+c.objectID(at.store, mailboxPrefix, res.GetMailboxId())+")", "CREATE done") // RFC 8474, 4.1
}

// delete is DELETE (RFC 9051, 6.3.5). A session that has the mailbox selected
// closes it first.
func (c *Conn) delete(ctx context.Context, cmd wire.Delete) error {
	at := c.at(cmd.Mailbox)
	res, err := at.store.Propose(ctx, &pb.Entry{Op: &pb.Entry_DeleteMailbox{DeleteMailbox: &pb.DeleteMailboxOp{Name: at.name}}})
	switch {
	case err != nil:
		return c.fail("DELETE", err)
	case res.GetCode() == pb.Code_CODE_NO_MAILBOX && hasInferiors(ctx, at):
		return c.no("HASCHILDREN", "there are mailboxes below this name")
	case res.GetCode() != pb.Code_CODE_OK:
		return c.refused(res)
	}
	if c.selects(at, res.GetMailboxId()) {
		c.leave()
		c.w.Untagged("OK [CLOSED] the mailbox is deleted")
	}
	c.ownMetadata(ctx, at, res.GetModSeq(), nil)
	c.tellSpelling(cmd.Mailbox, `\NonExistent`)
	return c.ok("", "DELETE done")
}

// hasInferiors reports whether the client sees mailboxes below a name: if none has the
// name, that is why it is there at all, and why it cannot be deleted (RFC 9051, 6.3.5).
func hasInferiors(ctx context.Context, at place) bool {
	l, err := at.store.ListMailboxes(ctx)
	if err != nil {
		return false // the name is no mailbox, whatever is below it
	}
	return slices.ContainsFunc(l.GetMailboxes(), func(info *pb.MailboxInfo) bool { return strings.HasPrefix(info.GetName(), at.name+"/") })
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
	c.tellRenamed(cmd)
	return c.ok("", "RENAME done")
}

// tellRenamed tells how a mailbox that was renamed is spelled, and the client's
// name for what it was, if either was not in NFC (RFC 9051, 6.3.6).
func (c *Conn) tellRenamed(cmd wire.Rename) {
	from, to := c.r.Supplied(cmd.From), c.r.Supplied(cmd.To)
	if !c.rev2 || from == "" && to == "" {
		return
	}
	if from == "" {
		from = cmd.From
	}
	c.w.List(wire.ListEntry{Name: strings.TrimSuffix(cmd.To, "/"), OldName: from})
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
	if c.annotations != nil {
		c.annotations.listed.Store(true) // what is subscribed to leads to others' accounts
	}
	return c.ok("", "done")
}

// tellName tells a client that has enabled IMAP4rev2 the attributes of a mailbox
// that it has opened (RFC 9051, 6.3.2). name is what its account calls it.
func (c *Conn) tellName(ctx context.Context, at place, name, as string) error {
	l, err := at.store.ListMailboxes(ctx)
	if err != nil {
		return err
	}
	for _, e := range hierarchy(l) {
		if e.name == name && e.info != nil {
			cmd := wire.List{Extended: true, Return: wire.ListReturn{Subscribed: true}}
			c.w.List(wire.ListEntry{Name: c.box.name, Attrs: attributes(cmd, e), OldName: c.r.Supplied(as)})
		}
	}
	return nil
}

// tellSpelling tells a client that has enabled IMAP4rev2 that a mailbox is not
// called as the client has spelled it, but in NFC (RFC 9051, 6.3.9.7).
func (c *Conn) tellSpelling(name string, attrs ...string) {
	if old := c.r.Supplied(name); c.rev2 && old != "" {
		c.w.List(wire.ListEntry{Name: strings.TrimSuffix(name, "/"), Attrs: attrs, OldName: strings.TrimSuffix(old, "/")})
	}
}
