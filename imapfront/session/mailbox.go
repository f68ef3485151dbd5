package session

import (
	"context"
	"errors"

	"github.com/quorumail/quorumail/imapfront/view"
	"github.com/quorumail/quorumail/imapfront/wire"
	"github.com/quorumail/quorumail/node/client"
	"github.com/quorumail/quorumail/proto/imapnum"
	pb "github.com/quorumail/quorumail/proto/quorumail/v1"
)

// mailbox is the selected mailbox.
type mailbox struct {
	// store is of the account that the mailbox is in, which need not be the
	// connection's own: what a command does with the selected mailbox it does here.
	store Store
	id    uint64
	// uidValidity is that of its UIDs, which does not change.
	uidValidity uint32
	name        string // as this connection names it
	readOnly    bool   // by EXAMINE
	rights      imapnum.Rights
	view        *view.View
	keywords    []string    // the keyword table, as told
	saved       imapnum.Set // the result of SEARCH RETURN (SAVE) (RFC 5182)
	recent      imapnum.Set // UIDs that are \Recent to this session, told or not, there or not
	watch       *watch
	modSeqs     modSeqs
	own         ownMessages
	contexts    contexts
	// unfetched are new messages of which NOTIFY's items are still to be told.
	unfetched imapnum.Set
}

// leave closes the selected mailbox without a word.
func (c *Conn) leave() {
	if c.box == nil {
		return
	}
	c.box.watch.stop()
	account := c.box.store.Account()
	c.box = nil
	c.leaveSharer(account)
	if c.state == selected {
		c.state = authenticated
	}
}

// pull takes changes into the view: with all, everything that anyone has been
// told was done; else at least what this session has done or been woken for. Then
// it finds out what they mean for the searches that are kept up to date. If storage
// was ahead of the view there, the view follows: what has changed is told before
// what it means (RFC 5465, 5.1). Who is too busy for that is looked at again soon.
func (c *Conn) pull(ctx context.Context, all bool) error {
	for range 3 {
		if err := c.take(ctx, all); err != nil {
			return err
		}
		if ahead := c.evaluate(ctx); !ahead {
			return nil
		}
		all = false
	}
	c.in.wake()
	return c.take(ctx, false)
}

// take takes changes into the view.
func (c *Conn) take(ctx context.Context, all bool) error {
	c.box.watch.news(0)
	info, batches, err := c.box.store.Changes(ctx, c.box.id, &pb.Since{ModSeq: uint64(c.box.view.Taken())}, all)
	if err != nil {
		c.box.watch.again()
		return err
	}
	var changed []*pb.MessageState
	var vanished imapnum.Set
	for _, b := range batches {
		changed = append(changed, b.GetChanged()...)
		set, err := imapnum.Unpack(b.GetVanished().GetPacked())
		if err != nil {
			return err
		}
		vanished = vanished.Union(set)
	}
	c.box.view.Take(changed, vanished, imapnum.ModSeq(info.GetHighestModSeq()))
	if !c.box.view.Fresh().Empty() && (c.tellsMessages() || !c.box.own.added.Empty()) {
		c.claimRecent(ctx, info)
	}
	c.box.contexts.note(changed, vanished)
	changedRights, words := c.box.takeRights(c.at(c.box.name), info), len(info.GetKeywords()) > len(c.box.keywords)
	if words {
		c.box.keywords = info.GetKeywords()
	}
	if words || changedRights { // RFC 4314, 5.1.1
		c.tellFlagsList()
	}
	return nil
}

// tell tells the client what the view has for it; expunges only where the
// command that is under way allows them.
func (c *Conn) tell(expunges bool) {
	if !c.tellsMessages() {
		c.tellOwn(expunges)
		return
	}
	v := c.box.view
	c.tellGone()
	if expunges {
		c.tellExpunges()
	}
	if c.tellsFlags() {
		for _, s := range v.TellFlags() {
			c.tellState(s)
		}
	} else {
		v.Withhold()
	}
	c.tellFresh()
	c.tellContexts()
}

