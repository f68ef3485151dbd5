package session

import (
	"context"
	"maps"
	"slices"
	"sync/atomic"

	"github.com/quorumail/quorumail/proto/imapnum"
	pb "github.com/quorumail/quorumail/proto/quorumail/v1"
)

// annotations is what a client knows of an account's: one that has enabled METADATA
// of its own and of those in which it can read some, see sharedAnnotations. It is
// told when others change any (RFC 5464, 4.4). Storage keeps no history of them, so
// what has changed is found by comparing what there was with what there is; that
// is read only when storage says that anything has changed.
type annotations struct {
	watch   *watch
	at      place // whose they are; its name is of no meaning
	enabled bool  // the user's own: by ENABLE; else NOTIFY asks for them
	// noted, of another user's: the owner is noted to share mailboxes, or some are
	// subscribed to. Else one is selected.
	noted  bool
	stale  bool   // reading has failed: try again
	modSeq uint64 // of the last change that is known
	known  map[annotation]uint64
	// listed: which mailboxes there are, and who may do what with them, may be
	// otherwise than before; of the user's own account, who shares some, too.
	listed atomic.Bool
}

// annotation names one; its value in annotations.known is the modseq under which
// it was last set.
type annotation struct {
	mailbox uint64 // 0: the server
	name    string
}

// enableMetadata is ENABLE METADATA. Who has used NOTIFY is told what it asks for,
// and nothing else.
func (c *Conn) enableMetadata(ctx context.Context) error {
	if c.notify != nil {
		if c.annotations == nil {
			if err := c.watchMetadata(ctx); err != nil {
				return err
			}
		}
		c.annotations.enabled = true
		return nil
	}
	list, err := c.store.ListMailboxes(ctx)
	if err != nil {
		return err
	}
	a, err := c.annotationsAt(ctx, place{store: c.store})
	if err != nil {
		return err
	}
	a.enabled = true
	a.start(c, list.GetModSeq(), true)
	c.annotations, c.sharers = a, &sharers{}
	c.followSharers(ctx, list, true)
	return c.watchSelectedMetadata(ctx)
}

// watchMetadata begins to tell the client of changes in its own account.
func (c *Conn) watchMetadata(ctx context.Context) (err error) {
	c.annotations, err = c.annotationsAt(ctx, place{store: c.store})
	if err == nil {
		c.annotations.start(c, c.annotations.modSeq, false)
	}
	return err
}

// annotationsAt reads what there is in an account.
func (c *Conn) annotationsAt(ctx context.Context, at place) (*annotations, error) {
	resp, err := at.store.Metadata(ctx, &pb.GetMetadataRequest{All: true, NamesOnly: true}, true)
	if err != nil {
		return nil, err
	}
	return &annotations{at: at, modSeq: resp.GetModSeq(), known: knownOf(resp)}, nil
}

// start begins to watch the account: with lists, also for which mailboxes there are
// and who may do what with them.
func (a *annotations) start(c *Conn, since uint64, lists bool) {
	a.watch = c.watchFor(a.at.store, since, func(e *pb.WatchResponse) bool {
		list := lists && e.GetMailboxList()
		if list {
			a.listed.Store(true) // first: who is told that there is news looks at it
		}
		return list || e.GetMetadata()
	})
}

// disableMetadata ends it.
func (c *Conn) disableMetadata() {
	c.endSharers()
	if c.annotations != nil {
		c.annotations.watch.stop()
		c.annotations = nil
	}
}

func knownOf(resp *pb.GetMetadataResponse) map[annotation]uint64 {
	known := make(map[annotation]uint64)
	for _, m := range resp.GetMailboxes() {
		for _, e := range m.GetEntries() {
			known[annotation{m.GetMailboxId(), e.GetName()}] = e.GetModSeq()
		}
	}
	return known
}

// tellMetadata tells which annotations have changed: with all, of everything
// that anyone has been told was done, in the user's own account and in that of the
// selected mailbox. What cannot be read now is told later.
func (c *Conn) tellMetadata(ctx context.Context, all bool) {
	if c.annotations.news(all) {
		if err := c.pullMetadata(ctx, c.annotations, all, ownChange{}); err != nil {
			c.log.Warn("annotations", "error", err)
		}
	}
	c.tellSharers(ctx, all)
}

// news reports whether there may be anything to tell; of nil there is not.
func (a *annotations) news(all bool) bool {
	return a != nil && (a.watch.news(0) || all || a.stale)
}

// nobodys says of a change that it is not the session's own.
func nobodys(annotation, uint64) bool { return false }

