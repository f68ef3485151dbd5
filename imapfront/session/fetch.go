package session

import (
	"bytes"
	"context"
	"io"
	"math"
	"time"

	"github.com/quorumail/quorumail/imapfront/section"
	"github.com/quorumail/quorumail/imapfront/wire"
	"github.com/quorumail/quorumail/node/client/message"
	"github.com/quorumail/quorumail/proto/imapnum"
	pb "github.com/quorumail/quorumail/proto/quorumail/v1"
)

// fetchPlan is how a FETCH is done: what is asked of storage in one stream for
// all messages, and which sections need a read of their own.
type fetchPlan struct {
	cmd wire.Fetch
	req *pb.FetchRequest
	// whole is the one section whose octets come with the stream and are passed
	// on as they come; nil if there is none.
	whole *wire.Section
	// seen are the messages that this command has given \Seen.
	seen imapnum.Set
	// flags and modSeq are items asked for.
	flags, modSeq, uid bool
}

// fetch is FETCH and UID FETCH (RFC 9051, 6.4.5; RFC 7162, 3.1.4 and 3.2.6; RFC
// 9394, 3.3).
func (c *Conn) fetch(ctx context.Context, cmd wire.Fetch) error {
	if cmd.Vanished && !c.qresync {
		return c.wrongState("ENABLE QRESYNC first") // RFC 7162, 3.2.6
	}
	if err := c.refreshFor(ctx, cmd.Set, cmd.UID); err != nil {
		return c.boxFailed("FETCH", err)
	}
	if cmd.UID {
		// New messages may be among those asked for; expunges may be told. Flags
		// come later: nothing may come before VANISHED (EARLIER) that speaks of
		// numbers (RFC 7162, 3.2.6).
		c.tellExpunges()
		c.tellFresh()
	}
	set, err := c.resolve(cmd.Set, cmd.UID)
	if err != nil {
		return c.bad("", err.Error())
	}
	if cmd.Partial.First != 0 {
		set = imapnum.SetOfRanges(cmd.Partial.Of(set.Ranges())) // RFC 9394, 3.3
	}
	p := c.plan(cmd, set)
	if p.modSeq {
		c.enableCondstore()
	}
	if cmd.Vanished {
		if err := c.tellVanished(ctx, cmd); err != nil {
			return c.boxFailed("FETCH", err)
		}
	}
	if err := c.markSeen(ctx, p, set); err != nil {
		return c.boxFailed("FETCH", err)
	}
	// What is pending is to be told with its mod-sequence, which is in the records.
	if p.onlyFlags(set) && !(c.condstore && !c.box.view.PendingFlags().Intersect(set).Empty()) {
		if set, err = c.fetchFlags(ctx, cmd, set); err != nil {
			return c.boxFailed("FETCH", err)
		}
		p.req.Uids = packed(set)
	}
	f := &fetcher{c: c, p: p, ctx: ctx}
	if err := c.box.store.Fetch(ctx, p.req, f.take); err != nil {
		if f.open {
			// A literal is under way: no answer could be told from its octets.
			return err
		}
		return c.boxFailed("FETCH", err)
	}
	c.tell(mayExpunge(cmd.UID))
	if f.refused != nil {
		return f.refused.answer(c)
	}
	return c.done("FETCH done")
}

// plan decides what to ask storage for.
func (c *Conn) plan(cmd wire.Fetch, set imapnum.Set) *fetchPlan {
	p := &fetchPlan{cmd: cmd, req: &pb.FetchRequest{MailboxId: c.box.id, Uids: packed(set), IncludeExpunged: true}}
	if cmd.ChangedSince != nil {
		p.req.ChangedSince = *cmd.ChangedSince
		p.modSeq = true // RFC 7162, 3.1.4.1: implied
	}
	bodies := 0
	for _, item := range cmd.Items {
		switch item.Name {
		case "FLAGS":
			p.flags = true
		case "MODSEQ":
			p.modSeq = true
		case "UID":
			p.uid = true
		case "ENVELOPE":
			p.req.Envelope = true
		case "BODY", "BODYSTRUCTURE":
			p.req.Structure = true
		case "PREVIEW":
			p.req.Email = true
		case "SECTION", "BINARY", "BINARY.SIZE":
			bodies++
			p.req.Structure = true
		}
	}
	p.uid = p.uid || cmd.UID
	if bodies != 1 {
		// Sections are looked for in the record; what is only printed need not be read.
		p.req.StoredEmail = bodies == 0 && !p.req.GetEmail()
		return p
	}
	for _, item := range cmd.Items {
		s := item.Section
		if item.Name != "SECTION" || len(s.Part) > 0 {
			continue
		}
		switch {
		case section.HeaderOnly(s):
			p.whole, p.req.Body = s, pb.FetchRequest_BODY_HEADER
		case s.Partial == nil:
			p.whole, p.req.Body = s, pb.FetchRequest_BODY_ALL
		case s.Specifier == "":
			p.whole, p.req.Body = s, pb.FetchRequest_BODY_RANGE
			p.req.Offset, p.req.Length = s.Partial.Offset, s.Partial.Length
		}
	}
	return p
}

