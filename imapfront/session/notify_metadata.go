package session

import (
	"context"
	"errors"
	"maps"
	"sync/atomic"

	pb "github.com/quorumail/quorumail/proto/quorumail/v1"
)

// Notifications of annotations of other users' mailboxes (RFC 5465, 5.6): the shared
// ones and the private ones that the user has there itself. They are compared as
// those of the user's own are, with the account's watch for a waker. A mailbox that
// comes into sight has had none, as if it had just been made; of one that cannot be
// read any more nothing is kept and nothing told.

// maxWatchedAnnotations bounds the annotations of others' mailboxes that a connection
// knows of: each costs some tens of octets and its name.
const maxWatchedAnnotations = 10_000

// annotate reads the annotations of listed accounts. The error is errTooMuch or one
// of storage.
func (c *Conn) annotate(ctx context.Context, lists []accountList) error {
	errs := make([]error, len(lists))
	var total atomic.Int64
	inParallel(len(lists), func(i int) {
		if total.Load() > maxWatchedAnnotations {
			return // it is too much already
		}
		l := listingOf(lists[i].list)
		lists[i].annotations, errs[i] = annotationsOf(ctx, lists[i].at.store, readable(&l))
		total.Add(int64(len(lists[i].annotations)))
	})
	if total.Load() > maxWatchedAnnotations {
		return errTooMuch
	}
	return errors.Join(errs...)
}

// readable returns the names of the mailboxes that can be read.
func readable(l *listing) map[uint64]string {
	names := make(map[uint64]string, len(l.boxes))
	for i := range l.boxes {
		if b := &l.boxes[i]; !b.denied {
			names[b.id] = b.name
		}
	}
	return names
}

// annotationsOf reads which annotations mailboxes of an account have, at least as
// late as the account's list was. Those of others, which that list did not have,
// come with the next.
func annotationsOf(ctx context.Context, store Store, mailboxes map[uint64]string) (map[annotation]uint64, error) {
	if len(mailboxes) == 0 {
		return make(map[annotation]uint64), nil
	}
	resp, err := store.Metadata(ctx, &pb.GetMetadataRequest{All: true, NamesOnly: true}, false)
	if err != nil {
		return nil, err
	}
	known := knownOf(resp)
	maps.DeleteFunc(known, func(is annotation, _ uint64) bool { return mailboxes[is.mailbox] == "" })
	return known, nil
}

// tellAnnotations tells which annotations of another user's mailboxes others have
// changed, if any may have been. What cannot be read now is read later.
func (c *Conn) tellAnnotations(ctx context.Context, a *watched) error {
	if !a.scope.annotationsPending() {
		return nil
	}
	a.scope.setAnnotations(false)
	names := readable(&a.known)
	now, err := annotationsOf(ctx, a.at.store, names)
	var changed map[uint64][]string
	if err == nil {
		var gone bool
		changed, gone = changedAnnotations(a.annotations, now, nobodys)
		if gone {
			err = a.keepReadable(ctx, names)
		}
	}
	if err != nil {
		a.scope.setAnnotations(true)
		a.stale = true
		return err
	}
	a.annotations = now
	maps.DeleteFunc(changed, func(id uint64, _ []string) bool { return names[id] == "" || !c.wantsAnnotations(names[id]) })
	if len(changed) > c.cfg.MaxNotices || c.notify.tooManyOthers() {
		c.overflow()
		return nil
	}
	c.tellChanged(changed, names)
	return nil
}

// keepReadable takes out of names the mailboxes that cannot be read any more, since
// they were listed: that is not to be told as their annotations' removal.
func (a *watched) keepReadable(ctx context.Context, names map[uint64]string) error {
	list, err := a.at.store.SeenMailboxes(ctx)
	if err != nil {
		return err
	}
	a.at.show(list)
	l := listingOf(list)
	still := readable(&l)
	maps.DeleteFunc(names, func(id uint64, _ string) bool { return still[id] == "" })
	return nil
}

// noteAnnotations notes what the session has set itself, at a modseq.
func (a *watched) noteAnnotations(op *pb.SetMetadataOp, modSeq uint64) {
	id := a.known.byName()[a.at.shown(op.GetMailbox())]
	if a.annotations == nil || id == 0 {
		return
	}
	for _, e := range op.GetEntries() {
		if is := (annotation{id, e.GetName()}); e.Value == nil {
			delete(a.annotations, is)
		} else {
			a.annotations[is] = modSeq
		}
	}
}

// copyAnnotations notes that the session has renamed INBOX, which leaves its
// annotations and copies them (RFC 5464, 4.1).
func (a *watched) copyAnnotations(inbox string, res *pb.Result) {
	id := a.known.byName()[inbox]
	for is := range maps.Clone(a.annotations) {
		if is.mailbox == id {
			a.annotations[annotation{res.GetMailboxId(), is.name}] = res.GetModSeq()
		}
	}
}
