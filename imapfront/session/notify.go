package session

import (
	"context"
	"errors"
	"time"

	"github.com/quorumail/quorumail/imapfront/wire"
	"github.com/quorumail/quorumail/proto/imapnum"
)

// notify is what a client has asked for by NOTIFY (RFC 5465). As long as it has
// not, it is told of the selected mailbox only, and only while a command is under
// way; from then on it is told of what it has asked for and of nothing else, as
// it happens.
//
// What has happened is found by comparing what storage tells with what it told
// last: a watch only wakes. However much happens, that is done once in a while
// (see pace), so that many changes become one notification.
type notify struct {
	selected selection
	groups   []notifyGroup // of the other mailboxes
	server   bool          // ServerMetadataChange
	account  *watched      // nil if nothing but the selected mailbox is of interest
	// others are other users' accounts in which there may be mailboxes of interest.
	others map[string]*watched

	lastLook time.Time
	timer    *time.Timer // wakes for the next look; nil until one had to wait
	waiting  bool        // for timer
}

// selection is what the client wants to know of the selected mailbox.
type selection struct {
	messages bool // MessageNew and MessageExpunge
	flags    bool // FlagChange
	delayed  bool // expunges only where a command allows them
	fetch    []wire.FetchItem
}

// watched is an account as the client knows it: of another user's what its rights
// let it see.
type watched struct {
	at    place
	watch *watch
	known listing // with what the client has done itself since
	// own is how many of the account's modseqs the session's entries have taken since
	// known was read.
	own   uint64
	stale bool  // it could not be read, or followed, when it should
	scope scope // of another user's
	// annotations are those of another user's mailboxes that the client can read; nil:
	// they are not of interest. With what the client has set itself.
	annotations map[annotation]uint64
	// refused are names that the client has been told to have lost access to.
	refused map[string]bool
}

const (
	// pace is how often an account is looked at, at most.
	pace = 100 * time.Millisecond
	// retryPace is how long a look waits that has failed.
	retryPace = time.Second
	// maxNotifyNames bounds the mailboxes that a NOTIFY names.
	maxNotifyNames = 1000
)

// supportedEvents is what BADEVENT lists.
const supportedEvents = "MessageNew MessageExpunge FlagChange MailboxName SubscriptionChange MailboxMetadataChange ServerMetadataChange"

// setNotify is NOTIFY (RFC 5465, 3.1).
func (c *Conn) setNotify(ctx context.Context, cmd wire.Notify) error {
	names := 0
	for _, g := range cmd.Groups {
		if g.Events.AnnotationChange || len(g.Events.Unknown) > 0 {
			return c.no("BADEVENT ("+supportedEvents+")", "not all of these events can be told of")
		}
		names += len(g.Mailboxes)
	}
	if names > maxNotifyNames {
		return c.no("NOTIFICATIONOVERFLOW", "too many mailboxes are named")
	}
	if cmd.Groups == nil {
		c.endNotify()
		c.endSharers()
		c.notify = &notify{}
		return c.ok("", "NOTIFY NONE done")
	}
	n := newNotify(cmd)
	if c.box != nil { // SET implies NOOP
		c.box.view.Recall()
		if err := c.pull(ctx, true); err != nil {
			return c.boxFailed("NOTIFY", err)
		}
	}
	var lists []accountList
	if len(n.groups) > 0 {
		var err error
		switch lists, err = c.accountsFor(ctx, n); {
		case errors.Is(err, errTooMuch):
			return c.no("NOTIFICATIONOVERFLOW", err.Error())
		case err != nil:
			return c.fail("NOTIFY", err)
		}
		if n.wantsMetadata() && c.annotations == nil {
			if err := c.watchMetadata(ctx); err != nil {
				return c.fail("NOTIFY", err)
			}
		}
	}
	c.endNotify()
	c.endSharers() // who has used NOTIFY is told what it asks for
	if c.box != nil {
		fresh := c.box.view.Fresh()
		c.tell(true) // of everything: none of it has been asked for yet
		if n.selected.fetch != nil {
			c.box.unfetched = c.box.unfetched.Union(fresh)
		}
	}
	c.notify = n
	for _, l := range lists {
		n.watch(c, l)
	}
	for _, l := range lists {
		c.tellNoAccess(l)
		if cmd.Status {
			c.tellStatuses(l)
		}
	}
	if err := c.fetchFresh(ctx); err != nil {
		return err
	}
	return c.ok("", "NOTIFY SET done")
}

