package client

import (
	"context"
	"errors"
	"fmt"

	"google.golang.org/protobuf/proto"

	"github.com/quorumail/quorumail/proto/framecodec"
	"github.com/quorumail/quorumail/proto/imapnum"
	pb "github.com/quorumail/quorumail/proto/quorumail/v1"
)

// Fetch streams data of messages to fn, in ascending order of UID. The route
// and level of req are filled in. If a stream breaks, Fetch resumes after the
// last message that fn has had whole, and in a body after the last chunk: fn
// sees each response once. An error of fn ends it and is returned.
//
// fn sees each message in a response of its own, which is fn's until it returns:
// message and octets are then of the next one.
// The first response that fn sees has the mailbox's keyword table, and so has
// any later one that may need a longer one.
func (s *Session) Fetch(ctx context.Context, req *pb.FetchRequest, fn func(*pb.FetchResponse) error) error {
	uids, err := imapnum.Unpack(req.GetUids().GetPacked())
	if err != nil {
		return fmt.Errorf("fetch: %w: %w", ErrInvalid, err)
	}
	ctx, done := s.c.bound(ctx)
	defer done()
	f := &fetch{s: s, req: req, fn: fn, uids: uids}
	for {
		if f.uid != 0 {
			// A body that broke off is finished first, and alone: its message may have
			// been expunged meanwhile, and its content still be kept.
			if err := f.run(ctx, imapnum.SetOf(f.uid), true); err != nil {
				return err
			}
			if f.uid != 0 {
				return fmt.Errorf("fetch: uid %d: rest of the body is gone: %w", f.uid, ErrUnavailable)
			}
		}
		left := f.left()
		if left.Empty() {
			return nil
		}
		err := f.run(ctx, left, false)
		if !errors.Is(err, errResume) {
			return err
		}
	}
}

// errResume ends an attempt that broke inside a body, so that Fetch asks for
// that message alone.
var errResume = errors.New("broke off inside a body")

// fetch is the progress of one Fetch.
type fetch struct {
	s    *Session
	req  *pb.FetchRequest
	fn   func(*pb.FetchResponse) error
	uids imapnum.Set
	last imapnum.UID // the highest that has been begun

	uid    imapnum.UID // message whose chunks are coming; 0: between messages
	chunks uint32      // how many it has
	had    uint32      // how many of them fn has had

	keywords []string // came with a response that fn was not given
}

// left returns the UIDs that are yet to come.
func (f *fetch) left() imapnum.Set {
	return f.uids.Subtract(imapnum.SetOfRange(1, f.last))
}

// run makes attempts for the messages of uids until they are all there. If rest
// is set, uids is the message that broke off and only its missing chunks are
// passed on.
func (f *fetch) run(ctx context.Context, uids imapnum.Set, rest bool) error {
	return f.s.c.do(ctx, f.s, "fetch", anywhere, func(a *attempt) error {
		if !rest {
			if f.uid != 0 {
				return callerError{errResume}
			}
			uids = f.left()
		}
		req := proto.CloneOf(f.req)
		req.Route, req.Level = a.route, a.level(f.s, false)
		req.Uids = &pb.UidSet{Packed: uids.Pack()}
		req.IncludeExpunged = req.GetIncludeExpunged() || rest
		req.BodyInline = true
		stream, err := a.store.Fetch(a.ctx, req)
		if err != nil {
			return err
		}
		take := f.take
		if rest {
			skip := f.had
			take = func(resp *pb.FetchResponse) error { return f.takeRest(resp, &skip) }
		}
		received := &framecodec.Listing{}
		recv := func() (*pb.FetchResponse, error) { return &received.Response, stream.RecvMsg(received) }
		return receive(a, recv, func(resp *pb.FetchResponse) error {
			if i := resp.GetAppliedIndex(); i != 0 {
				f.s.raise(a.route.GetShard(), i)
			}
			a.progress = true
			return unfold(resp, take)
		}, func() bool { return rest || f.uid == 0 })
	})
}

// unfold passes on a response's messages one by one, each with the chunks in it
// after it.
func unfold(resp *pb.FetchResponse, take func(*pb.FetchResponse) error) error {
	msgs := resp.GetMessages()
	if m := resp.GetMessage(); m != nil {
		msgs = []*pb.FetchedMessage{m}
	}
	if len(msgs) == 0 {
		return take(resp)
	}
	one := &pb.FetchResponse{AppliedIndex: resp.GetAppliedIndex(), Keywords: resp.GetKeywords()}
	for _, m := range msgs {
		body := m.GetBody()
		m.Body, m.Chunks = nil, m.GetChunks()+uint32(len(body))
		one.Message = m
		if err := take(one); err != nil {
			return err
		}
		one.Keywords = nil
		for _, chunk := range body {
			if err := take(&pb.FetchResponse{AppliedIndex: resp.GetAppliedIndex(), Chunk: chunk}); err != nil {
				return err
			}
		}
	}
	return nil
}

// take passes on a response and notes how far it brings us.
func (f *fetch) take(resp *pb.FetchResponse) error {
	switch m := resp.GetMessage(); {
	case m != nil:
		uid := imapnum.UID(m.GetState().GetUid())
		if uid <= f.last || !f.uids.Contains(uid) {
			return fmt.Errorf("fetch: uid %d: came unasked or twice: %w", uid, ErrUnavailable)
		}
		f.last = uid
		if m.GetChunks() > 0 {
			f.uid, f.chunks, f.had = uid, m.GetChunks(), 0
		}
	case resp.GetChunk() != nil:
		if f.uid == 0 {
			return fmt.Errorf("fetch: chunk of no message: %w", ErrUnavailable)
		}
		f.had++
		if f.had == f.chunks {
			f.uid = 0
		}
	}
	if len(resp.GetKeywords()) == 0 && len(f.keywords) > 0 {
		resp.Keywords = f.keywords
	}
	f.keywords = nil
	return f.fn(resp)
}

// takeRest passes on the chunks that fn has not had.
func (f *fetch) takeRest(resp *pb.FetchResponse, skip *uint32) error {
	if k := resp.GetKeywords(); len(k) > 0 {
		f.keywords = k
	}
	switch m := resp.GetMessage(); {
	case m != nil:
		if m.GetChunks() != f.chunks {
			return fmt.Errorf("fetch: uid %d: body has %d chunks, had %d: %w", f.uid, m.GetChunks(), f.chunks, ErrUnavailable)
		}
		return nil
	case resp.GetChunk() == nil || f.uid == 0:
		return nil
	case *skip > 0:
		*skip--
		return nil
	}
	f.had++
	if f.had == f.chunks {
		f.uid = 0
	}
	return f.fn(&pb.FetchResponse{AppliedIndex: resp.GetAppliedIndex(), Chunk: resp.GetChunk()})
}
