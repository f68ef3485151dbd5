package session

import (
	"context"
	"slices"
	"strings"

	"github.com/quorumail/quorumail/imapfront/wire"
	"github.com/quorumail/quorumail/proto/imapnum"
	pb "github.com/quorumail/quorumail/proto/quorumail/v1"
)

// look reads an account's mailboxes and tells what has changed since they were
// last read, unless the client has done it all itself (RFC 5465, 5).
func (c *Conn) look(ctx context.Context, a *watched) error {
	n, again := c.notify, a.stale
	list, gone, err := c.listOf(ctx, a)
	if a.stale = err != nil; a.stale {
		return err
	}
	news := list.GetModSeq() > a.known.modSeq
	if news {
		if err := c.compareAndTell(ctx, a, list); err != nil || c.notify != n {
			return err
		}
	}
	switch {
	case gone:
		n.drop(a.at.owner)
	case a.at.owner != "":
		return c.tellAnnotations(ctx, a)
	case news || again: // what could not be followed then is followed now
		if err := c.follow(ctx, list); err != nil {
			a.stale = true
			return err
		}
	}
	return nil
}

// compareAndTell takes a list for what the client knows of an account, and tells
// what is new to it.
func (c *Conn) compareAndTell(ctx context.Context, a *watched, list *pb.ListMailboxesResponse) error {
	now := listingOf(list)
	// The list has all that the session has done itself.
	before, own := a.known, a.covers(now.modSeq)
	now.remember(&before)
	a.known, a.own = now, 0
	if a.at.owner != "" {
		if a.scope.set(&a.known) {
			a.stale = true
			c.in.wake()
		}
		if c.notify.tooManyOthers() {
			c.overflow()
			return nil
		}
	}
	if !own {
		c.tellDifference(ctx, a, list, &before, compare(&before, &now))
	}
	return nil
}

// tellDifference tells what the client wants to know of what has happened: names
// first, so that it knows what the rest is about.
func (c *Conn) tellDifference(ctx context.Context, a *watched, list *pb.ListMailboxesResponse, before *listing, d difference) {
	n, now := c.notify, &a.known
	names := n.namesToTell(a, before, d)
	type status struct {
		info  *pb.MailboxInfo
		items []wire.StatusItem
	}
	var statuses []status
	for _, s := range d.states {
		info := list.GetMailboxes()[s.at]
		if c.selects(a.at, info.GetId()) {
			continue // its messages are for the other group
		}
		want := n.of(info.GetName(), n.subscribed(info.GetName()))
		if items := statusItems(want, s, now.boxes[s.at], c.condstore); items != nil {
			statuses = append(statuses, status{info, items})
		}
	}
	if len(names)+len(statuses) > c.cfg.MaxNotices {
		c.overflow()
		return
	}
	c.tellNames(ctx, a, list, names)
	a.noteAccess(names)
	for _, s := range statuses {
		c.statusLine(s.info, s.items)
	}
}

// namesToTell returns those of the names that have changed which the client wants
// to know of.
func (n *notify) namesToTell(a *watched, before *listing, d difference) []nameChange {
	wants := func(name string, what events) bool {
		return n.of(name, before.subscribed(name) || n.subscribed(name))&what != 0
	}
	var names []nameChange
	listed := make(map[string]bool)
	for _, c := range d.names {
		if wants(c.name, mailboxName) || c.old != "" && wants(c.old, mailboxName) {
			names = append(names, c)
			listed[c.name] = true
		}
	}
	for _, name := range d.subscriptions {
		if !listed[name] && wants(name, subscriptionChange) {
			names = append(names, nameChange{name: name})
		}
	}
	// Who has asked for anything of a mailbox is told of its access.
	if a.at.owner == "" {
		return names
	}
	for _, c := range a.accessNames(before, &a.known, d) {
		if !listed[c.name] && wants(c.name, ^events(0)) {
			listed[c.name] = true
			names = append(names, c)
		}
	}
	return names
}

