package session

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"

	"github.com/quorumail/quorumail/imapfront/wire"
	"github.com/quorumail/quorumail/node/client"
	"github.com/quorumail/quorumail/proto/imapnum"
	pb "github.com/quorumail/quorumail/proto/quorumail/v1"
)

// Mailboxes of other accounts are named "Other Users/<account>/<mailbox>" (RFC
// 2342, 5). Each account is in a shard of its own choice, so such a name leads to
// another store; what may be done there is decided there.
//
// Which accounts share mailboxes with one is noted in that one's account, by whoever
// grants it rights; LIST asks those, and those that it is asked for by name. What is
// granted to "anyone" is noted nowhere: it is found by who knows its name. A LIST
// that finds nothing in an account forgets the note.
const (
	others       = "Other Users"
	othersPrefix = others + "/"
)

// nowhere is the name of no mailbox.
const nowhere = "/"

// place is where the name of a mailbox leads.
type place struct {
	// store is of the account that the mailbox is in, on behalf of this
	// connection's.
	store Store
	// owner is that account; empty: this connection's own.
	owner string
	// name is what the mailbox is called there.
	name string
}

// at returns where a name leads. There need not be a mailbox. A connection's own
// mailboxes have no second name among other users'.
func (c *Conn) at(name string) place {
	if !strings.HasPrefix(name, othersPrefix) && name != others {
		return place{store: c.store, name: name}
	}
	owner, mailbox := ownerOf(name)
	if owner == "" || mailbox == "" || owner == c.store.Account() {
		return place{store: c.store, name: nowhere}
	}
	return place{store: c.storeOf(owner), owner: owner, name: wire.CanonicalMailbox(mailbox)}
}

// ownerOf takes a name among other users' apart: the account, normalised, and what
// the mailbox is called there, which may be empty. It returns no owner for a name
// that is not of an account.
func ownerOf(name string) (owner, mailbox string) {
	rest, ok := strings.CutPrefix(name, othersPrefix)
	if !ok {
		return "", ""
	}
	account, mailbox, _ := strings.Cut(rest, "/")
	owner, err := imapnum.AccountName(account)
	if err != nil {
		return "", ""
	}
	return owner, mailbox
}

// shown returns how this connection names a mailbox of a place's account.
func (p place) shown(name string) string {
	if p.owner == "" {
		return name
	}
	return othersPrefix + p.owner + "/" + name
}

// selects reports whether the selected mailbox is one of a place's account.
func (c *Conn) selects(p place, mailboxID uint64) bool {
	return c.box != nil && c.box.id == mailboxID && c.box.store.Account() == p.store.Account()
}

// maxOwners is how many stores of other accounts a connection keeps.
const maxOwners = 16

// storeOf returns a store of another account. It is kept, since each new one is a
// session that storage remembers for a while.
func (c *Conn) storeOf(owner string) Store {
	if c.notify != nil && c.notify.others[owner] != nil {
		return c.notify.others[owner].at.store
	}
	if a := c.sharer(owner); a != nil {
		return a.at.store
	}
	if s, ok := c.owners[owner]; ok {
		return s
	}
	if c.owners == nil || len(c.owners) >= maxOwners {
		c.owners = make(map[string]Store)
	}
	s := noting{c.cfg.Storage(owner, c.store.Account()), c}
	c.owners[owner] = s
	return s
}

// fixed returns the octets of a pattern before its first wildcard.
func fixed(pattern string) string {
	if i := strings.IndexAny(pattern, "*%"); i >= 0 {
		return pattern[:i]
	}
	return pattern
}

// ownersFor returns the accounts whose mailboxes a LIST may have to tell: those
// that are known to share some, those that the patterns name, and those of
// subscriptions; of these, those of which a name can be of a pattern.
func (c *Conn) ownersFor(cmd wire.List, l *pb.ListMailboxesResponse) []string {
	if cmd.Select.SpecialUse {
		return nil // they are each owner's own
	}
	var patterns []string
	for _, p := range cmd.Patterns {
		if p != "" {
			patterns = append(patterns, wire.CanonicalMailbox(cmd.Reference+p))
		}
	}
	seen := map[string]bool{c.store.Account(): true}
	var list []string
	add := func(account string) {
		owner, err := imapnum.AccountName(account)
		if err != nil || seen[owner] {
			return
		}
		seen[owner] = true
		for _, p := range patterns {
			above := othersPrefix + owner
			if wire.PatternReaches(p, above+"/") || wire.MatchPattern(p, above) || wire.MatchPattern(p, others) {
				list = append(list, owner)
				return
			}
		}
	}
	for _, owner := range l.GetSharedBy() {
		add(owner)
	}
	for _, name := range append(patterns, l.GetSubscriptions()...) {
		rest, ok := strings.CutPrefix(fixed(name), othersPrefix)
		if account, _, named := strings.Cut(rest, "/"); ok && named {
			add(account)
		}
	}
	return list
}

