package session

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"

	"google.golang.org/protobuf/proto"

	"github.com/quorumail/quorumail/imapfront/wire"
	"github.com/quorumail/quorumail/node/client"
	"github.com/quorumail/quorumail/node/client/message"
	"github.com/quorumail/quorumail/proto/imapnum"
	pb "github.com/quorumail/quorumail/proto/quorumail/v1"
)

// COPY and MOVE between accounts. No log entry is of two accounts, so messages are
// passed on: their bodies chunk by chunk, as they are stored, into the other
// account, and then one append. More messages than one append takes need several.
// If a later one fails, what the earlier ones have added is taken back, so that
// COPY is done whole or not at all (RFC 9051, 6.4.7); others may then see messages
// come and go, and a frontend that dies in between leaves them. MOVE removes from the source
// what has been appended, and nothing else, whether or not it is \Deleted: a message
// is at all times in one of both mailboxes (RFC 6851, 3.3).

// copyAcross is COPY and MOVE to another account.
func (c *Conn) copyAcross(ctx context.Context, cmd wire.Copy, set imapnum.Set, dst place) error {
	const needed = imapnum.RightExpunge | imapnum.RightDeleted // RFC 6851, 4.2
	if cmd.Move && !c.box.rights.Has(needed) {
		return c.refused(&pb.Result{Code: pb.Code_CODE_NO_PERMISSION})
	}
	tellsUIDs, err := c.mayInsert(ctx, dst)
	if err != nil {
		return c.intoFailed(ctx, dst, "COPY", err)
	}
	a := &across{c: c, dst: dst}
	if err := a.run(ctx, set); err != nil {
		a.undo(ctx)
		var refusal *refusedError
		switch {
		case errors.As(err, &refusal):
			return c.refusedInto(ctx, dst, refusal.res)
		case errors.Is(err, client.ErrNoMailbox), errors.Is(err, client.ErrNoPermission):
			return c.boxFailed("COPY", err)
		}
		return c.fail("COPY", err)
	}
	from, code := a.from.Set(), ""
	if tellsUIDs {
		code = a.copyUID()
	}
	switch {
	case !cmd.Move:
		c.tell(false)
		return c.ok(code, "COPY done")
	case from.Empty():
		return c.ok("", "MOVE done")
	case code != "":
		// Before the expunges, so that the client knows where the messages went (RFC
		// 6851, 4.3).
		c.w.Untagged("OK [", code, "] moved")
	}
	res, err := c.box.store.Propose(ctx, &pb.Entry{Op: &pb.Entry_Expunge{Expunge: &pb.ExpungeOp{
		MailboxId: c.box.id, Uids: packed(from), UndeletedToo: true,
	}}})
	if err != nil {
		return c.boxFailed("MOVE", err)
	}
	if res.GetCode() != pb.Code_CODE_OK {
		return c.refused(res) // they are in both mailboxes now
	}
	if err := c.pull(ctx, false); err != nil {
		return c.boxFailed("MOVE", err)
	}
	c.tell(true)
	return c.ok(c.modSeqCode(res), "MOVE done")
}

// refusedError is a refusal of the destination's state machine.
type refusedError struct{ res *pb.Result }

func (e *refusedError) Error() string { return fmt.Sprintf("refused: %v", e.res) }

// across is a copy to another account under way.
type across struct {
	c   *Conn
	dst place

	msg    *pb.AppendMessage // whose chunks are coming; nil: none
	uid    imapnum.UID       // its own
	chunks uint32            // that are yet to come
	stage  bool              // they do not ride in the entry

	op *pb.AppendOp // what has been gathered
	// budget and records are as in receiveAll.
	budget, records int
	uids            []imapnum.UID

	// What has been appended: which messages, under which UIDs of which mailbox.
	from, to    imapnum.SetBuilder
	mailboxID   uint64
	uidValidity uint32
}

// run copies those messages of a set that exist.
func (a *across) run(ctx context.Context, set imapnum.Set) error {
	a.reset()
	var words []string
	err := a.c.box.store.Fetch(ctx, &pb.FetchRequest{
		MailboxId: a.c.box.id, Uids: packed(set), Email: true, Body: pb.FetchRequest_BODY_ALL,
	}, func(r *pb.FetchResponse) error {
		if len(r.GetKeywords()) > len(words) {
			words = r.GetKeywords()
		}
		switch {
		case r.GetMessage() != nil:
			return a.begin(ctx, r.GetMessage(), words)
		case r.GetChunk() != nil && a.msg != nil:
			return a.chunk(ctx, r.GetChunk())
		}
		return nil
	})
	if err != nil {
		return err
	}
	return a.flush(ctx)
}

