package session

import (
	"context"
	"slices"
	"strings"

	"github.com/emersion/go-imap/v2"
	"google.golang.org/protobuf/proto"

	"github.com/quorumail/quorumail/imapfront/wire"
	"github.com/quorumail/quorumail/proto/imapnum"
	pb "github.com/quorumail/quorumail/proto/quorumail/v1"
)

// storeGone is STORE by message sequence number of messages that another session
// has expunged, which this one cannot be told of before its next command (RFC 9051,
// 7.5.1). To everyone else it is as if the STORE had come just before the expunge;
// this session is told the flags that it has set, and sees them as long as it sees
// the messages. Nothing of it is stored.
//
// The mod-sequence is the mailbox's, as far as the session knows it: above what the
// message had, and above the HIGHESTMODSEQ that the client is told to keep until it
// is told of the expunge (RFC 7162, 3.1 and 6). A conditional STORE passes over such
// messages. Flags for which the session lacks the right stay as they are (RFC 4314,
// 4); so does a keyword that the mailbox does not have, and gets only for a message
// that there is: what is told is what was done.
func (c *Conn) storeGone(ctx context.Context, cmd wire.Store, set imapnum.Set) error {
	v := c.box.view
	gone := set.Intersect(v.Gone())
	if cmd.UID || cmd.UnchangedSince != nil || gone.Empty() {
		return nil
	}
	system, keywords := c.flagNumbers(cmd.Flags)
	req := &pb.FetchRequest{MailboxId: c.box.id, Uids: packed(gone), IncludeExpunged: true}
	return c.box.store.Fetch(ctx, req, func(r *pb.FetchResponse) error {
		was := r.GetMessage().GetState()
		if was == nil || !gone.Contains(imapnum.UID(was.GetUid())) {
			return nil
		}
		if kept := v.Kept(imapnum.UID(was.GetUid())); kept != nil {
			was = kept
		}
		s := changed(was, cmd.Op, system, keywords, c.box.rights)
		s.ModSeq = max(s.ModSeq, uint64(v.Taken()))
		v.Keep(s)
		if !cmd.Silent {
			c.tellStoredFlags(cmd, s)
		}
		return c.w.Err()
	})
}

// flagNumbers returns flags as the mailbox's messages have them, without keywords
// that it does not have.
func (c *Conn) flagNumbers(names []string) (system imapnum.SystemFlags, keywords []uint32) {
	for _, name := range names {
		if bit, is := imapnum.ParseSystemFlag(name); is {
			system |= bit
			continue
		}
		k := slices.IndexFunc(c.box.keywords, func(have string) bool { return strings.EqualFold(have, name) })
		if k >= 0 {
			keywords = append(keywords, uint32(k))
		}
	}
	slices.Sort(keywords)
	return system, slices.Compact(keywords)
}

// changed returns what a STORE makes of a message's flags, for whom has rights: "s"
// for \Seen, "t" for \Deleted and "w" for all others (RFC 4314, 4).
func changed(was *pb.MessageState, op imap.StoreFlagsOp, system imapnum.SystemFlags, keywords []uint32, rights imapnum.Rights) *pb.MessageState {
	s := stored(was, op, system, keywords)
	var may imapnum.SystemFlags
	if rights.Has(imapnum.RightSeen) {
		may |= imapnum.FlagSeen
	}
	if rights.Has(imapnum.RightDeleted) {
		may |= imapnum.FlagDeleted
	}
	if rights.Has(imapnum.RightWrite) {
		may |= imapnum.FlagAnswered | imapnum.FlagFlagged | imapnum.FlagDraft
	} else {
		s.Keywords = slices.Clone(was.GetKeywords())
	}
	s.SystemFlags = s.SystemFlags&uint32(may) | was.GetSystemFlags()&^uint32(may)
	return s
}

// stored returns what it makes of them for whom has all rights.
func stored(was *pb.MessageState, op imap.StoreFlagsOp, system imapnum.SystemFlags, keywords []uint32) *pb.MessageState {
	s := proto.CloneOf(was)
	switch op {
	case imap.StoreFlagsAdd:
		s.SystemFlags |= uint32(system)
		s.Keywords = append(s.Keywords, keywords...)
		slices.Sort(s.Keywords)
		s.Keywords = slices.Compact(s.Keywords)
	case imap.StoreFlagsDel:
		s.SystemFlags &^= uint32(system)
		s.Keywords = slices.DeleteFunc(s.Keywords, func(k uint32) bool { return slices.Contains(keywords, k) })
	default:
		s.SystemFlags, s.Keywords = uint32(system), keywords
	}
	return s
}