// listers is how many accounts are asked at once.
const listers = 8

// inParallel calls do with 0 to n-1, some at once, and returns when all are done.
func inParallel(n int, do func(int)) {
	var wg sync.WaitGroup
	slots := make(chan struct{}, listers)
	for i := range n {
		slots <- struct{}{}
		wg.Go(func() {
			do(i)
			<-slots
		})
	}
	wg.Wait()
}

// withOthers adds to a list of mailboxes those of other accounts that a LIST may
// have to tell.
func (c *Conn) withOthers(ctx context.Context, cmd wire.List, l *pb.ListMailboxesResponse) error {
	owners := c.ownersFor(cmd, l)
	stores := make([]Store, len(owners))
	for i, owner := range owners {
		stores[i] = c.cfg.Storage(owner, c.store.Account())
	}
	lists, errs := listAll(ctx, stores)
	defer c.forgetShares(ctx, l.GetSharedBy(), owners, lists)
	for i, owner := range owners {
		if errors.Is(errs[i], client.ErrNoMailbox) {
			continue // there is no such account, or no more
		}
		if errs[i] != nil {
			// Without its mailboxes a client would take them for deleted.
			return errs[i]
		}
		place{owner: owner}.show(lists[i])
		l.Mailboxes = append(l.Mailboxes, lists[i].GetMailboxes()...)
	}
	return nil
}

// listAll lists the mailboxes of several accounts at once.
func listAll(ctx context.Context, stores []Store) ([]*pb.ListMailboxesResponse, []error) {
	lists, errs := make([]*pb.ListMailboxesResponse, len(stores)), make([]error, len(stores))
	inParallel(len(stores), func(i int) { lists[i], errs[i] = stores[i].ListMailboxes(ctx) })
	return lists, errs
}

// show has a list of a place's mailboxes name them as this connection does.
func (p place) show(l *pb.ListMailboxesResponse) {
	for _, info := range l.GetMailboxes() {
		info.Name = p.shown(info.GetName())
	}
}

// maxForgotten is how many notes one LIST forgets.
const maxForgotten = 10

// forgetShares forgets the notes of owners in whose accounts nothing was found.
// A grant may come between that and the forgetting: it is looked for once more, and
// who grants notes it again afterwards, so that one of both sees the other.
func (c *Conn) forgetShares(ctx context.Context, noted, owners []string, lists []*pb.ListMailboxesResponse) {
	left := maxForgotten
	for i, owner := range owners {
		if len(lists[i].GetMailboxes()) > 0 || lists[i] == nil || !slices.Contains(noted, owner) || left == 0 {
			continue
		}
		left--
		err := c.note(ctx, c.store, owner, false)
		if err == nil {
			var again *pb.ListMailboxesResponse
			if again, err = c.cfg.Storage(owner, c.store.Account()).ListMailboxes(ctx); len(again.GetMailboxes()) > 0 {
				err = c.note(ctx, c.store, owner, true)
			}
		}
		if err != nil {
			c.log.Info("share not forgotten", "account", owner, "error", err)
			return
		}
	}
}

// note notes in an account that another shares mailboxes with it, or no longer
// does.
func (c *Conn) note(ctx context.Context, in Store, owner string, shared bool) error {
	res, err := in.Propose(ctx, &pb.Entry{Op: &pb.Entry_NoteShare{NoteShare: &pb.NoteShareOp{Owner: owner, Shared: shared}}})
	if err != nil {
		return err
	}
	if code := res.GetCode(); code != pb.Code_CODE_OK && code != pb.Code_CODE_NO_ACCOUNT {
		// It can still be found by its name.
		c.log.Info("share not noted", "account", in.Account(), "code", code.String())
	}
	return nil
}

// mayInsert reports whether messages can be added to a mailbox, before they are
// sent to its account: a nil error, client.ErrNoMailbox or client.ErrNoPermission,
// or another error of storage; and whether the client may select the mailbox. If
// not, it must not be told what UIDs there are in it (RFC 9051, 6.3.12 and 6.4.7).
func (c *Conn) mayInsert(ctx context.Context, at place) (tellsUIDs bool, err error) {
	resp, err := aclWith(ctx, at, imapnum.RightInsert)
	return imapnum.Rights(resp.GetInfo().GetRights()).Has(imapnum.RightRead), err
}
