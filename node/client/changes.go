package client

import (
	"context"
	"errors"
	"io"

	pb "github.com/quorumail/quorumail/proto/quorumail/v1"
)

// OpenMailbox reads a mailbox, linearizably; with since also what changed. name
// or id is given. The changes come in one or more batches, passed to fn in order
// before OpenMailbox returns; fn may be nil if since is. An error of fn ends it
// and is returned.
//
// Everything is of one applied index. So that a stream that breaks can be begun
// anew, at another index, fn is first called when all has come.
func (s *Session) OpenMailbox(ctx context.Context, name string, id uint64, since *pb.Since, fn func(*pb.ChangeBatch) error) (*pb.OpenedMailbox, error) {
	var opened *pb.OpenedMailbox
	var batches []*pb.ChangeBatch
	err := s.c.do(ctx, s, "open mailbox", atLeader, func(a *attempt) error {
		opened, batches = nil, nil
		stream, err := a.store.OpenMailbox(a.ctx, &pb.OpenMailboxRequest{
			Route: a.route, Level: a.level(s, true), Name: name, MailboxId: id, Since: since,
		})
		if err != nil {
			return err
		}
		return receive(a, stream.Recv, func(resp *pb.OpenMailboxResponse) error {
			if o := resp.GetOpened(); o != nil {
				opened = o
				s.raise(a.route.GetShard(), o.GetAppliedIndex())
			}
			if b := resp.GetChanges(); b != nil {
				batches = append(batches, b)
			}
			return nil
		}, func() bool { return opened != nil })
	})
	if err != nil {
		return nil, err
	}
	for _, b := range batches {
		if fn == nil {
			break
		}
		if err := fn(b); err != nil {
			return nil, err
		}
	}
	return opened, nil
}

// Changes reads what happened to a mailbox since a MODSEQ. With linearizable it
// sees all that any client has been told was done; otherwise at least what this
// session has seen or has been told by a watch. The whole answer is of one
// applied index: it is collected before it is returned.
func (s *Session) Changes(ctx context.Context, mailboxID uint64, since *pb.Since, linearizable bool) (*pb.MailboxInfo, []*pb.ChangeBatch, error) {
	k := anywhere
	if linearizable {
		k = atLeader
	}
	var info *pb.MailboxInfo
	var batches []*pb.ChangeBatch
	err := s.c.do(ctx, s, "changes", k, func(a *attempt) error {
		info, batches = nil, nil
		stream, err := a.store.Changes(a.ctx, &pb.ChangesRequest{
			Route: a.route, Level: a.level(s, linearizable), MailboxId: mailboxID, Since: since,
		})
		if err != nil {
			return err
		}
		return receive(a, stream.Recv, func(resp *pb.ChangesResponse) error {
			if i := resp.GetInfo(); i != nil {
				info = i
				s.raise(a.route.GetShard(), resp.GetAppliedIndex())
			}
			if b := resp.GetChanges(); b != nil {
				batches = append(batches, b)
			}
			return nil
		}, func() bool { return info != nil })
	})
	if err != nil {
		return nil, nil, err
	}
	return info, batches, nil
}

// receive passes the responses of a stream to take until the stream ends. The
// attempt's watchdog sleeps while take runs: a slow caller is not a dead replica.
// A stream that ends before whole says that it is, is taken for a broken one.
func receive[R any](a *attempt, recv func() (*R, error), take func(*R) error, whole func() bool) error {
	for {
		a.dog.kick()
		resp, err := recv()
		a.dog.pause()
		if errors.Is(err, io.EOF) {
			if !whole() {
				return errStalled
			}
			return nil
		}
		if err != nil {
			return err
		}
		if err := take(resp); err != nil {
			return callerError{err}
		}
	}
}
