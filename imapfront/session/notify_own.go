package session

import (
	"context"

	pb "github.com/quorumail/quorumail/proto/quorumail/v1"
)

// noting is the store of a connection's own account. It notes what the session
// changes: of that it is not notified (RFC 5465, 5).
type noting struct {
	Store
	c *Conn
}

// Propose implements Store.
func (s noting) Propose(ctx context.Context, entry *pb.Entry) (*pb.Result, error) {
	res, err := s.Store.Propose(ctx, entry)
	if err == nil && s.c.notify != nil && res.GetCode() == pb.Code_CODE_OK && res.GetModSeq() != 0 {
		if a := s.c.notify.account; a != nil {
			a.own.note(entry, res)
		}
		s.c.noteMessages(entry, res)
	}
	return res, err
}

// noteMessages notes which messages of the selected mailbox the session has added
// and removed.
func (c *Conn) noteMessages(entry *pb.Entry, res *pb.Result) {
	if c.box == nil || c.box.store.Account() != c.store.Account() {
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

// ownChanges is what a session has done to its account since a listing.
type ownChanges struct {
	// modSeqs are how many of the account's modseqs its entries have taken.
	modSeqs       uint64
	boxes         map[uint64]ownCounts
	names         map[string]bool // made, renamed and removed
	subscriptions map[string]bool
}

// ownCounts is how many messages of a mailbox a session has added and removed.
type ownCounts struct{ added, removed uint32 }

// maxOwn bounds how many entries are noted between two looks, which follow each
// other closely unless storage is out of reach. Beyond it the client is told of
// its own changes, too.
const maxOwn = 4096

// note notes an entry that has changed something.
func (o *ownChanges) note(entry *pb.Entry, res *pb.Result) {
	if o.modSeqs >= maxOwn {
		return
	}
	if o.boxes == nil {
		*o = ownChanges{boxes: make(map[uint64]ownCounts), names: make(map[string]bool), subscriptions: make(map[string]bool)}
	}
	o.modSeqs++
	switch op := entry.GetOp().(type) {
	case *pb.Entry_CreateMailbox:
		o.names[op.CreateMailbox.GetName()] = true
	case *pb.Entry_DeleteMailbox:
		o.names[op.DeleteMailbox.GetName()] = true
	case *pb.Entry_RenameMailbox:
		o.names[op.RenameMailbox.GetFrom()], o.names[op.RenameMailbox.GetTo()] = true, true
	case *pb.Entry_Subscribe:
		o.subscriptions[op.Subscribe.GetName()] = true
	}
	if id, uids := addedBy(entry, res); id != 0 {
		n := o.boxes[id]
		n.added += uint32(unpacked(uids).Len())
		o.boxes[id] = n
	}
	for id, uids := range removedBy(entry, res) {
		n := o.boxes[id]
		n.removed += uint32(unpacked(uids).Len())
		o.boxes[id] = n
	}
}

// cover reports whether all that has happened to the account above one modseq and
// up to another was the session's own doing: each entry that changes anything
// takes the next.
func (o *ownChanges) cover(above, upTo uint64) bool { return o.modSeqs == upTo-above }

// after returns a mailbox as it would be if nobody else had added or removed a
// message.
func (o *ownChanges) after(b boxState) boxState {
	n := o.boxes[b.id]
	b.uidNext += n.added
	b.exists += n.added - n.removed
	return b
}
