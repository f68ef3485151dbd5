package service

import (
	"math"
	"slices"

	"google.golang.org/protobuf/encoding/protowire"

	"github.com/quorumail/quorumail/proto/framecodec"
	"github.com/quorumail/quorumail/proto/imapnum"
	pb "github.com/quorumail/quorumail/proto/quorumail/v1"
	"github.com/quorumail/quorumail/raftfsm"
)

// A fetch reads this much ahead of what it sends: then the view is closed, what
// was read is sent, and the next view is taken. So no view is held open for a
// client that reads slowly, nor more than this in memory.
const (
	fetchBytes    = 512 << 10
	fetchMessages = 500
)

// Fetch implements StoreService.
func (s *storeServer) Fetch(req *pb.FetchRequest, stream pb.StoreService_FetchServer) error {
	uids, err := unpacked(req.GetUids())
	if err != nil {
		return err
	}
	if _, known := pb.FetchRequest_Body_name[int32(req.GetBody())]; !known {
		return invalid("unknown kind of body")
	}
	sh, v, err := s.read(stream.Context(), req.GetRoute(), req.GetLevel())
	if err != nil {
		return err
	}
	f := &fetcher{req: req, left: uids}
	for {
		more, err := f.fill(v)
		_ = v.Close() // it was only read
		if err != nil {
			f.out.drop()
			return readError("fetch", err)
		}
		if err := f.out.send(func(r *framecodec.Frame) error { return stream.SendMsg(r) }); err != nil {
			return err
		}
		if !more {
			return nil
		}
		if v, err = sh.view(); err != nil {
			return err
		}
	}
}

// fetcher is the progress of one Fetch.
type fetcher struct {
	req     *pb.FetchRequest
	left    imapnum.Set // what is yet to be begun
	started bool
	body    *bodyRest // the message whose chunks do not all fit into out

	// Readers of the view that is being read.
	emails *raftfsm.Emails
	bodies *raftfsm.Bodies

	keywords int // length of the keyword table that the client has
	out      frames
	record   []byte // of the email under way, what was asked for
}

// bodyRest is what is yet to be sent of a body.
type bodyRest struct {
	id          []byte
	offset, end uint64
	chunks      uint32
}

func (f *fetcher) full() bool { return f.out.bytes >= fetchBytes || f.out.messages >= fetchMessages }

// closeReaders ends the reading of a view.
func (f *fetcher) closeReaders() {
	if f.emails != nil {
		_ = f.emails.Close() // it was only read
	}
	if f.bodies != nil {
		_ = f.bodies.Close()
	}
	f.emails, f.bodies = nil, nil
}

// fill reads from a view until the batch is full, and reports whether there is
// more.
func (f *fetcher) fill(v *raftfsm.View) (more bool, err error) {
	defer f.closeReaders()
	a, err := v.Account(f.req.GetRoute().GetAccount())
	if err != nil {
		return false, err
	}
	if f.req.GetBody() != pb.FetchRequest_BODY_UNSPECIFIED {
		if f.bodies, err = a.Bodies(); err != nil {
			return false, err
		}
	}
	if f.body != nil {
		// It is finished whatever has become of the mailbox, and of the actor's rights:
		// the client has been told how long it is.
		if err := f.rest(); err != nil {
			return false, err
		}
		if f.body != nil || f.full() {
			return true, nil
		}
	}
	m, err := a.MailboxByID(imapnum.MailboxID(f.req.GetMailboxId()))
	if err != nil {
		return false, err
	}
	if err := allow(m, f.req.GetRoute(), imapnum.RightRead); err != nil {
		return false, err
	}
	if !f.started {
		if err := f.restrict(m); err != nil {
			return false, err
		}
		f.started = true
	}
	msgs, more, err := f.next(m)
	if err != nil {
		return false, err
	}
	f.out.index, _ = v.Applied()
	if f.emails, err = a.Emails(len(msgs)); err != nil {
		return false, err
	}
	fields := f.fields()
	for i, msg := range msgs {
		if err := f.message(m, msg, fields); err != nil {
			return false, err
		}
		if f.body != nil || f.full() {
			msgs, more = msgs[:i+1], true
			break
		}
	}
	if len(msgs) > 0 { // once a batch: with a set of many ranges it is a copy
		last := msgs[len(msgs)-1].GetState().GetUid()
		f.left = f.left.Subtract(imapnum.SetOfRange(1, imapnum.UID(last)))
	}
	return more, nil
}

// restrict limits the fetch to what CHANGEDSINCE leaves of it. It is done once:
// what has changed then stays changed, and what changes later would have been
// left out had the client asked a moment earlier.
func (f *fetcher) restrict(m *raftfsm.Mailbox) error {
	if f.req.GetChangedSince() == 0 {
		return nil
	}
	var changed imapnum.SetBuilder
	since := raftfsm.Since{
		ModSeq: min(imapnum.ModSeq(f.req.GetChangedSince()), imapnum.MaxModSeq), Known: &f.left, NoVanished: true,
	}
	_, err := m.Changes(since, func(st *pb.MessageState) error {
		changed.Add(imapnum.UID(st.GetUid()))
		return nil
	})
	f.left = changed.Set()
	return err
}

