package session

import (
	"context"
	"maps"
	"slices"

	pb "github.com/quorumail/quorumail/proto/quorumail/v1"
)

// annotations is what a client that has enabled METADATA knows of: it is told
// when others change any (RFC 5464, 4.4). Storage keeps no history of them, so
// what has changed is found by comparing what there was with what there is; that
// is read only when storage says that anything has changed.
type annotations struct {
	watch   *watch
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
	return nil
}

// watchMetadata begins to tell the client of changes.
func (c *Conn) watchMetadata(ctx context.Context) error {
	resp, err := c.store.Metadata(ctx, &pb.GetMetadataRequest{All: true, NamesOnly: true}, true)
	if err != nil {
		return err
	}
	a := &annotations{modSeq: resp.GetModSeq(), known: knownOf(resp)}
	a.watch = c.watchFor(c.store, a.modSeq, (*pb.WatchResponse).GetMetadata)
	c.annotations = a
	return nil
}

// disableMetadata ends it.
func (c *Conn) disableMetadata() {
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
// that anyone has been told was done. What cannot be read now is told later.
func (c *Conn) tellMetadata(ctx context.Context, all bool) {
	a := c.annotations
	if a == nil || !a.watch.news(0) && !all && !a.stale {
		return
	}
	c.pullMetadata(ctx, all, nobodys)
}

// nobodys says of a change that it is not the session's own.
func nobodys(annotation, uint64) bool { return false }

// ownMetadata notes what this session has changed itself: it is not told of it
// (RFC 5464, 4.3). modSeq is of the change; op may be nil. What it changes in other
// accounts is noted there (see watched.note).
func (c *Conn) ownMetadata(ctx context.Context, at place, modSeq uint64, op *pb.SetMetadataOp) {
	if c.annotations == nil || modSeq == 0 || at.owner != "" {
		return
	}
	removed := make(map[string]bool)
	for _, e := range op.GetEntries() {
		removed[e.GetName()] = e.Value == nil
	}
	c.pullMetadata(ctx, false, func(is annotation, at uint64) bool { return at == modSeq || at == 0 && removed[is.name] })
}

// pullMetadata reads what there is and tells the differences, but for those that
// are own: set at a modseq, or removed, which has none.
func (c *Conn) pullMetadata(ctx context.Context, all bool, own func(annotation, uint64) bool) {
	a := c.annotations
	resp, err := c.store.Metadata(ctx, &pb.GetMetadataRequest{All: true, NamesOnly: true, SinceModSeq: a.modSeq}, all)
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
		names[m.GetMailboxId()] = m.GetMailbox()
	}
	now := knownOf(resp)
	changed, gone := changedAnnotations(a.known, now, own)
	if gone {
		// A mailbox that has lost its last is not named above; one that has been
		// deleted has none to be told of.
		l, err := c.store.ListMailboxes(ctx)
		if err != nil {
			c.log.Warn("annotations", "error", err)
			a.stale = true
			return
		}
		for _, info := range l.GetMailboxes() {
			names[info.GetId()] = info.GetName()
		}
		names[0] = ""
	}
	a.modSeq, a.known = resp.GetModSeq(), now
	c.tellChanged(changed, names)
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
