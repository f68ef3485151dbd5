package session

import (
	"context"
	"errors"
	"maps"
	"math"
	"slices"

	"github.com/quorumail/quorumail/imapfront/wire"
	"github.com/quorumail/quorumail/node/client"
	"github.com/quorumail/quorumail/proto/imapnum"
	pb "github.com/quorumail/quorumail/proto/quorumail/v1"
)

// Notifications of other users' mailboxes. Each account in which there can be some
// that the client has asked for is watched like its own: those that are noted to
// share mailboxes with the user, for the subtree "Other Users"; those that are
// named; and those of subscriptions. The first and the last are followed as they
// change, which the user's own account tells of. What is listed of another account
// is what the user has the right "l" on, so granting and revoking it is the same
// as making and removing a mailbox (RFC 5465, 5.4); what has no right "r" has a name
// and nothing else.

const (
	// maxWatchedOwners bounds the accounts of others that a connection watches: each
	// costs an entry at its shard's stream, here and on a storage node.
	maxWatchedOwners = 200
	// maxWatchedMailboxes bounds the mailboxes of others that a connection knows of:
	// each costs some tens of octets and its name.
	maxWatchedMailboxes = 10_000
)

// errTooMuch says that notifications would need more than a connection may keep.
var errTooMuch = errors.New("too many mailboxes of other users")

// accountList is the mailboxes of an account, by the names that the connection has
// for them.
type accountList struct {
	at          place
	list        *pb.ListMailboxesResponse
	annotations map[annotation]uint64 // of another user's; nil: not of interest
}

// accountsFor lists the accounts that are to be watched, the user's own first. The
// error is errTooMuch or one of storage.
func (c *Conn) accountsFor(ctx context.Context, n *notify) ([]accountList, error) {
	list, err := c.store.ListMailboxes(ctx)
	if err != nil {
		return nil, err
	}
	of, err := c.listOwners(ctx, n.owners(c.store.Account(), list.GetSharedBy(), list.GetSubscriptions()))
	if err == nil && n.wantsOthersMetadata() {
		err = c.annotate(ctx, of)
	}
	return append([]accountList{{at: place{store: c.store}, list: list}}, of...), err
}

// owners returns the accounts of others that are to be watched, ascending.
func (n *notify) owners(own string, sharedBy, subscriptions []string) []string {
	owners := make(map[string]bool)
	for i := range n.groups {
		n.groups[i].ownersIn(owners, sharedBy, subscriptions)
	}
	delete(owners, "")
	delete(owners, own)
	return slices.Sorted(maps.Keys(owners))
}

// listOwners lists other accounts. Those that do not exist are left out: their names
// are to be ignored (RFC 5465, 3.1).
func (c *Conn) listOwners(ctx context.Context, owners []string) ([]accountList, error) {
	if len(owners) > maxWatchedOwners {
		return nil, errTooMuch
	}
	stores := make([]Store, len(owners))
	for i, owner := range owners {
		stores[i] = c.storeOf(owner)
	}
	lists, errs := listAll(ctx, stores)
	var found []accountList
	boxes := 0
	for i, owner := range owners {
		switch {
		case errors.Is(errs[i], client.ErrNoMailbox):
			continue
		case errs[i] != nil:
			return nil, errs[i]
		}
		if boxes += len(lists[i].GetMailboxes()); boxes > maxWatchedMailboxes {
			return nil, errTooMuch
		}
		at := place{store: stores[i], owner: owner}
		at.show(lists[i])
		found = append(found, accountList{at: at, list: lists[i]})
	}
	return found, nil
}

// watch begins to watch an account, of which the client knows what is listed.
func (n *notify) watch(c *Conn, l accountList) *watched {
	a := &watched{at: l.at, known: listingOf(l.list)}
	concerns := func(e *pb.WatchResponse) bool { return e.GetMailboxList() || len(e.GetMailboxIds()) > 0 }
	if a.at.owner == "" {
		n.account = a
	} else {
		if n.others == nil {
			n.others = make(map[string]*watched)
		}
		n.others[a.at.owner] = a
		a.scope.set(&a.known)
		a.annotations, a.scope.annotated = l.annotations, l.annotations != nil
		concerns = a.scope.concerns
	}
	a.watch = c.watchFor(a.at.store, a.known.modSeq, concerns)
	return a
}

// accounts returns what is watched, the user's own account first.
func (n *notify) accounts() []*watched {
	if n.account == nil {
		return nil
	}
	all := []*watched{n.account}
	for _, owner := range slices.Sorted(maps.Keys(n.others)) {
		all = append(all, n.others[owner])
	}
	return all
}

// watched returns an account if it is watched, else nil.
func (n *notify) watched(account string) *watched {
	switch {
	case n == nil || n.account == nil:
		return nil
	case n.account.at.store.Account() == account:
		return n.account
	}
	return n.others[account]
}

