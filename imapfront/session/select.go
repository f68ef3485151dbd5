package session

import (
	"context"

	"github.com/emersion/go-imap/v2"

	"github.com/quorumail/quorumail/imapfront/view"
	"github.com/quorumail/quorumail/imapfront/wire"
	"github.com/quorumail/quorumail/proto/imapnum"
	pb "github.com/quorumail/quorumail/proto/quorumail/v1"
)

// doSelect is SELECT and EXAMINE (RFC 9051, 6.3.2; RFC 7162, 3.1.8 and 3.2.5).
func (c *Conn) doSelect(ctx context.Context, cmd wire.Select) error {
	if cmd.QResync != nil && !c.qresync {
		return c.wrongState("ENABLE QRESYNC first") // RFC 7162, 3.2.5
	}
	if c.box != nil {
		c.leave()
		c.w.Untagged("OK [CLOSED] the previous mailbox is closed")
	}
	if cmd.CondStore {
		c.condstore = true
	}
	var changes earlier
	at := c.at(cmd.Mailbox)
	opened, err := at.store.OpenMailbox(ctx, at.name, 0, sinceOf(cmd.QResync), changes.take)
	if err != nil {
		return c.fail("SELECT", err)
	}
	info := opened.GetInfo()
	uids, err := imapnum.Unpack(opened.GetUids().GetPacked())
	if err != nil {
		return c.fail("SELECT", err)
	}
	c.box = &mailbox{
		store: at.store, id: info.GetId(), name: at.shown(info.GetName()), readOnly: cmd.ReadOnly, keywords: info.GetKeywords(),
		uidValidity: info.GetUidValidity(), view: view.New(uids, imapnum.ModSeq(info.GetHighestModSeq())),
	}
	c.box.takeRights(at, info)
	c.box.watch = c.watchMailbox(at.store, c.box.id, info.GetHighestModSeq())
	c.state = selected
	if err := c.watchSelectedMetadata(ctx); err != nil {
		c.leave()
		return c.fail("SELECT", err)
	}
	c.claimRecent(ctx, info)
	c.tellOpened(opened)
	if c.rev2 {
		if err := c.tellName(ctx, at, info.GetName(), cmd.Mailbox); err != nil {
			return c.boxFailed("SELECT", err)
		}
	}
	if cmd.QResync != nil && cmd.QResync.UIDValidity == info.GetUidValidity() {
		c.tellEarlier(cmd.QResync, changes)
	}
	if cmd.ReadOnly {
		return c.ok("READ-ONLY", "EXAMINE done")
	}
	if !mayWrite(c.box.rights) { // RFC 4314, 5.2
		return c.ok("READ-ONLY", "SELECT done")
	}
	return c.ok("READ-WRITE", "SELECT done")
}

// tellOpened tells what every SELECT tells.
func (c *Conn) tellOpened(opened *pb.OpenedMailbox) {
	info := opened.GetInfo()
	c.tellFlagsList()
	c.w.Untagged(info.GetExists(), " EXISTS")
	if !c.rev2 {
		c.w.Untagged(c.box.recentCount(), " RECENT")
		if first := imapnum.UID(opened.GetFirstUnseen()); first != 0 && !c.uidonly {
			c.w.Untagged("OK [UNSEEN ", c.box.view.SeqNum(first), "] first unseen message")
		}
	}
	c.w.Untagged("OK [UIDVALIDITY ", info.GetUidValidity(), "] UIDs are valid")
	c.w.Untagged("OK [UIDNEXT ", info.GetUidNext(), "] next UID")
	c.w.Untagged("OK [HIGHESTMODSEQ ", info.GetHighestModSeq(), "] highest mod-sequence")
	c.w.Untagged("OK [MAILBOXID (", c.objectID(c.box.store, mailboxPrefix, info.GetId()), ")] mailbox id") // RFC 8474, 4.2
}

// earlier is what changed while a client was away.
type earlier struct {
	changed  []*pb.MessageState
	vanished imapnum.Set
}