// tellVanished tells which of the UIDs asked for are gone since (RFC 7162,
// 3.2.6). The numbers are the client's: also of messages that this session has
// never been told of. A range up to "*" asks about all that ever were above its
// start: the last messages may be the ones that are gone.
func (c *Conn) tellVanished(ctx context.Context, cmd wire.Fetch) error {
	last := max(uint32(c.box.view.UIDs().Max()), 1)
	var ranges []imapnum.Range
	for _, r := range cmd.Set.Ranges {
		first, end := min(r.Start, r.Stop), max(r.Start, r.Stop)
		switch {
		case end == 0:
			first, end = last, last
		case first == 0:
			first, end = min(end, last), math.MaxUint32
		}
		ranges = append(ranges, imapnum.Range{First: imapnum.UID(first), Last: imapnum.UID(end)})
	}
	known := imapnum.SetOfRanges(ranges)
	if cmd.Set.Saved {
		known = known.Union(c.box.saved)
	}
	since := &pb.Since{ModSeq: *cmd.ChangedSince, Known: packed(known), NoChanged: true}
	_, batches, err := c.box.store.Changes(ctx, c.box.id, since, false)
	if err != nil {
		return err
	}
	var vanished imapnum.Set
	for _, b := range batches {
		vanished = vanished.Union(unpacked(b.GetVanished()))
	}
	// What the view still has is told with its own expunge, in its turn.
	if vanished = vanished.Subtract(c.box.view.UIDs()); !vanished.Empty() {
		c.w.Untagged("VANISHED (EARLIER) ", vanished.String())
	}
	return nil
}

// markSeen sets \Seen on the messages whose text is asked for without PEEK (RFC
// 9051, 6.4.5) and that lack it.
func (c *Conn) markSeen(ctx context.Context, p *fetchPlan, set imapnum.Set) error {
	sets := false
	for _, item := range p.cmd.Items {
		sets = sets || item.Section != nil && !item.Section.Peek && item.Name != "BINARY.SIZE"
	}
	if !sets || c.box.readOnly || !c.box.rights.Has(imapnum.RightSeen) || set.Empty() { // RFC 4314, 4
		return nil
	}
	key := not(&pb.SearchKey{Key: &pb.SearchKey_Flag{Flag: `\Seen`}})
	if p.cmd.ChangedSince != nil {
		newer := &pb.SearchKey{Key: &pb.SearchKey_ModSeq{ModSeq: *p.cmd.ChangedSince + 1}}
		key = &pb.SearchKey{Key: &pb.SearchKey_And{And: &pb.SearchKeyList{Keys: []*pb.SearchKey{key, newer}}}}
	}
	found, err := c.box.store.Search(ctx, &pb.SearchRequest{MailboxId: c.box.id, Key: key, Within: packed(set)})
	if err != nil {
		return err
	}
	if unpacked(found.GetUids()).Empty() {
		return nil
	}
	res, err := c.box.store.Propose(ctx, &pb.Entry{Op: &pb.Entry_Store{Store: &pb.StoreOp{
		MailboxId: c.box.id, Uids: found.GetUids(), Mode: pb.StoreOp_MODE_ADD, Flags: []string{`\Seen`},
	}}})
	if err != nil {
		return err
	}
	p.seen = unpacked(res.GetUids())
	return c.pull(ctx, false)
}

// fetcher prints a FETCH response a message from what storage streams.
type fetcher struct {
	c    *Conn
	p    *fetchPlan
	ctx  context.Context
	open bool // a response has been begun and not ended
	// refused: BINARY was asked of a part that it cannot be told of.
	refused *refusedBinary

	msg    *pb.FetchedMessage
	chunks []*pb.BodyChunk     // of a header
	first  bool                // no item of the response has been printed
	span   section.Range       // of the whole section
	lit    *wire.LiteralWriter // takes it
	at     uint64              // up to where it has been printed
}

