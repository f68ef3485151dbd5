package session

import (
	"context"
	"errors"
	"maps"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/quorumail/quorumail/node/client"
	pb "github.com/quorumail/quorumail/proto/quorumail/v1"
)

// sharers are the accounts of others in which a client that has enabled METADATA, and
// has not used NOTIFY, is told of annotations (RFC 5464, 4.4): of all mailboxes of
// which it may read any. They are those that LIST looks into by itself: noted to share
// mailboxes with the user, or subscribed to; and that of the selected mailbox. A
// mailbox that anyone may read, and that nothing leads to, is not known of.
//
// They are bounded as NOTIFY's are. The client is told once that there are more, which
// is all that IMAP has for it.
type sharers struct {
	accounts []*annotations // ascending by owner
	full     bool           // there are more than may be kept: no more are added

	// What could not be read is read again, less and less often.
	pause time.Duration
	retry time.Time
	timer *time.Timer // wakes for it
}

const (
	// sharersPatience is how long a command waits for accounts of others to be read: it
	// need not have to do with them.
	sharersPatience = time.Second
	// maxRetryPace is how long the next attempt waits, at most, after some have failed.
	maxRetryPace = time.Minute
)

func byOwner(a *annotations, owner string) int { return strings.Compare(a.at.owner, owner) }

// sharer returns what is known of another account's annotations; nil if it is not
// watched.
func (c *Conn) sharer(owner string) *annotations {
	if c.sharers == nil {
		return nil
	}
	at, found := slices.BinarySearchFunc(c.sharers.accounts, owner, byOwner)
	if !found {
		return nil
	}
	return c.sharers.accounts[at]
}

// addSharer begins to watch an account.
func (c *Conn) addSharer(a *annotations) {
	at, _ := slices.BinarySearchFunc(c.sharers.accounts, a.at.owner, byOwner)
	c.sharers.accounts = slices.Insert(c.sharers.accounts, at, a)
	a.start(c, a.modSeq, true)
}

// dropSharer ends it.
func (c *Conn) dropSharer(a *annotations) {
	a.watch.stop()
	c.sharers.accounts = slices.DeleteFunc(c.sharers.accounts, func(b *annotations) bool { return a == b })
}

// endSharers ends it for all.
func (c *Conn) endSharers() {
	if c.sharers == nil {
		return
	}
	for _, a := range c.sharers.accounts {
		a.watch.stop()
	}
	if c.sharers.timer != nil {
		c.sharers.timer.Stop()
	}
	c.sharers = nil
}

// selectsOf reports whether the selected mailbox is in an account.
func (c *Conn) selectsOf(account string) bool {
	return c.box != nil && c.box.store.Account() == account
}

// watchSelectedMetadata begins to tell of the account of the selected mailbox, if it
// is another's and nothing else leads there.
func (c *Conn) watchSelectedMetadata(ctx context.Context) error {
	if c.box == nil || c.sharers == nil || c.selectsOf(c.store.Account()) || c.sharer(c.box.store.Account()) != nil {
		return nil
	}
	a, err := c.annotationsAt(ctx, place{store: c.box.store, owner: c.box.store.Account()})
	if err == nil {
		c.addSharer(a)
		c.boundSharers()
	}
	return err
}

// leaveSharer ends watching an account in which no mailbox is selected any more, if
// nothing else leads there.
func (c *Conn) leaveSharer(account string) {
	if a := c.sharer(account); a != nil && !a.noted {
		c.dropSharer(a)
	}
}

// sharersIn returns the accounts that a list of the user's own mailboxes leads to,
// ascending.
func (c *Conn) sharersIn(list *pb.ListMailboxesResponse) []string {
	owners := make(map[string]bool)
	for _, owner := range list.GetSharedBy() {
		owners[owner] = true
	}
	for _, name := range list.GetSubscriptions() {
		owner, _ := ownerOf(name)
		owners[owner] = true
	}
	delete(owners, "")
	delete(owners, c.store.Account())
	return slices.Sorted(maps.Keys(owners))
}