func (e *earlier) take(b *pb.ChangeBatch) error {
	e.changed = append(e.changed, b.GetChanged()...)
	set, err := imapnum.Unpack(b.GetVanished().GetPacked())
	e.vanished = e.vanished.Union(set)
	return err
}

// sinceOf asks for what a QRESYNC client has missed.
func sinceOf(q *wire.QResync) *pb.Since {
	if q == nil {
		return nil
	}
	s := &pb.Since{ModSeq: q.ModSeq}
	if q.KnownUIDs != nil {
		s.Known = packed(setOf(q.KnownUIDs))
	}
	return s
}

func setOf(set imap.UIDSet) imapnum.Set {
	ranges := make([]imapnum.Range, len(set))
	for i, r := range set {
		ranges[i] = imapnum.Range{First: imapnum.UID(r.Start), Last: imapnum.UID(r.Stop)}
	}
	return imapnum.SetOfRanges(ranges)
}

// tellEarlier tells what changed since the client was last here: VANISHED
// (EARLIER) before the flags (RFC 7162, 3.2.5.1).
func (c *Conn) tellEarlier(q *wire.QResync, e earlier) {
	vanished := e.vanished
	if last := c.lastMatch(q); last > 0 {
		vanished = vanished.Subtract(imapnum.SetOfRange(1, last))
	}
	if !vanished.Empty() {
		c.w.Untagged("VANISHED (EARLIER) ", vanished.String())
	}
	for _, s := range e.changed {
		c.tellState(s)
	}
}

// lastMatch returns the highest UID of the client's sequence-match data (RFC
// 7162, 3.2.5.2) that has the same message sequence number here: up to it the
// client misses no expunge, since each one would have moved the number. The
// numbers are walked through in pairs, without unfolding ranges that can span
// the whole number space.
func (c *Conn) lastMatch(q *wire.QResync) imapnum.UID {
	var best imapnum.UID
	seqs, uids := q.MatchSeqs, q.MatchUIDs
	i, j := 0, 0
	var offSeq, offUID uint32
	for i < len(seqs) && j < len(uids) {
		seq, uid := seqs[i].Start+offSeq, uint32(uids[j].Start)+offUID
		run := min(seqs[i].Stop-seq, uint32(uids[j].Stop)-uid) + 1
		if run == 0 {
			break // both span all numbers
		}
		best = max(best, c.matchIn(seq, uid, run))
		if offSeq += run; seqs[i].Start+offSeq > seqs[i].Stop || offSeq == 0 {
			i, offSeq = i+1, 0
		}
		if offUID += run; uint32(uids[j].Start)+offUID > uint32(uids[j].Stop) || offUID == 0 {
			j, offUID = j+1, 0
		}
	}
	return best
}

// matchIn returns the highest UID of uid…uid+run-1 whose message has the number
// that goes with it in seq…seq+run-1.
func (c *Conn) matchIn(seq, uid, run uint32) imapnum.UID {
	v := c.box.view
	span := v.UIDs().Intersect(imapnum.SetOfRange(imapnum.UID(uid), imapnum.UID(uid+run-1)))
	ranges := span.Ranges()
	for k := len(ranges) - 1; k >= 0; k-- {
		// Within a range, numbers and UIDs ascend together: its last tells for all.
		last := ranges[k].Last
		if uint32(v.SeqNum(last)) == seq+(uint32(last)-uid) {
			return last
		}
	}
	return 0
}

// closeMailbox is CLOSE (RFC 9051, 6.4.1): \Deleted messages go without a word.
// Not even the HIGHESTMODSEQ is told: the client would take it for its own, and
// never hear of what went (RFC 7162, 3.2.8).
func (c *Conn) closeMailbox(ctx context.Context) error {
	if !c.box.readOnly {
		_, err := c.box.store.Propose(ctx, &pb.Entry{Op: &pb.Entry_Expunge{Expunge: &pb.ExpungeOp{MailboxId: c.box.id}}})
		if err != nil {
			return c.fail("CLOSE", err)
		}
	}
	c.leave()
	return c.ok("", "CLOSE done")
}