// take takes one response of the stream.
func (f *fetcher) take(r *pb.FetchResponse) error {
	if len(r.GetKeywords()) > len(f.c.box.keywords) {
		f.c.box.keywords = r.GetKeywords()
		f.c.tellFlagsList()
	}
	if m := r.GetMessage(); m != nil {
		f.msg, f.chunks = m, nil
		if f.c.box.view.SeqNum(imapnum.UID(m.GetState().GetUid())) == 0 {
			f.msg = nil // expunged, and told so meanwhile
			return nil
		}
		if !f.tellable() {
			f.msg = nil // all that is asked for is refused
			return nil
		}
		if m.GetChunks() == 0 || f.p.req.GetBody() == pb.FetchRequest_BODY_HEADER {
			if m.GetChunks() == 0 {
				return f.whole()
			}
			return nil
		}
		return f.begin()
	}
	if f.msg == nil || r.GetChunk() == nil {
		return nil
	}
	if f.p.req.GetBody() == pb.FetchRequest_BODY_HEADER {
		f.chunks = append(f.chunks, r.GetChunk())
		if len(f.chunks) < int(f.msg.GetChunks()) {
			return nil
		}
		return f.whole()
	}
	return f.pass(r.GetChunk())
}

// items prints everything but the streamed section.
func (f *fetcher) items() error {
	c, s := f.c, f.msg.GetState()
	uid := imapnum.UID(s.GetUid())
	if kept := c.box.view.Kept(uid); kept != nil {
		s = kept
	}
	pending := c.box.view.Drop(uid)
	if pending != nil {
		// What is printed here is at least as new, if it has the flags in it.
		if pending.GetModSeq() > s.GetModSeq() {
			s = pending
		}
		switch {
		case f.p.flags || f.p.seen.Contains(uid):
		case c.tellsFlags():
			c.tellState(s)
		default:
			c.box.view.WithheldOne()
		}
	}
	c.beginFetch(uid)
	f.open, f.first = true, true
	if f.p.cmd.UID && !c.uidonly {
		f.name("UID").Raw(uint32(uid))
	}
	for _, item := range f.p.cmd.Items {
		if err := f.item(item, s); err != nil {
			return err
		}
	}
	if f.p.seen.Contains(uid) && !f.p.flags {
		f.name("FLAGS").Flags(c.flagNames(s))
	}
	if f.p.seen.Contains(uid) && c.condstore && !f.p.uid && !c.uidonly {
		f.name("UID").Raw(uint32(uid)) // RFC 7162, 3.2.4
	}
	// A change that the response is the first to tell of, the command's own or
	// another session's, comes with its mod-sequence (RFC 7162, 3.1): it is not told
	// again.
	news := f.p.seen.Contains(uid) || pending != nil && f.p.flags
	if (f.p.modSeq || news && c.condstore) && !f.asked("MODSEQ") {
		f.sep()
		f.c.modSeq(s.GetModSeq())
	}
	return c.w.Err()
}

func (f *fetcher) asked(name string) bool {
	for _, item := range f.p.cmd.Items {
		if item.Name == name {
			return true
		}
	}
	return false
}

// name begins an item of the response.
func (f *fetcher) name(name string) *wire.Writer {
	f.sep()
	return f.c.w.Raw(name, " ")
}

func (f *fetcher) sep() {
	if !f.first {
		f.c.w.Raw(" ")
	}
	f.first = false
}