// followSharers brings the accounts that are watched in line with a list of the user's
// own mailboxes. At first the client knows what there is. What is added later has come
// into sight: it is told which annotations it has.
func (c *Conn) followSharers(ctx context.Context, list *pb.ListMailboxesResponse, first bool) {
	s, owners := c.sharers, c.sharersIn(list)
	for _, a := range slices.Clone(s.accounts) {
		if _, a.noted = slices.BinarySearch(owners, a.at.owner); !a.noted && !c.selectsOf(a.at.owner) {
			c.dropSharer(a)
		}
	}
	owners = slices.DeleteFunc(owners, func(owner string) bool { return c.sharer(owner) != nil })
	if s.full {
		return
	}
	if room := max(0, maxWatchedOwners-len(s.accounts)); len(owners) > room {
		owners = owners[:room]
		c.fullSharers()
	}
	more := make([]*annotations, len(owners))
	for i, owner := range owners {
		more[i] = &annotations{at: place{store: c.storeOf(owner), owner: owner}, noted: true, stale: true}
	}
	if first {
		more = c.readSharers(ctx, more)
	}
	for _, a := range more {
		c.addSharer(a)
	}
	c.boundSharers()
}

// readSharers reads what there is in accounts, and returns those that can be kept. One
// that cannot be read is taken to have nothing, and is read later.
func (c *Conn) readSharers(ctx context.Context, list []*annotations) (kept []*annotations) {
	var total atomic.Int64
	beyond := make([]bool, len(list))
	inParallel(len(list), func(i int) {
		if beyond[i] = total.Load() > maxWatchedAnnotations; beyond[i] {
			return
		}
		switch a, err := c.annotationsAt(ctx, list[i].at); {
		case err == nil:
			total.Add(int64(len(a.known)))
			list[i].known, list[i].modSeq, list[i].stale = a.known, a.modSeq, false
		case !errors.Is(err, client.ErrNoMailbox):
			c.log.Warn("annotations", "account", list[i].at.owner, "error", err)
		}
	})
	for i, a := range list {
		if beyond[i] {
			c.fullSharers()
		} else {
			kept = append(kept, a)
		}
	}
	return kept
}

// tellSharers tells what has changed in the accounts of others.
func (c *Conn) tellSharers(ctx context.Context, all bool) {
	s := c.sharers
	if s == nil {
		return
	}
	due := s.due()
	looksAt := func(a *annotations) bool {
		return a.watch.pending(0) || all && c.selectsOf(a.at.owner) || a.stale && due
	}
	follow := due && c.annotations.listed.Load()
	if !follow && !slices.ContainsFunc(s.accounts, looksAt) {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, sharersPatience)
	defer cancel()
	failed := false
	if follow {
		c.annotations.listed.Store(false)
		list, err := c.store.SeenMailboxes(ctx)
		if err == nil {
			c.followSharers(ctx, list, false)
		} else {
			c.log.Warn("annotations", "error", err)
			c.annotations.listed.Store(true)
			failed = true
		}
	}
	for _, a := range slices.Clone(s.accounts) {
		if !looksAt(a) || c.sharer(a.at.owner) != a {
			continue
		}
		a.watch.news(0)
		switch err := c.pullMetadata(ctx, a, all && c.selectsOf(a.at.owner), ownChange{}); {
		case errors.Is(err, client.ErrNoMailbox):
			c.dropSharer(a) // there is no such account, or no more
		case err != nil:
			c.log.Warn("annotations", "account", a.at.owner, "error", err)
			failed = true
		}
		c.boundSharers()
	}
	if failed {
		s.retryLater(c.in.wake)
	} else if due {
		s.pause, s.retry = 0, time.Time{}
	}
}

// due reports whether it is time to read again what could not be read.
func (s *sharers) due() bool { return s.retry.IsZero() || !time.Now().Before(s.retry) }

// retryLater has wake called for what could not be read.
func (s *sharers) retryLater(wake func()) {
	s.pause = min(max(2*s.pause, retryPace), maxRetryPace)
	s.retry = time.Now().Add(s.pause)
	if s.timer == nil {
		s.timer = time.AfterFunc(s.pause, wake)
		return
	}
	s.timer.Reset(s.pause)
}

// boundSharers drops what is known beyond maxWatchedAnnotations, but for the account of
// the selected mailbox, which has no more by itself.
func (c *Conn) boundSharers() {
	s, total := c.sharers, 0
	for _, a := range s.accounts {
		total += len(a.known)
	}
	for i := len(s.accounts) - 1; i >= 0 && total > maxWatchedAnnotations; i-- {
		if a := s.accounts[i]; len(a.known) > 0 && !c.selectsOf(a.at.owner) {
			total -= len(a.known)
			c.dropSharer(a)
			c.fullSharers()
		}
	}
}

// fullSharers notes that there is more than may be kept.
func (c *Conn) fullSharers() {
	if c.sharers.full {
		return
	}
	c.sharers.full = true
	c.w.Untagged("NO more is shared than can be watched: of some mailboxes of others it is not told which annotations change")
}