// begin takes a message. The copy's body has an id of its own: bodies are not
// shared between accounts.
func (a *across) begin(ctx context.Context, m *pb.FetchedMessage, words []string) error {
	e := proto.CloneOf(m.GetEmail())
	e.EmailId, e.ThreadId = 0, 0
	e.BodyId = make([]byte, 16)
	rand.Read(e.BodyId)
	s := m.GetState()
	a.msg = &pb.AppendMessage{Flags: flagNames(s, words), InternalDate: m.GetInternalDate(), ZoneMinutes: m.GetZoneMinutes(), Email: e}
	a.uid, a.chunks = imapnum.UID(s.GetUid()), m.GetChunks()
	a.stage = e.GetSize() > uint64(max(a.budget, 0))
	if a.chunks == 0 {
		return a.end(ctx)
	}
	return nil
}

// chunk takes a piece of the body, as it is stored.
func (a *across) chunk(ctx context.Context, chunk *pb.BodyChunk) error {
	if a.stage {
		if err := a.dst.store.PutChunk(ctx, a.msg.GetEmail().GetBodyId(), chunk); err != nil {
			return a.notStaged(err)
		}
	} else {
		a.msg.Inline = append(a.msg.Inline, proto.CloneOf(chunk))
		a.budget -= len(chunk.GetData())
	}
	if a.chunks--; a.chunks > 0 {
		return nil
	}
	return a.end(ctx)
}

// end takes the message that has come whole.
func (a *across) end(ctx context.Context) error {
	if a.records -= proto.Size(a.msg.GetEmail()); a.records < 0 {
		if err := message.StageEmail(ctx, a.msg, a.dst.store); err != nil {
			return a.notStaged(err)
		}
	}
	a.op.Messages, a.uids = append(a.op.Messages, a.msg), append(a.uids, a.uid)
	a.msg = nil
	if len(a.uids) < maxMessages {
		return nil
	}
	return a.flush(ctx)
}

// notStaged is the error of staging something: that the destination's account is
// gone must not be taken for the selected mailbox's being.
func (a *across) notStaged(err error) error {
	if errors.Is(err, client.ErrNoMailbox) {
		return &refusedError{&pb.Result{Code: pb.Code_CODE_NO_MAILBOX}}
	}
	return err
}

// reset begins another append.
func (a *across) reset() {
	a.op, a.uids = &pb.AppendOp{Mailbox: a.dst.name}, nil
	a.budget, a.records = inlineTotal, recordTotal
}

// flush appends what has been gathered.
func (a *across) flush(ctx context.Context) error {
	if len(a.op.GetMessages()) == 0 {
		return nil
	}
	res, err := a.dst.store.Propose(ctx, &pb.Entry{Op: &pb.Entry_Append{Append: a.op}})
	if err != nil {
		return err
	}
	to := unpacked(res.GetUids())
	switch {
	case res.GetCode() != pb.Code_CODE_OK:
		return &refusedError{res}
	case a.mailboxID != 0 && (a.mailboxID != res.GetMailboxId() || a.uidValidity != res.GetUidValidity()):
		// Another mailbox has the name now. What went into the first went with it.
		a.from, a.to = imapnum.SetBuilder{}, imapnum.SetBuilder{}
		a.note(res, to)
		return fmt.Errorf("destination has been replaced: %w", client.ErrUnavailable)
	}
	a.note(res, to)
	a.reset()
	return nil
}

func (a *across) note(res *pb.Result, to imapnum.Set) {
	a.mailboxID, a.uidValidity = res.GetMailboxId(), res.GetUidValidity()
	for _, uid := range a.uids {
		a.from.Add(uid)
	}
	for uid := range to.All() {
		a.to.Add(uid)
	}
}

// undo takes back what has been appended. It is done for the destination's owner:
// the right to add messages does not bring along that to remove them.
func (a *across) undo(ctx context.Context) {
	added := a.to.Set()
	if added.Empty() {
		return
	}
	owner := a.c.cfg.Storage(a.dst.store.Account(), "")
	res, err := owner.Propose(ctx, &pb.Entry{Op: &pb.Entry_Expunge{Expunge: &pb.ExpungeOp{
		MailboxId: a.mailboxID, Uids: packed(added), UndeletedToo: true,
	}}})
	if err != nil || res.GetCode() != pb.Code_CODE_OK {
		a.c.log.Warn("copies to another account are left behind", "account", a.dst.store.Account(), "uids", added.String(), "result", res.GetCode().String(), "error", err)
	}
}

// copyUID is the response code; empty if there was nothing to copy.
func (a *across) copyUID() string {
	from := a.from.Set()
	if from.Empty() {
		return ""
	}
	return "COPYUID " + uitoa(uint64(a.uidValidity)) + " " + from.String() + " " + a.to.Set().String()
}