// item prints one item.
func (f *fetcher) item(item wire.FetchItem, s *pb.MessageState) error {
	m, w := f.msg, f.c.w
	switch item.Name {
	case "FLAGS":
		f.name("FLAGS").Flags(f.c.flagNames(s))
	case "UID":
		if !f.p.cmd.UID || f.c.uidonly {
			f.name("UID").Raw(s.GetUid())
		}
	case "MODSEQ":
		f.sep()
		f.c.modSeq(s.GetModSeq())
	case "INTERNALDATE":
		f.name("INTERNALDATE").DateTime(inZone(m.GetInternalDate(), m.GetZoneMinutes()))
	case "RFC822.SIZE":
		f.name("RFC822.SIZE").Raw(m.GetSize())
	case "ENVELOPE":
		if f.name("ENVELOPE"); m.GetStoredEmail() != nil {
			w.StoredEnvelope(m.GetStoredEmail())
		} else {
			w.Envelope(m.GetEmail().GetEnvelope())
		}
	case "BODY", "BODYSTRUCTURE":
		extended := item.Name == "BODYSTRUCTURE"
		if f.name(item.Name); m.GetStoredEmail() != nil {
			w.StoredStructure(m.GetStoredEmail(), extended)
		} else {
			w.BodyStructure(m.GetEmail().GetStructure(), extended)
		}
	case "EMAILID":
		f.name("EMAILID").Raw("(", f.c.objectID(f.c.box.store, emailPrefix, m.GetEmailId()), ")")
	case "THREADID":
		f.threadID(m.GetThreadId())
	case "SAVEDATE":
		f.name("SAVEDATE").DateTime(inZone(m.GetSaveDate(), 0))
	case "PREVIEW":
		f.name("PREVIEW").String(m.GetEmail().GetPreview())
	case "SECTION":
		if item.Section != f.p.whole {
			return f.section(item.Section)
		}
	case "BINARY", "BINARY.SIZE":
		return f.binary(item)
	}
	return w.Err()
}

// inZone is a time as it was given.
func inZone(seconds int64, minutes int32) time.Time {
	return time.Unix(seconds, 0).In(time.FixedZone("", int(minutes)*60))
}

// end ends the response.
func (f *fetcher) end() error {
	f.c.w.Raw(")").CRLF()
	f.open = false
	f.msg = nil
	return f.c.w.Err()
}

// whole prints a response whose octets, if any, are all there: a header.
func (f *fetcher) whole() error {
	if err := f.items(); err != nil {
		return err
	}
	if s := f.p.whole; s != nil {
		r, _ := section.Find(f.msg.GetEmail(), s)
		if f.p.req.GetBody() == pb.FetchRequest_BODY_HEADER {
			if err := f.header(s, r); err != nil {
				return err
			}
		} else { // no chunks: nothing of the message is in the range
			f.sep()
			f.c.w.SectionLabel(s).Raw(" ").Literal(0, bytes.NewReader(nil), false)
		}
	}
	return f.end()
}

// header prints the message's header, or some of its fields.
func (f *fetcher) header(s *wire.Section, r section.Range) error {
	raw, err := io.ReadAll(message.Open(r.Offset, r.Length, next(f.chunks)))
	if err != nil {
		return err
	}
	f.picked(s, raw)
	return nil
}

// picked prints the fields of a header that a section asks for.
func (f *fetcher) picked(s *wire.Section, raw []byte) {
	if len(s.Fields) > 0 {
		raw = section.Fields(raw, s.Fields, s.Specifier == "HEADER.FIELDS.NOT")
	}
	r := section.Range{Length: uint64(len(raw))}.Cut(s.Partial)
	f.sep()
	f.c.w.SectionLabel(s).Raw(" ").Literal(r.Length, bytes.NewReader(raw[r.Offset:]), false)
}

// next hands out chunks one by one.
func next(chunks []*pb.BodyChunk) func() (*pb.BodyChunk, error) {
	return func() (*pb.BodyChunk, error) {
		if len(chunks) == 0 {
			return nil, io.ErrUnexpectedEOF
		}
		c := chunks[0]
		chunks = chunks[1:]
		return c, nil
	}
}

// begin prints a response up to the octets of its streamed section.
func (f *fetcher) begin() error {
	if err := f.items(); err != nil {
		return err
	}
	r, _ := section.Find(f.msg.GetEmail(), f.p.whole)
	f.span = r.Cut(f.p.whole.Partial)
	f.at = f.span.Offset
	f.sep()
	f.lit = f.c.w.SectionLabel(f.p.whole).Raw(" ").BeginLiteral(f.span.Length, false)
	return f.c.w.Err()
}

// pass prints what a chunk has of the streamed section.
func (f *fetcher) pass(chunk *pb.BodyChunk) error {
	end := f.span.Offset + f.span.Length
	err := withOctets(chunk, func(b []byte) error {
		from := chunk.GetOffset()
		to := from + uint64(len(b))
		if to <= f.at || from >= end {
			return nil
		}
		_, err := f.lit.Write(b[f.at-from : min(to, end)-from])
		f.at = min(to, end)
		return err
	})
	if err != nil {
		return err
	}
	if f.at < end {
		return f.c.w.Err()
	}
	return f.end()
}
