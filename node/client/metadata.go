package client

import (
	"context"

	pb "github.com/quorumail/quorumail/proto/quorumail/v1"
)

// Metadata reads annotations, linearizably or at least as this session has seen
// them. The route and level of req are filled in. The whole answer is of one
// applied index, and returned as one response.
func (s *Session) Metadata(ctx context.Context, req *pb.GetMetadataRequest, linearizable bool) (*pb.GetMetadataResponse, error) {
	k := anywhere
	if linearizable {
		k = atLeader
	}
	var all *pb.GetMetadataResponse
	err := s.c.do(ctx, s, "get metadata", k, func(a *attempt) error {
		all = nil
		stream, err := a.store.GetMetadata(a.ctx, &pb.GetMetadataRequest{
			Route: a.route, Level: a.level(s, linearizable),
			Mailbox: req.GetMailbox(), All: req.GetAll(), SinceModSeq: req.GetSinceModSeq(),
			Entries: req.GetEntries(), Depth: req.GetDepth(), NamesOnly: req.GetNamesOnly(), MaxSize: req.MaxSize,
		})
		if err != nil {
			return err
		}
		return receive(a, stream.Recv, func(resp *pb.GetMetadataResponse) error {
			if all == nil {
				all = resp
				s.raise(a.route.GetShard(), resp.GetAppliedIndex())
				return nil
			}
			all.Longest = max(all.GetLongest(), resp.GetLongest())
			all.Mailboxes = joinMetadata(all.GetMailboxes(), resp.GetMailboxes())
			return nil
		}, func() bool { return all != nil })
	})
	if err != nil {
		return nil, err
	}
	return all, nil
}

// joinMetadata appends a response's mailboxes to those before, of which the last
// can be the same as its first.
func joinMetadata(list, more []*pb.MailboxMetadata) []*pb.MailboxMetadata {
	if n := len(list); n > 0 && len(more) > 0 && list[n-1].GetMailboxId() == more[0].GetMailboxId() {
		list[n-1].Entries = append(list[n-1].Entries, more[0].GetEntries()...)
		more = more[1:]
	}
	return append(list, more...)
}