func newNotify(cmd wire.Notify) *notify {
	n := &notify{}
	for _, g := range cmd.Groups {
		e := g.Events
		switch g.Filter {
		case "SELECTED", "SELECTED-DELAYED":
			n.selected = selection{messages: e.Message, flags: e.FlagChange, fetch: e.Fetch, delayed: g.Filter == "SELECTED-DELAYED"}
		default:
			n.groups = append(n.groups, newNotifyGroup(g))
			n.server = n.server || e.ServerMetadata
		}
	}
	return n
}

// endNotify ends what has been asked for.
func (c *Conn) endNotify() {
	n := c.notify
	c.notify = nil
	if n == nil {
		return
	}
	for _, a := range n.accounts() {
		a.watch.stop()
	}
	if n.timer != nil {
		n.timer.Stop()
	}
	if c.annotations != nil && !c.annotations.enabled {
		c.disableMetadata()
	}
}

// listens reports whether the client is told of anything while no command is
// under way.
func (n *notify) listens() bool {
	return n != nil && (n.selected.messages || n.account != nil)
}

// notified tells the client what it has asked for and what is new, while it is
// waited for. The error, if any, is errBye.
func (c *Conn) notified(ctx context.Context) error {
	n := c.notify
	if wait := pace - time.Since(n.lastLook); wait > 0 {
		n.lookAgain(wait, c.in.wake)
		return nil
	}
	n.lastLook, n.waiting = time.Now(), false
	failed := false
	if c.box != nil && n.selected.messages {
		if err := c.refreshSelected(ctx); lost(err) {
			if err := c.tellLost(err); err != nil {
				return err
			}
		} else if err != nil {
			c.log.Warn("notify", "error", err)
			failed = true
		} else {
			c.tell(c.idling || !n.selected.delayed)
		}
	}
	for _, a := range n.accounts() {
		if c.notify != n {
			return nil // it has been given up
		}
		if !a.watch.news(imapnum.ModSeq(a.known.modSeq)) && !a.stale && !a.scope.annotationsPending() {
			continue
		}
		if err := c.look(ctx, a); err != nil {
			c.log.Warn("notify", "account", a.at.store.Account(), "error", err)
			failed = true
		}
	}
	if failed {
		n.lookAgain(retryPace, c.in.wake)
	}
	return nil
}

// refreshSelected brings the view up to date for notifications: also if only the watch
// of the account knows yet that there is something, for another user's, so that the
// mailbox is told to be closed before its name is told to be lost.
func (c *Conn) refreshSelected(ctx context.Context) error {
	a := c.notify.watched(c.box.store.Account())
	if a != nil && a.at.owner != "" && a.watch.pending(imapnum.ModSeq(a.known.modSeq)) {
		return c.pull(ctx, false)
	}
	return c.refresh(ctx)
}

// lookAgain has wake called after a while, unless that is under way.
func (n *notify) lookAgain(after time.Duration, wake func()) {
	if n.waiting {
		return
	}
	n.waiting = true
	if n.timer == nil {
		n.timer = time.AfterFunc(after, wake)
		return
	}
	n.timer.Reset(after)
}

// afterCommand tells what the command that has just been answered held back.
func (c *Conn) afterCommand(ctx context.Context) error {
	if c.box == nil || c.state != selected { // nothing comes after LOGOUT's answer
		return nil
	}
	if n := c.notify; n != nil && n.selected.messages && !n.selected.delayed {
		c.tell(true)
	}
	return c.fetchFresh(ctx)
}

// overflow gives up (RFC 5465, 5.8).
func (c *Conn) overflow() {
	c.w.Untagged("OK [NOTIFICATIONOVERFLOW] more happens than can be told; there are no notifications any more")
	c.endNotify()
	c.notify = &notify{}
}