// follow brings the accounts of others that are watched in line with who shares
// mailboxes now and with what is subscribed to.
func (c *Conn) follow(ctx context.Context, list *pb.ListMailboxesResponse) error {
	n := c.notify
	owners := n.owners(c.store.Account(), list.GetSharedBy(), list.GetSubscriptions())
	for _, owner := range slices.Sorted(maps.Keys(n.others)) {
		if slices.Contains(owners, owner) {
			continue
		}
		// Who has revoked all rights may be forgotten before that has been told.
		if err := c.look(ctx, n.others[owner]); err != nil || c.notify != n {
			return err
		}
		n.drop(owner)
	}
	owners = slices.DeleteFunc(owners, func(owner string) bool { return n.others[owner] != nil })
	if len(owners)+len(n.others) > maxWatchedOwners {
		c.overflow()
		return nil
	}
	lists, err := c.listOwners(ctx, owners)
	if err == nil && n.wantsOthersMetadata() {
		err = c.annotate(ctx, lists)
	}
	switch {
	case errors.Is(err, errTooMuch):
		c.overflow()
		return nil
	case err != nil:
		return err
	}
	for _, l := range lists {
		if !slices.Contains(list.GetSharedBy(), l.at.owner) {
			n.watch(c, l) // found by its name: what there is may have been there for long
			continue
		}
		// What it shares has come into sight.
		none := accountList{at: l.at, list: &pb.ListMailboxesResponse{}}
		if l.annotations != nil {
			none.annotations = make(map[annotation]uint64)
		}
		a := n.watch(c, none)
		if err := c.compareAndTell(ctx, a, l.list); err != nil || c.notify != n {
			return err
		}
		if err := c.tellAnnotations(ctx, a); err != nil || c.notify != n {
			return err
		}
	}
	return nil
}

// drop ends watching an account.
func (n *notify) drop(owner string) {
	if a := n.others[owner]; a != nil {
		a.watch.stop()
		delete(n.others, owner)
	}
}

// listOf lists an account that is watched, as it is now. gone: there is no such
// account any more.
func (c *Conn) listOf(ctx context.Context, a *watched) (list *pb.ListMailboxesResponse, gone bool, err error) {
	if a.at.owner == "" || a.own == 0 {
		list, err = a.at.store.SeenMailboxes(ctx)
	} else {
		// What the session has done it may have done by another store, of which this one
		// has seen nothing.
		list, err = a.at.store.ListMailboxes(ctx)
	}
	if a.at.owner != "" && errors.Is(err, client.ErrNoMailbox) {
		return &pb.ListMailboxesResponse{ModSeq: math.MaxUint64}, true, nil
	}
	if err == nil {
		a.at.show(list)
	}
	return list, false, err
}

// tooManyOthers reports whether more is known of other accounts than may be kept.
func (n *notify) tooManyOthers() bool {
	boxes, annotations := 0, 0
	for _, a := range n.others {
		boxes += len(a.known.boxes)
		annotations += len(a.annotations)
	}
	return boxes > maxWatchedMailboxes || annotations > maxWatchedAnnotations
}

// accessNames returns the names of another account's mailboxes of which the client
// is to be told that it may or may not read them (RFC 5465, 3.1 and 5.9): those that
// have come without "r", or lost or got it; those that are lost; and those that
// are back.
func (a *watched) accessNames(before, now *listing, d difference) []nameChange {
	was := make(map[uint64]bool, len(before.boxes)) // whether it could not be read
	for i := range before.boxes {
		was[before.boxes[i].id] = before.boxes[i].denied
	}
	var names []nameChange
	for _, c := range d.names {
		if c.lost {
			names = append(names, c)
		}
	}
	for i := range now.boxes {
		b := &now.boxes[i]
		denied, known := was[b.id]
		if denied != b.denied || !known && a.refused[b.name] {
			names = append(names, nameChange{name: b.name})
		}
	}
	return names
}

// noteAccess notes which of the names that have been told are lost to the client.
func (a *watched) noteAccess(names []nameChange) {
	for _, c := range names {
		switch {
		case !c.lost:
			delete(a.refused, c.name)
		case len(a.refused) < maxGone:
			if a.refused == nil {
				a.refused = make(map[string]bool)
			}
			a.refused[c.name] = true
		}
	}
}

// tellNoAccess tells which mailboxes that the client has asked for can be listed and
// not be read (RFC 5465, 3.1).
func (c *Conn) tellNoAccess(l accountList) {
	var entries map[string]*entry
	for _, info := range l.list.GetMailboxes() {
		name := info.GetName()
		if rightsOn(info).Has(imapnum.RightRead) || c.notify.of(name, c.notify.subscribed(name)) == 0 {
			continue
		}
		if entries == nil {
			entries = c.entriesOf(l.list)
		}
		c.notifyName(wire.List{Extended: true, Return: wire.ListReturn{Subscribed: true}}, entries[name], nameChange{})
	}
}