// tellFresh tells that there are new messages, which is allowed at any time. A
// client that does not want to know is told if some are its own.
func (c *Conn) tellFresh() {
	v, own := c.box.view, c.box.own.added
	fresh := v.Fresh()
	if !c.tellsMessages() && own.Intersect(fresh).Empty() {
		return
	}
	if v.TellFresh() {
		c.box.own.added = imapnum.Set{}
		c.box.contexts.noteFresh(fresh.Subtract(own))
		if c.notify != nil && c.notify.selected.fetch != nil {
			c.box.unfetched = c.box.unfetched.Union(fresh.Subtract(own))
		}
		c.w.Untagged(v.Count(), " EXISTS")
		if !c.rev2 {
			c.w.Untagged(c.box.recentCount(), " RECENT")
		}
	}
}

// tellExpunges tells of expunges, which the command under way must allow. A
// client that does not want to know is told of its own.
func (c *Conn) tellExpunges() {
	some := c.box.view.Gone()
	if !c.tellsMessages() {
		some = c.box.own.removed
	}
	c.box.own.removed = imapnum.Set{}
	c.tellGone()
	uids, seqs := c.box.view.TellExpungesOf(some)
	if uids.Empty() {
		return
	}
	c.box.saved = c.box.saved.Subtract(uids)
	if c.tellsVanished() {
		c.w.Untagged("VANISHED ", uids.String())
	} else {
		for _, seq := range seqs {
			c.w.Untagged(seq, " EXPUNGE")
		}
	}
	if !uids.Intersect(c.box.recent).Empty() {
		c.w.Untagged(c.box.recentCount(), " RECENT") // RFC 3501, 7.3.2
	}
}

// tellState tells a message's flags unasked, with the UID and, once CONDSTORE is
// enabled, the MODSEQ (RFC 7162, 3.2.4 and 3.1).
func (c *Conn) tellState(s *pb.MessageState) {
	c.beginFetchUID(imapnum.UID(s.GetUid())).Raw("FLAGS ").Flags(c.flagNames(s))
	if c.condstore {
		c.w.Raw(" ")
		c.modSeq(s.GetModSeq())
	}
	c.w.Raw(")").CRLF()
}

// flagNames returns the flags of a message of the selected mailbox as IMAP names
// them.
func (c *Conn) flagNames(s *pb.MessageState) []string {
	names := flagNames(s, c.box.keywords)
	if c.box.recent.Contains(imapnum.UID(s.GetUid())) {
		names = append(names, wire.Recent)
	}
	return names
}

// flagNames does so with the keyword table of the message's mailbox.
func flagNames(s *pb.MessageState, keywords []string) []string {
	names := imapnum.SystemFlags(s.GetSystemFlags()).Names()
	for _, k := range s.GetKeywords() {
		if int(k) < len(keywords) {
			names = append(names, keywords[k])
		}
	}
	return names
}

// tellFlagsList tells which flags the mailbox has (RFC 9051, 7.3.5).
func (c *Conn) tellFlagsList() {
	all := append([]string{`\Answered`, `\Flagged`, `\Deleted`, `\Seen`, `\Draft`}, c.box.keywords...)
	c.w.Raw("* FLAGS ").Flags(all).CRLF()
	c.w.Raw("* OK [PERMANENTFLAGS ").Flags(c.box.permanentFlags()).Raw("] flags that can be changed").CRLF()
}

// refresh brings the view up to date before a command if there is reason to
// believe that it is not.
func (c *Conn) refresh(ctx context.Context) error {
	if !c.box.watch.news(c.box.view.Taken()) && c.box.contexts.changed.Empty() {
		return nil
	}
	return c.pull(ctx, false)
}

