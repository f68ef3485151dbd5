package session

import (
	"context"
	"slices"
	"strings"

	pb "github.com/quorumail/quorumail/proto/quorumail/v1"
)

// noting is the store of an account that a connection changes something in. It
// notes what: of that the client is not notified (RFC 5465, 5 and 5.2).
type noting struct {
	Store
	c *Conn
}

// Propose implements Store.
func (s noting) Propose(ctx context.Context, entry *pb.Entry) (*pb.Result, error) {
	res, err := s.Store.Propose(ctx, entry)
	fetches := s.c.box != nil && s.c.box.contexts.fetches()
	if err == nil && (s.c.notify != nil || fetches) && res.GetCode() == pb.Code_CODE_OK && res.GetModSeq() != 0 {
		if a := s.c.notify.watched(s.Account()); a != nil {
			a.note(entry, res)
		}
		s.c.noteMessages(s.Account(), entry, res)
	}
	return res, err
}

// noteMessages notes which messages of the selected mailbox the session has added
// and removed, by an entry of an account.
func (c *Conn) noteMessages(account string, entry *pb.Entry, res *pb.Result) {
	if c.box == nil || c.box.store.Account() != account {
		return
	}
	own := &c.box.own
	for id, uids := range removedBy(entry, res) {
		if id == c.box.id {
			own.removed = own.removed.Union(unpacked(uids))
		}
	}
	if id, uids := addedBy(entry, res); id == c.box.id {
		own.added = own.added.Union(unpacked(uids))
	}
}

// addedBy returns the messages that an entry has added to a mailbox.
func addedBy(entry *pb.Entry, res *pb.Result) (mailboxID uint64, uids *pb.UidSet) {
	switch entry.GetOp().(type) {
	case *pb.Entry_Append, *pb.Entry_Replace, *pb.Entry_Copy:
		return res.GetMailboxId(), res.GetUids()
	}
	return 0, nil
}

// removedBy returns the messages that an entry has removed, of one mailbox.
func removedBy(entry *pb.Entry, res *pb.Result) map[uint64]*pb.UidSet {
	switch op := entry.GetOp().(type) {
	case *pb.Entry_Expunge:
		return map[uint64]*pb.UidSet{op.Expunge.GetMailboxId(): res.GetUids()}
	case *pb.Entry_Replace:
		return map[uint64]*pb.UidSet{op.Replace.GetMailboxId(): res.GetSourceUids()}
	case *pb.Entry_Copy:
		if op.Copy.GetMove() {
			return map[uint64]*pb.UidSet{op.Copy.GetMailboxId(): res.GetSourceUids()}
		}
	}
	return nil
}

// note takes what the session has done itself into what the client knows, so that
// it is told of what others do and of nothing else.
func (a *watched) note(entry *pb.Entry, res *pb.Result) {
	a.own++
	l := &a.known
	switch op := entry.GetOp().(type) {
	case *pb.Entry_CreateMailbox:
		l.make(a.at.shown(op.CreateMailbox.GetName()), res.GetMailboxId())
	case *pb.Entry_DeleteMailbox:
		l.remove(a.at.shown(op.DeleteMailbox.GetName()))
	case *pb.Entry_RenameMailbox:
		from, to := op.RenameMailbox.GetFrom(), op.RenameMailbox.GetTo()
		if from == "INBOX" { // which stays (RFC 9051, 6.3.6)
			a.copyAnnotations(a.at.shown(from), res)
			l.make(a.at.shown(to), res.GetMailboxId())
			break
		}
		l.rename(a.at.shown(from), a.at.shown(to))
	case *pb.Entry_SetMetadata:
		a.noteAnnotations(op.SetMetadata, res.GetModSeq())
	case *pb.Entry_Subscribe:
		at, is := slices.BinarySearch(l.subscriptions, op.Subscribe.GetName())
		switch {
		case op.Subscribe.GetSubscribed() && !is:
			l.subscriptions = slices.Insert(l.subscriptions, at, op.Subscribe.GetName())
		case !op.Subscribe.GetSubscribed() && is:
			l.subscriptions = slices.Delete(l.subscriptions, at, at+1)
		}
	}
	if id, uids := addedBy(entry, res); id != 0 {
		l.count(id, uint32(unpacked(uids).Len()), 0)
	}
	for id, uids := range removedBy(entry, res) {
		l.count(id, 0, uint32(unpacked(uids).Len()))
	}
}

// covers reports whether all that has happened to the account up to a modseq was
// the session's own doing: each entry that changes anything takes the next.
func (a *watched) covers(upTo uint64) bool { return a.own == upTo-a.known.modSeq }

// make notes that the client knows a new mailbox.
func (l *listing) make(name string, id uint64) {
	l.remove(name)
	l.boxes = append(l.boxes, boxState{id: id, name: name, uidNext: 1})
}

// remove notes that the client knows a mailbox to be gone.
func (l *listing) remove(name string) {
	l.boxes = slices.DeleteFunc(l.boxes, func(b boxState) bool { return b.name == name })
}

// rename notes that the client knows a mailbox and those below it by other names.
func (l *listing) rename(from, to string) {
	for i := range l.boxes {
		b := &l.boxes[i]
		if below, ok := strings.CutPrefix(b.name, from); ok && (below == "" || below[0] == '/') {
			b.name = to + below
		}
	}
}

// count notes that the client knows of messages added to a mailbox and removed.
func (l *listing) count(id uint64, added, removed uint32) {
	for i := range l.boxes {
		if b := &l.boxes[i]; b.id == id {
			b.uidNext += added
			b.exists += added - removed
		}
	}
}
