package session

import (
	"context"
	"maps"
	"slices"

	pb "github.com/quorumail/quorumail/proto/quorumail/v1"
)

// annotations is what a client that has enabled METADATA knows of: those of its own
// account, and those of the mailbox that it has selected in another's. It is told
// when others change any (RFC 5464, 4.4). Storage keeps no history of them, so
// what has changed is found by comparing what there was with what there is; that
// is read only when storage says that anything has changed.
type annotations struct {
	watch   *watch
	at      place  // whose they are; its name is of no meaning
	mailbox uint64 // the only one of interest; 0: all, and the server's
	enabled bool   // by ENABLE; else NOTIFY asks for them
	stale   bool   // reading has failed: try again with the next command
	modSeq  uint64 // of the last change that is known
	known   map[annotation]uint64
}

// annotation names one; its value in annotations.known is the modseq under which
// it was last set.
type annotation struct {
	mailbox uint64 // 0: the server
	name    string
}

// enableMetadata is ENABLE METADATA.
func (c *Conn) enableMetadata(ctx context.Context) error {
	if c.annotations == nil {
		if err := c.watchMetadata(ctx); err != nil {
			return err
		}
	}
	c.annotations.enabled = true
	return c.watchSelectedMetadata(ctx)
}

// watchMetadata begins to tell the client of changes in its own account.
func (c *Conn) watchMetadata(ctx context.Context) (err error) {
	c.annotations, err = c.annotationsAt(ctx, place{store: c.store}, 0)
	return err
}

// watchSelectedMetadata begins to do so for the selected mailbox, if it is another
// user's and the client has enabled METADATA.
func (c *Conn) watchSelectedMetadata(ctx context.Context) (err error) {
	if c.box == nil || c.box.annotations != nil || c.box.store.Account() == c.store.Account() || c.annotations == nil || !c.annotations.enabled {
		return nil
	}
	at := place{store: c.box.store, owner: c.box.store.Account()}
	c.box.annotations, err = c.annotationsAt(ctx, at, c.box.id)
	return err
}

// annotationsAt reads what there is in an account, of one mailbox or of all, and
// begins to watch it.
func (c *Conn) annotationsAt(ctx context.Context, at place, mailbox uint64) (*annotations, error) {
	resp, err := at.store.Metadata(ctx, &pb.GetMetadataRequest{All: true, NamesOnly: true}, true)
	if err != nil {
		return nil, err
	}
	a := &annotations{at: at, mailbox: mailbox, modSeq: resp.GetModSeq()}
	a.known = a.of(resp)
	a.watch = c.watchFor(at.store, a.modSeq, (*pb.WatchResponse).GetMetadata)
	return a, nil
}

// of returns those that are of interest.
func (a *annotations) of(resp *pb.GetMetadataResponse) map[annotation]uint64 {
	known := knownOf(resp)
	if a.mailbox != 0 {
		maps.DeleteFunc(known, func(is annotation, _ uint64) bool { return is.mailbox != a.mailbox })
	}
	return known
}

// disableMetadata ends it. Of the selected mailbox it ends with that.
func (c *Conn) disableMetadata() {
	c.annotations.end()
	c.annotations = nil
}

// end ends the watch; also of nil, which has none.
func (a *annotations) end() {
	if a != nil {
		a.watch.stop()
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
// that anyone has been told was done. What cannot be read now is told later. To who
// has asked for it NOTIFY tells of other users' mailboxes, and of no other.
func (c *Conn) tellMetadata(ctx context.Context, all bool) {
	if c.annotations.news(all) {
		c.pullMetadata(ctx, c.annotations, all, ownChange{})
	}
	if c.box != nil && c.notify == nil && c.box.annotations.news(all) {
		c.pullMetadata(ctx, c.box.annotations, all, ownChange{})
	}
}

// news reports whether there may be anything to tell; of nil there is not.
func (a *annotations) news(all bool) bool { return a != nil && (a.watch.news(0) || all || a.stale) }

// nobodys says of a change that it is not the session's own.
func nobodys(annotation, uint64) bool { return false }

// ownMetadata notes what this session has changed itself: it is not told of it
// (RFC 5464, 4.3). modSeq is of the change; op may be nil. What it changes in other
// accounts, NOTIFY notes for itself (see watched.note).
func (c *Conn) ownMetadata(ctx context.Context, at place, modSeq uint64, op *pb.SetMetadataOp) {
	a, all := c.annotations, false
	if at.owner != "" && c.box != nil && c.notify == nil {
		// The mailbox may have been selected by another store than that which has changed it.
		a, all = c.box.annotations, true
	}
	if a == nil || modSeq == 0 || a.at.owner != at.owner {
		return
	}
	own := ownChange{modSeq: modSeq, mailbox: at.shown(op.GetMailbox()), removed: make(map[string]bool)}
	for _, e := range op.GetEntries() {
		own.removed[e.GetName()] = e.Value == nil
	}
	c.pullMetadata(ctx, a, all, own)
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
// are the session's own.
func (c *Conn) pullMetadata(ctx context.Context, a *annotations, all bool, own ownChange) {
	resp, err := a.at.store.Metadata(ctx, &pb.GetMetadataRequest{All: true, NamesOnly: true, SinceModSeq: a.modSeq}, all)
	if err != nil {
		c.log.Warn("annotations", "error", err)
		a.stale = true
		return
	}
	a.stale = false
	if resp.GetModSeq() <= a.modSeq {
		return
	}
	names := make(map[uint64]string)
	for _, m := range resp.GetMailboxes() {
		names[m.GetMailboxId()] = a.at.shown(m.GetMailbox())
	}
	now := a.of(resp)
	changed, gone := changedAnnotations(a.known, now, func(_ annotation, at uint64) bool { return at != 0 && at == own.modSeq })
	if gone {
		if err := c.nameAll(ctx, a, names); err != nil {
			c.log.Warn("annotations", "error", err)
			a.stale = true
			return
		}
	}
	a.modSeq, a.known = resp.GetModSeq(), now
	own.leaveOut(changed, names, now)
	c.tellChanged(changed, names)
}

// nameAll adds the names of mailboxes that have no annotations any more: a mailbox
// that has lost its last is not named with any. One that has been deleted, or may not
// be read any more, has none to be told of.
func (c *Conn) nameAll(ctx context.Context, a *annotations, names map[uint64]string) error {
	if a.mailbox != 0 {
		// It need not be one that LIST tells.
		switch _, _, err := a.at.store.Changes(ctx, a.mailbox, &pb.Since{ModSeq: uint64(c.box.view.Taken())}, false); {
		case lost(err):
			return nil // the next look at the mailbox finds out
		case err != nil:
			return err
		}
		if names[a.mailbox] == "" {
			names[a.mailbox] = c.box.name
		}
		return nil
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