// catchUp tells what is new in the selected mailbox with a command that is not
// about it: sizes are to be told with every command that sees them change (RFC
// 9051, 5.2). Not with one that is yet to come in whole (7.5.1), nor where the
// mailbox is left, or its name looked up by the command itself.
func (c *Conn) catchUp(ctx context.Context, cmd wire.Command) {
	switch cmd.(type) {
	case wire.Append, wire.Select, wire.Idle, wire.Notify, wire.Unauthenticate,
		wire.ESearch: // it may name messages by their numbers (RFC 7377, 2.1)
		return
	}
	if err := c.refresh(ctx); err != nil {
		c.log.Warn("catch up", "error", err) // the next command about the mailbox finds out
		return
	}
	c.tell(true)
}

// refreshFor does so before a command that names messages. A client may know of
// messages that this session has not been told of yet, by APPENDUID of another
// connection for one, and their UIDs are the highest there are: if a set of UIDs
// reaches beyond what the session knows, the view is brought up to all that has
// been acknowledged to anyone. Without that a command on such a message would
// be answered OK and do nothing.
func (c *Conn) refreshFor(ctx context.Context, set wire.NumSet, uid bool) error {
	if !uid || !reaches(set, uint32(c.box.view.UIDs().Max())) {
		return c.refresh(ctx)
	}
	if err := c.pull(ctx, true); err != nil {
		return err
	}
	c.tellExpunges()
	c.tellFresh()
	return nil
}

// reaches reports whether a set names a number above last, or "*".
func reaches(set wire.NumSet, last uint32) bool {
	for _, r := range set.Ranges {
		if r.Start == 0 || r.Stop == 0 || r.Start > last || r.Stop > last {
			return true
		}
	}
	return false
}

// boxFailed answers an error of the selected mailbox. If it has been deleted by
// another session, or its owner has taken the right to read it, the session can do
// nothing with it any more (RFC 2180, 3 and RFC 4314, 5.1.1 leave the choice): it is
// told so once, and is in authenticated state.
func (c *Conn) boxFailed(what string, err error) error {
	switch {
	case errors.Is(err, client.ErrNoMailbox):
		c.leave()
		c.w.Untagged("OK [CLOSED] the mailbox is gone")
		return c.no("NONEXISTENT", "the mailbox is gone")
	case errors.Is(err, client.ErrNoPermission):
		c.leave()
		c.w.Untagged("OK [CLOSED] the mailbox may not be read any more")
	}
	return c.fail(what, err)
}

// noop is NOOP and CHECK: the session is told everything that has been
// acknowledged to anyone (RFC 9051, 6.1.2).
func (c *Conn) noop(ctx context.Context, name string) error {
	if c.box != nil {
		if err := c.pull(ctx, true); err != nil {
			return c.boxFailed(name, err)
		}
		c.tell(true)
	}
	c.tellMetadata(ctx, true)
	return c.ok("", name+" done")
}

// errSeqNum says that a client named a message that it has not been told of.
var errSeqNum = errors.New("no message has this number")

// resolve turns a sequence-set into UIDs that the session has been told of
// (RFC 9051, 9, seq-number). UIDs that do not exist are passed over; message
// sequence numbers that do not exist are a mistake.
func (c *Conn) resolve(set wire.NumSet, uid bool) (imapnum.Set, error) {
	v := c.box.view
	var saved imapnum.Set
	if set.Saved {
		saved = c.box.saved
	}
	if uid {
		return uidsOf(set, uint32(v.UIDs().Max())).Union(saved).Intersect(v.UIDs()), nil
	}
	for _, r := range set.Ranges {
		if count := v.Count(); count == 0 || max(r.Start, r.Stop) > count { // 0 is "*"
			return imapnum.Set{}, errSeqNum
		}
	}
	return uidsAt(v, set).Union(saved).Intersect(v.UIDs()), nil
}

// mayExpunge reports whether expunges may be told during a command: not during
// FETCH, STORE and SEARCH by message sequence number (RFC 9051, 7.5.1).
func mayExpunge(uid bool) bool { return uid }

func packed(s imapnum.Set) *pb.UidSet { return &pb.UidSet{Packed: s.Pack()} }

func unpacked(s *pb.UidSet) imapnum.Set {
	set, err := imapnum.Unpack(s.GetPacked())
	if err != nil {
		return imapnum.Set{}
	}
	return set
}
