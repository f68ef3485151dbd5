package service

import (
	"bytes"
	"math"

	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"

	"github.com/quorumail/quorumail/proto/imapnum"
	pb "github.com/quorumail/quorumail/proto/quorumail/v1"
	"github.com/quorumail/quorumail/raftfsm"
)

// A fetch reads this much ahead of what it sends: then the view is closed, what
// was read is sent, and the next view is taken. So no view is held open for a
// client that reads slowly, nor more than this in memory.
const (
	fetchBytes    = 1 << 20
	fetchMessages = 2000
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
			return readError("fetch", err)
		}
		for i, r := range f.out {
			if err := stream.Send(r); err != nil {
				return err
			}
			f.out[i] = nil
		}
		if !more {
			return nil
		}
		f.out, f.bytes, f.messages, f.batch = f.out[:0], 0, 0, nil
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
	emails  *raftfsm.Emails // of the view that is being read
	body    *bodyRest       // the message whose chunks do not all fit into out

	keywords int // length of the keyword table that the client has
	out      []*pb.FetchResponse
	bytes    int
	messages int               // in out
	batch    *pb.FetchResponse // the last of out, if more messages fit into it

	batchBytes int // about, of batch
}

// bodyRest is what is yet to be sent of a body.
type bodyRest struct {
	id          []byte
	offset, end uint64
	chunks      uint32
}

func (f *fetcher) full() bool { return f.bytes >= fetchBytes || f.messages >= fetchMessages }

// add adds a response that stands alone.
func (f *fetcher) add(r *pb.FetchResponse) {
	f.out = append(f.out, r)
	f.bytes += proto.Size(r)
	f.batch = nil
	if r.GetMessage() != nil {
		f.messages++
	}
}

// A response takes this many messages, or octets of them.
const (
	batchMessages = 500
	batchBytes    = 64 << 10
)

// addMessage adds a message without chunks.
func (f *fetcher) addMessage(msg *pb.FetchedMessage, index uint64, keywords []string) {
	size := 64 // of its record, about
	if msg.GetEmail() != nil {
		size += proto.Size(msg.GetEmail())
	}
	if f.batch == nil {
		f.batch = &pb.FetchResponse{AppliedIndex: index}
		f.out = append(f.out, f.batch)
		f.batchBytes = 0
	}
	if keywords != nil {
		f.batch.Keywords = keywords
	}
	f.batch.Messages = append(f.batch.Messages, msg)
	f.messages++
	f.bytes += size
	if f.batchBytes += size; f.batchBytes >= batchBytes || len(f.batch.GetMessages()) >= batchMessages {
		f.batch = nil
	}
}

