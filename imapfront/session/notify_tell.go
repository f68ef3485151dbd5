package session

import (
	"context"
	"maps"
	"slices"

	"github.com/quorumail/quorumail/imapfront/wire"
	pb "github.com/quorumail/quorumail/proto/quorumail/v1"
)

// look reads the account's mailboxes and tells what has changed since they were
// last read, unless the client has done it all itself (RFC 5465, 5).
func (c *Conn) look(ctx context.Context) error {
	a := c.notify.account
	list, err := c.store.SeenMailboxes(ctx)
	a.stale = err != nil
	if err != nil {
		return err
	}
	if list.GetModSeq() <= a.known.modSeq {
		return nil
	}
	now := listingOf(list)
	// The list has all that the session has done itself.
	before, own := a.known, a.own
	a.known, a.own = now, ownChanges{}
	if !own.cover(before.modSeq, now.modSeq) {
		c.tellDifference(list, &before, &now, compare(&before, &now, &own))
	}
	return nil
}

// tellDifference tells what the client wants to know of what has happened: names
// first, so that it knows what the rest is about.
func (c *Conn) tellDifference(list *pb.ListMailboxesResponse, before, now *listing, d difference) {
	n := c.notify
	names := n.namesToTell(before, now, d)
	type status struct {
		info  *pb.MailboxInfo
		items []wire.StatusItem
	}
	var statuses []status
	for _, s := range d.states {
		info := list.GetMailboxes()[s.at]
		if c.box != nil && c.box.id == info.GetId() && c.box.store.Account() == c.store.Account() {
			continue // its messages are for the other group
		}
		want := n.of(info.GetName(), now.subscribed(info.GetName()))
		if items := statusItems(want, s, now.boxes[s.at], c.condstore); items != nil {
			statuses = append(statuses, status{info, items})
		}
	}
	if len(names)+len(statuses) > c.cfg.MaxNotices {
		c.overflow()
		return
	}
	c.tellNames(list, names)
	for _, s := range statuses {
		c.statusLine(s.info, s.items)
	}
}

// namesToTell returns the names to be listed, with their old ones if they have
// been renamed.
func (n *notify) namesToTell(before, now *listing, d difference) map[string]string {
	wants := func(name string, what events) bool {
		return n.of(name, before.subscribed(name) || now.subscribed(name))&what != 0
	}
	names := make(map[string]string)
	for name, old := range d.names {
		if wants(name, mailboxName) || old != "" && wants(old, mailboxName) {
			names[name] = old
		}
	}
	for _, name := range d.subscriptions {
		if _, listed := names[name]; !listed && wants(name, subscriptionChange) {
			names[name] = ""
		}
	}
	return names
}

// tellNames lists names as they are now, accurately (RFC 5465, 5.4 and 5.5).
func (c *Conn) tellNames(list *pb.ListMailboxesResponse, names map[string]string) {
	if len(names) == 0 {
		return
	}
	entries := make(map[string]*entry)
	for _, e := range hierarchy(list) {
		entries[e.name] = e
	}
	for _, name := range slices.Sorted(maps.Keys(names)) {
		e := entries[name]
		if e == nil {
			e = &entry{name: name}
		}
		attrs := attributes(wire.List{Extended: true, Return: wire.ListReturn{Subscribed: true}}, e)
		c.w.Raw("* LIST ").Flags(attrs).Raw(` "/" `).Mailbox(name)
		if old := names[name]; old != "" {
			c.w.Raw(` ("OLDNAME" (`).Mailbox(old).Raw("))")
		}
		c.w.CRLF()
	}
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
func (c *Conn) tellStatuses(list *pb.ListMailboxesResponse) {
	n := c.notify
	for _, info := range list.GetMailboxes() {
		if c.box != nil && c.box.id == info.GetId() && c.box.store.Account() == c.store.Account() {
			continue
		}
		want := n.of(info.GetName(), n.account.known.subscribed(info.GetName()))
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