// tellNames lists names as they are now, accurately (RFC 5465, 5.4 and 5.5): a
// subscription can be to another user's mailbox.
func (c *Conn) tellNames(ctx context.Context, a *watched, list *pb.ListMailboxesResponse, names []nameChange) {
	if len(names) == 0 {
		return
	}
	cmd := wire.List{Extended: true, Return: wire.ListReturn{Subscribed: true}}
	for _, change := range names {
		if a.at.owner == "" && strings.HasPrefix(change.name, othersPrefix) {
			cmd.Patterns = append(cmd.Patterns, change.name)
		}
	}
	if len(cmd.Patterns) > 0 {
		list = &pb.ListMailboxesResponse{Mailboxes: slices.Clone(list.GetMailboxes()), Subscriptions: list.GetSubscriptions()}
		if err := c.withOthers(ctx, cmd, list); err != nil {
			// They would be told to be gone.
			c.log.Warn("notify: names of other users are not told", "error", err)
			names = slices.DeleteFunc(names, func(n nameChange) bool { return strings.HasPrefix(n.name, othersPrefix) })
		}
	}
	entries := c.entriesOf(list)
	for _, change := range names {
		e := entries[change.name]
		if e == nil {
			e = &entry{name: change.name}
		}
		c.notifyName(cmd, e, change)
	}
}

// entriesOf returns the names of a list of an account's mailboxes, with those that
// are subscribed to.
func (c *Conn) entriesOf(list *pb.ListMailboxesResponse) map[string]*entry {
	list = &pb.ListMailboxesResponse{Mailboxes: list.GetMailboxes(), Subscriptions: c.notify.account.known.subscriptions}
	entries := make(map[string]*entry)
	for _, e := range hierarchy(list) {
		entries[e.name] = e
	}
	return entries
}

// notifyName lists a name. What may be looked up only has \NoAccess (RFC 5465, 3.1);
// so has what another user's mailbox was called that has been removed, or on which
// the right "l" has been revoked: which of both it is cannot be told (RFC 4314, 6).
func (c *Conn) notifyName(cmd wire.List, e *entry, change nameChange) {
	attrs := attributes(cmd, e)
	denied := e.info != nil && !rightsOn(e.info).Has(imapnum.RightRead)
	if denied || e.info == nil && change.lost && strings.HasPrefix(e.name, othersPrefix) {
		attrs = append(attrs, `\NoAccess`)
	}
	c.w.Raw("* LIST ").Flags(attrs).Raw(` "/" `).Mailbox(e.name)
	if change.old != "" {
		c.w.Raw(` ("OLDNAME" (`).Mailbox(change.old).Raw("))")
	}
	c.w.CRLF()
}

// statusItems returns what STATUS is to tell of a mailbox that has changed; nil
// if nothing.
func statusItems(want events, change stateChange, now boxState, condstore bool) []wire.StatusItem {
	if want&(messageEvents|flagChange) == 0 {
		return nil
	}
	was := change.before
	// With that of before the client's own messages have been added and removed.
	messages := now.uidNext != was.uidNext || now.exists != was.exists
	unseen := want&flagChange != 0 && now.unseen != was.unseen
	// The client does not know the UIDVALIDITY of a mailbox that is new to it, or
	// knows another's of the same name (RFC 5465, 5.1).
	isNew := change.reborn || was.id == 0
	if isNew && !change.reborn && !messages {
		return nil // nothing has happened in it yet
	}
	var items []wire.StatusItem
	if want&messageEvents != 0 && (messages || change.reborn) {
		items = append(items, "MESSAGES", "UIDNEXT")
	}
	if isNew || want&flagChange != 0 && condstore {
		items = append(items, "UIDVALIDITY")
	}
	if unseen {
		items = append(items, "UNSEEN")
	}
	if items != nil && condstore {
		items = append(items, "HIGHESTMODSEQ")
	}
	return items
}

// tellStatuses tells how the mailboxes are of which message events are wanted, as
// the STATUS indicator asks (RFC 5465, 3.1).
func (c *Conn) tellStatuses(l accountList) {
	n := c.notify
	for _, info := range l.list.GetMailboxes() {
		if c.selects(l.at, info.GetId()) || !rightsOn(info).Has(imapnum.RightRead) {
			continue
		}
		want := n.of(info.GetName(), n.subscribed(info.GetName()))
		if want&messageEvents == 0 {
			continue
		}
		items := []wire.StatusItem{"MESSAGES", "UIDNEXT", "UIDVALIDITY"}
		if want&flagChange != 0 {
			items = append(items, "HIGHESTMODSEQ")
		}
		c.statusLine(info, items)
	}
}