// next returns the records of the messages that are to come, ascending, as many
// as a batch may have; more says that there are others.
func (f *fetcher) next(m *raftfsm.Mailbox) (msgs []*pb.FetchedMessage, more bool, err error) {
	type scan func(imapnum.Set, func(*pb.FetchedMessage) (bool, error)) error
	gather := func(scan scan) (list []*pb.FetchedMessage, end uint32, err error) {
		end = math.MaxUint32
		err = scan(f.left, func(msg *pb.FetchedMessage) (bool, error) {
			list = append(list, msg)
			if len(list) < fetchMessages {
				return true, nil
			}
			end = msg.GetState().GetUid()
			return false, nil
		})
		return list, end, err
	}
	live, end, err := gather(m.Messages)
	if err != nil || !f.req.GetIncludeExpunged() {
		return live, end != math.MaxUint32, err
	}
	gone, endGone, err := gather(m.Retained)
	if err != nil {
		return nil, false, err
	}
	// Each list is whole only up to its own end.
	end = min(end, endGone)
	for len(live) > 0 || len(gone) > 0 {
		from := &live
		if len(live) == 0 || len(gone) > 0 && gone[0].GetState().GetUid() < live[0].GetState().GetUid() {
			from = &gone
		}
		if (*from)[0].GetState().GetUid() > end {
			break
		}
		msgs = append(msgs, (*from)[0])
		*from = (*from)[1:]
	}
	return msgs, end != math.MaxUint32, nil
}

// message adds a message, and of its chunks what fits.
func (f *fetcher) message(m *raftfsm.Mailbox, msg *pb.FetchedMessage, fields []protowire.Number) error {
	var keywords []string
	if table := m.Info().GetKeywords(); len(table) > f.keywords || f.out.none() && f.keywords == 0 {
		keywords, f.keywords = table, len(table)
	}
	wanted := f.req.GetEnvelope() || f.req.GetStructure() || f.req.GetEmail()
	bodies := f.req.GetBody() != pb.FetchRequest_BODY_UNSPECIFIED
	var email raftfsm.StoredEmail
	var err error
	if wanted || bodies {
		if email, err = f.emails.Email(msg.GetEmailId()); err != nil {
			return err
		}
	}
	record := messageFrame{msg: msg}
	if wanted {
		if f.record, err = email.AppendFields(f.record[:0], fields...); err != nil {
			return err
		}
		record.email, record.stored = f.record, f.req.GetStoredEmail()
	}
	if !bodies {
		f.out.message(record, keywords)
		return nil
	}
	return f.withBody(email, record, keywords)
}

// withBody adds a message with the chunks that were asked for: small ones in it, as
// many as there are before the first that is not, and the others in responses after
// it. The client is told first how many follow: those that fit are read, the others
// counted.
func (f *fetcher) withBody(email raftfsm.StoredEmail, record messageFrame, keywords []string) error {
	first, end, err := f.octets(email)
	if err != nil {
		return err
	}
	rest := &bodyRest{end: end}
	if rest.id, err = email.BodyID(); err != nil {
		return err
	}
	rest.id = slices.Clone(rest.id)
	var follow []*[]byte
	inline := f.req.GetBodyInline()
	for err = f.bodies.Seek(rest.id, first, end); err == nil && f.bodies.Valid(); err = f.bodies.Next() {
		if rest.chunks > 0 || len(follow) > 0 && f.out.bytes >= fetchBytes {
			if rest.chunks == 0 {
				rest.offset = f.bodies.Offset()
			}
			rest.chunks++
			continue
		}
		c, err := f.bodies.Chunk()
		if err != nil {
			return err
		}
		if inline = inline && len(record.body)+len(c.GetData()) <= inlineBytes; inline {
			record.body = appendInline(record.body, c)
			continue
		}
		chunk := chunkFrame(c)
		follow = append(follow, chunk)
		f.out.bytes += len(*chunk)
	}
	if err != nil {
		return err
	}
	if len(follow) == 0 {
		f.out.message(record, keywords)
		return nil
	}
	f.out.messageAlone(record, keywords, uint32(len(follow))+rest.chunks)
	f.out.add(follow...)
	if rest.chunks > 0 {
		f.body = rest
	}
	return nil
}

// rest adds chunks of the body that has been begun.
func (f *fetcher) rest() error {
	b := f.body
	err := f.bodies.Seek(b.id, b.offset, b.end)
	for err == nil && f.bodies.Valid() && b.chunks > 0 && f.out.bytes < fetchBytes {
		c, e := f.bodies.Chunk()
		if e != nil {
			return e
		}
		chunk := chunkFrame(c)
		f.out.bytes += len(*chunk)
		f.out.add(chunk)
		b.chunks--
		b.offset = c.GetOffset() + uint64(c.GetRawSize())
		err = f.bodies.Next()
	}
	if err != nil {
		return err
	}
	if b.chunks == 0 {
		f.body = nil
	} else if f.out.none() {
		// Expunged, and collected after the undelete window, while it was read.
		return notReady("", "the rest of the body is gone")
	}
	return nil
}

// octets returns which octets of a message are wanted: first up to end.
func (f *fetcher) octets(e raftfsm.StoredEmail) (first, end uint64, err error) {
	if f.req.GetBody() == pb.FetchRequest_BODY_HEADER {
		end, err = e.HeaderSize()
		return 0, end, err
	}
	size, err := e.Size()
	switch f.req.GetBody() {
	case pb.FetchRequest_BODY_RANGE:
		end = f.req.GetOffset() + f.req.GetLength()
		if end < f.req.GetOffset() {
			end = math.MaxUint64
		}
		return f.req.GetOffset(), min(end, size), err
	case pb.FetchRequest_BODY_ALL:
		return 0, size, err
	}
	return 0, 0, err
}

// Fields of pb.Email.
const (
	emailSize, emailEnvelope, emailStructure, emailID = 1, 2, 3, 7
)

// fields are those of an email record that are asked for; none: all.
func (f *fetcher) fields() []protowire.Number {
	if f.req.GetEmail() {
		return nil
	}
	list := []protowire.Number{emailSize, emailID}
	if f.req.GetEnvelope() {
		list = append(list, emailEnvelope)
	}
	if f.req.GetStructure() {
		list = append(list, emailStructure)
	}
	return list
}