// ownMetadata notes what this session has changed itself: it is not told of it
// (RFC 5464, 4.3). modSeq is of the change; op may be nil. What it changes in other
// accounts, NOTIFY notes for itself (see watched.note).
func (c *Conn) ownMetadata(ctx context.Context, at place, modSeq uint64, op *pb.SetMetadataOp) {
	a := c.annotations
	if at.owner != "" {
		a = c.sharer(at.owner)
	}
	if a == nil || modSeq == 0 {
		return
	}
	own := ownChange{modSeq: modSeq, mailbox: at.shown(op.GetMailbox()), removed: make(map[string]bool)}
	for _, e := range op.GetEntries() {
		own.removed[e.GetName()] = e.Value == nil
	}
	if err := c.pullMetadata(ctx, a, false, own); err != nil {
		c.log.Warn("annotations", "error", err)
	}
}

// ownChange is what the session has done itself: all that is set at a modseq, and
// annotations of a mailbox that it has removed, which have none.
type ownChange struct {
	modSeq  uint64 // 0: it has done nothing
	mailbox string
	removed map[string]bool
}

// leaveOut takes out of what has changed what the session has removed, and others
// have not set again.
func (o ownChange) leaveOut(changed map[uint64][]string, names map[uint64]string, now map[annotation]uint64) {
	for id, list := range changed {
		if names[id] != o.mailbox {
			continue
		}
		list = slices.DeleteFunc(list, func(name string) bool { return o.removed[name] && now[annotation{id, name}] == 0 })
		if changed[id] = list; len(list) == 0 {
			delete(changed, id)
		}
	}
}

// pullMetadata reads what there is and tells the differences, but for those that
// are the session's own. A mailbox that comes into sight has had none; of one that
// is lost nothing is told. After an error it is to be tried again.
func (c *Conn) pullMetadata(ctx context.Context, a *annotations, all bool, own ownChange) error {
	since, listed := a.modSeq, a.at.owner != "" && a.listed.Swap(false)
	if listed || a.known == nil {
		since = 0 // what may be read does not show in it
	}
	resp, err := a.at.store.Metadata(ctx, &pb.GetMetadataRequest{All: true, NamesOnly: true, SinceModSeq: since}, all)
	var now map[annotation]uint64
	var names map[uint64]string
	var changed map[uint64][]string
	if err == nil && resp.GetModSeq() > since {
		now, names = knownOf(resp), make(map[uint64]string)
		for _, m := range resp.GetMailboxes() {
			names[m.GetMailboxId()] = a.at.shown(m.GetMailbox())
		}
		var gone bool
		changed, gone = changedAnnotations(a.known, now, func(_ annotation, at uint64) bool { return at != 0 && at == own.modSeq })
		if gone {
			err = nameAll(ctx, a, names)
		}
	}
	if a.stale = err != nil; a.stale {
		if listed {
			a.listed.Store(true)
		}
		return err
	}
	if now == nil {
		return nil
	}
	a.modSeq, a.known = resp.GetModSeq(), now
	own.leaveOut(changed, names, now)
	c.tellChanged(changed, names)
	return nil
}

// nameAll adds the names of mailboxes that have no annotations any more: a mailbox
// that has lost its last is not named with any. One that has been deleted, or of
// which the user may not read any, has none to be told of.
func nameAll(ctx context.Context, a *annotations, names map[uint64]string) error {
	if a.at.owner != "" {
		list, err := a.at.store.SeenMailboxes(ctx)
		for _, info := range list.GetMailboxes() {
			if imapnum.Rights(info.GetRights()).MayAnnotate() {
				names[info.GetId()] = a.at.shown(info.GetName())
			}
		}
		return err
	}
	l, err := a.at.store.ListMailboxes(ctx)
	for _, info := range l.GetMailboxes() {
		names[info.GetId()] = info.GetName()
	}
	names[0] = ""
	return err
}

// changedAnnotations returns the names of the annotations of each mailbox that have
// been set or removed, but for those that are own, and whether any has been removed.
func changedAnnotations(before, now map[annotation]uint64, own func(annotation, uint64) bool) (changed map[uint64][]string, gone bool) {
	changed = make(map[uint64][]string)
	for is, at := range now {
		if before[is] != at && !own(is, at) {
			changed[is.mailbox] = append(changed[is.mailbox], is.name)
		}
	}
	for is := range before {
		if _, still := now[is]; !still && !own(is, 0) {
			changed[is.mailbox] = append(changed[is.mailbox], is.name)
			gone = true
		}
	}
	return changed, gone
}

// tellChanged tells which annotations have changed of the mailboxes that have names
// and are of interest.
func (c *Conn) tellChanged(changed map[uint64][]string, names map[uint64]string) {
	for _, id := range slices.Sorted(maps.Keys(changed)) {
		if name, exists := names[id]; exists && c.wantsAnnotations(name) {
			slices.Sort(changed[id])
			c.w.MetadataChanged(name, changed[id])
		}
	}
}