// fill reads from a view until the batch is full, and reports whether there is
// more.
func (f *fetcher) fill(v *raftfsm.View) (more bool, err error) {
	defer func() {
		if f.emails != nil {
			_ = f.emails.Close() // it was only read
			f.emails = nil
		}
	}()
	a, err := v.Account(f.req.GetRoute().GetAccount())
	if err != nil {
		return false, err
	}
	if f.body != nil {
		// It is finished whatever has become of the mailbox, and of the actor's rights:
		// the client has been told how long it is.
		if err := f.rest(a); err != nil {
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
	index, _ := v.Applied()
	fields := f.fields()
	for i, msg := range msgs {
		if err := f.message(a, m, msg, fields, index); err != nil {
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
func (f *fetcher) message(a *raftfsm.Account, m *raftfsm.Mailbox, msg *pb.FetchedMessage, fields []protowire.Number, index uint64) (err error) {
	var keywords []string
	if table := m.Info().GetKeywords(); len(table) > f.keywords || len(f.out) == 0 && f.keywords == 0 {
		keywords, f.keywords = table, len(table)
	}
	wanted := f.req.GetEnvelope() || f.req.GetStructure() || f.req.GetEmail()
	if f.req.GetBody() == pb.FetchRequest_BODY_UNSPECIFIED {
		if wanted {
			if f.emails == nil {
				if f.emails, err = a.Emails(); err != nil {
					return err
				}
			}
			if msg.Email, err = f.emails.Fields(msg.GetEmailId(), fields...); err != nil {
				return err
			}
		}
		f.addMessage(msg, index, keywords)
		return nil
	}
	email, err := a.Email(msg.GetEmailId())
	if err != nil {
		return err
	}
	if wanted {
		msg.Email = f.trim(email)
	}
	first, end := f.octets(email)
	if first >= end {
		f.addMessage(msg, index, keywords)
		return nil
	}
	resp := &pb.FetchResponse{AppliedIndex: index, Message: msg, Keywords: keywords}
	// The client is told first how many chunks follow: those that fit are kept,
	// the others counted.
	var keep []*pb.BodyChunk
	size := 0
	rest := &bodyRest{id: email.GetBodyId(), end: end}
	err = a.Chunks(email.GetBodyId(), first, end-first, func(c *pb.BodyChunk) (bool, error) {
		msg.Chunks++
		if rest.chunks == 0 && (len(keep) == 0 || f.bytes+size < fetchBytes) {
			keep = append(keep, own(c))
			size += len(c.GetData())
		} else {
			if rest.chunks == 0 {
				rest.offset = c.GetOffset()
			}
			rest.chunks++
		}
		return true, nil
	})
	if err != nil {
		return err
	}
	f.add(resp)
	for _, c := range keep {
		f.add(&pb.FetchResponse{Chunk: c})
	}
	if rest.chunks > 0 {
		f.body = rest
	}
	return nil
}

// rest adds chunks of the body that has been begun.
func (f *fetcher) rest(a *raftfsm.Account) error {
	b := f.body
	err := a.Chunks(b.id, b.offset, b.end-b.offset, func(c *pb.BodyChunk) (bool, error) {
		if b.chunks == 0 {
			return false, nil
		}
		f.add(&pb.FetchResponse{Chunk: own(c)})
		b.chunks--
		b.offset = c.GetOffset() + uint64(c.GetRawSize())
		return b.chunks > 0 && f.bytes < fetchBytes, nil
	})
	if err != nil {
		return err
	}
	if b.chunks == 0 {
		f.body = nil
	} else if len(f.out) == 0 {
		// Expunged, and collected after the undelete window, while it was read.
		return notReady("", "the rest of the body is gone")
	}
	return nil
}

// octets returns which octets of a message are wanted: first up to end.
func (f *fetcher) octets(e *pb.Email) (first, end uint64) {
	switch f.req.GetBody() {
	case pb.FetchRequest_BODY_HEADER:
		return 0, e.GetStructure().GetHeaderSize()
	case pb.FetchRequest_BODY_RANGE:
		end = f.req.GetOffset() + f.req.GetLength()
		if end < f.req.GetOffset() {
			end = math.MaxUint64
		}
		return f.req.GetOffset(), min(end, e.GetSize())
	case pb.FetchRequest_BODY_ALL:
		return 0, e.GetSize()
	}
	return 0, 0
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

// trim leaves of an email record what was asked for.
func (f *fetcher) trim(e *pb.Email) *pb.Email {
	if f.req.GetEmail() {
		return e
	}
	t := &pb.Email{Size: e.GetSize(), EmailId: e.GetEmailId()}
	if f.req.GetEnvelope() {
		t.Envelope = e.GetEnvelope()
	}
	if f.req.GetStructure() {
		t.Structure = e.GetStructure()
	}
	return t
}

// own returns a copy of a chunk that outlives the read.
func own(c *pb.BodyChunk) *pb.BodyChunk {
	return &pb.BodyChunk{Offset: c.GetOffset(), RawSize: c.GetRawSize(), Codec: c.GetCodec(), Data: bytes.Clone(c.GetData())}
}
