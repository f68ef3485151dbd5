package session

import (
	"slices"
	"strings"

	"github.com/quorumail/quorumail/imapfront/wire"
)

// events is a set of events of mailboxes that are not selected (RFC 5465, 5).
type events uint8

const (
	messageEvents events = 1 << iota // MessageNew and MessageExpunge
	flagChange
	mailboxName
	subscriptionChange
	metadataChange
)

// notifyGroup is one event group (RFC 5465, 6).
type notifyGroup struct {
	events events
	none   bool
	// rank says how closely the group names its mailboxes: see of.
	rank int

	subscribed bool            // only what is subscribed to
	names      map[string]bool // nil: all of the user's own
	below      bool            // and all below them
}

// Ranks of groups.
const (
	rankAll = iota
	rankSubtree
	rankNamed
	ranks
)

func newNotifyGroup(g wire.NotifyGroup) notifyGroup {
	e := g.Events
	group := notifyGroup{none: !e.Message && !e.MailboxName && !e.SubscriptionChange && !e.MailboxMetadata && !e.ServerMetadata}
	for bit, on := range map[events]bool{
		messageEvents: e.Message, flagChange: e.FlagChange, mailboxName: e.MailboxName,
		subscriptionChange: e.SubscriptionChange, metadataChange: e.MailboxMetadata,
	} {
		if on {
			group.events |= bit
		}
	}
	switch g.Filter {
	case "SUBSCRIBED":
		group.subscribed = true
	case "SUBTREE":
		group.rank, group.below = rankSubtree, true
	case "MAILBOXES":
		group.rank = rankNamed
	}
	// INBOXES is what PERSONAL is: mail may be delivered to any mailbox (RFC 5465,
	// 6.3).
	if g.Mailboxes != nil {
		group.names = make(map[string]bool, len(g.Mailboxes))
		for _, name := range g.Mailboxes {
			group.names[nameOfGroup(strings.TrimSuffix(name, "/"))] = true
		}
	}
	return group
}

// nameOfGroup returns a name as mailboxes and what is above them are told by: that
// of another account is normalised.
func nameOfGroup(name string) string {
	owner, mailbox := ownerOf(name)
	switch {
	case owner == "":
		return name
	case mailbox == "":
		return othersPrefix + owner
	}
	return othersPrefix + owner + "/" + wire.CanonicalMailbox(mailbox)
}

// ownersIn adds to a set the accounts in which there can be mailboxes of the group
// that are another user's: of those that share some with the user, those that are
// named, and those of subscriptions.
func (g *notifyGroup) ownersIn(owners map[string]bool, sharedBy, subscriptions []string) {
	if g.none {
		return
	}
	all := g.names[others] && g.below
	if all {
		for _, owner := range sharedBy {
			owners[owner] = true
		}
	}
	if g.subscribed || all {
		for _, name := range subscriptions {
			owner, _ := ownerOf(name)
			owners[owner] = true
		}
	}
	for name := range g.names {
		owner, _ := ownerOf(name)
		owners[owner] = true
	}
}

// matches reports whether a mailbox is of the group.
func (g *notifyGroup) matches(name string, subscribed bool) bool {
	switch {
	case g.subscribed:
		return subscribed
	case g.names == nil: // PERSONAL and INBOXES (RFC 5465, 6.2 and 6.3)
		return !strings.HasPrefix(name, othersPrefix)
	case g.names[name]:
		return true
	case !g.below:
		return false
	}
	for i := strings.LastIndexByte(name, '/'); i > 0; i = strings.LastIndexByte(name[:i], '/') {
		if g.names[name[:i]] {
			return true
		}
	}
	return false
}

// of returns the events that are wanted of a mailbox: those of all groups that it
// is of. NONE takes a mailbox out of all groups that name it no more closely,
// which is the only sense that it makes beside others: "all but this one", and
// the other way round "this one and no other".
func (n *notify) of(name string, subscribed bool) events {
	var byRank [ranks]events
	none := -1
	for i := range n.groups {
		g := &n.groups[i]
		if !g.matches(name, subscribed) {
			continue
		}
		byRank[g.rank] |= g.events
		if g.none {
			none = max(none, g.rank)
		}
	}
	var all events
	for _, e := range byRank[none+1:] {
		all |= e
	}
	return all
}

// subscribed reports whether a name is subscribed to, as far as the client knows.
func (n *notify) subscribed(name string) bool { return n.account.known.subscribed(name) }

func (n *notify) wantsMetadata() bool {
	return n.server || slices.ContainsFunc(n.groups, func(g notifyGroup) bool { return g.events&metadataChange != 0 })
}

// wantsOthersMetadata reports whether the client may want to be told of annotations
// of other users' mailboxes.
func (n *notify) wantsOthersMetadata() bool {
	return slices.ContainsFunc(n.groups, func(g notifyGroup) bool {
		return g.events&metadataChange != 0 && (g.subscribed || g.names != nil)
	})
}

// wantsAnnotations reports whether the client is to be told of changed
// annotations of a mailbox, or of the server, which has no name.
func (c *Conn) wantsAnnotations(name string) bool {
	n := c.notify
	switch {
	case n == nil:
		return true
	case name == "":
		return n.server
	case n.account == nil:
		return false
	}
	return n.of(name, n.subscribed(name))&metadataChange != 0
}
