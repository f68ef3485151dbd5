package service

import (
	"context"
	"errors"
	"runtime"
	"time"

	"google.golang.org/grpc/status"

	"github.com/quorumail/quorumail/node/search"
	"github.com/quorumail/quorumail/proto/imapnum"
	pb "github.com/quorumail/quorumail/proto/quorumail/v1"
	"github.com/quorumail/quorumail/raftfsm"
)

// searchable is a mailbox and its account, as node/search wants them.
type searchable struct {
	*raftfsm.Mailbox
	account *raftfsm.Account
}

var _ search.Mailbox = searchable{}

// Email implements search.Mailbox.
func (s searchable) Email(id uint64) (*pb.Email, error) { return s.account.Email(id) }

// Chunks implements search.Mailbox.
func (s searchable) Chunks(bodyID []byte, offset, length uint64, fn func(*pb.BodyChunk) (bool, error)) error {
	return s.account.Chunks(bodyID, offset, length, fn)
}

// maxSearches is how many searches run at once: they are bound by processors, and
// what else the node does should not wait for them.
func maxSearches() int { return max(2, runtime.NumCPU()) }

// matches runs a search for a part of what there is, or for all, and hands what it
// found, and where, to fn. Only so many run at once.
func (s *storeServer) matches(ctx context.Context, req *pb.SearchRequest, part search.Part, fn func(index uint64, mb searchable, res search.Result) error) error {
	key := req.GetKey()
	if req.GetWithin() != nil {
		within := &pb.SearchKey{Key: &pb.SearchKey_Uids{Uids: req.GetWithin()}}
		key = &pb.SearchKey{Key: &pb.SearchKey_And{And: &pb.SearchKeyList{Keys: []*pb.SearchKey{within, key}}}}
	}
	select {
	case s.searches <- struct{}{}:
		defer func() { <-s.searches }()
	case <-ctx.Done():
		return status.FromContextError(ctx.Err()).Err()
	}
	_, v, err := s.read(ctx, req.GetRoute(), req.GetLevel())
	if err != nil {
		return err
	}
	defer v.Close()
	a, err := v.Account(req.GetRoute().GetAccount())
	if err != nil {
		return readError("account", err)
	}
	m, err := a.MailboxByID(imapnum.MailboxID(req.GetMailboxId()))
	if err != nil {
		return readError("mailbox", err)
	}
	if err := allow(m, req.GetRoute(), imapnum.RightRead); err != nil {
		return err
	}
	index, _ := v.Applied()
	mb := searchable{m, a}
	res, err := search.Run(ctx, key, mb, time.Now(), part)
	if err == nil {
		err = fn(index, mb, res)
	}
	switch {
	case errors.Is(err, search.ErrKey):
		return invalid(err.Error())
	case ctx.Err() != nil:
		return status.FromContextError(ctx.Err()).Err()
	case err != nil:
		return readError("search", err)
	}
	return nil
}

// partOf returns which of the matches a request is for.
func partOf(req *pb.SearchRequest) search.Part {
	p := req.GetPart()
	return search.Part{First: p.GetFirst(), Last: p.GetLast(), FromEnd: p.GetFromEnd(), Only: p.GetOnly()}
}

// Search implements StoreService.
func (s *storeServer) Search(ctx context.Context, req *pb.SearchRequest) (*pb.SearchResponse, error) {
	var resp *pb.SearchResponse
	err := s.matches(ctx, req, partOf(req), func(index uint64, mb searchable, res search.Result) error {
		resp = &pb.SearchResponse{
			AppliedIndex: index, MailboxModSeq: mb.Info().GetHighestModSeq(), Uids: packed(res.UIDs),
			HighestModSeq: uint64(res.HighestModSeq), FirstModSeq: uint64(res.FirstModSeq), LastModSeq: uint64(res.LastModSeq),
			PartModSeq: uint64(res.PartModSeq),
		}
		return nil
	})
	return resp, err
}

// Sort implements StoreService.
func (s *storeServer) Sort(ctx context.Context, req *pb.SortRequest) (*pb.SortResponse, error) {
	var resp *pb.SortResponse
	err := s.matches(ctx, req.GetSearch(), search.Part{}, func(index uint64, mb searchable, res search.Result) error {
		uids, err := search.Sort(ctx, mb, res.UIDs, req.GetKeys())
		if err != nil {
			return err
		}
		resp = &pb.SortResponse{
			AppliedIndex: index, MailboxModSeq: mb.Info().GetHighestModSeq(), HighestModSeq: uint64(res.HighestModSeq), Uids: make([]uint32, len(uids)),
		}
		for i, uid := range uids {
			resp.Uids[i] = uint32(uid)
		}
		i, j := partOf(req.GetSearch()).Of(len(uids))
		if req.GetSearch().GetPart().GetOnly() {
			resp.Uids = resp.Uids[i:j]
		}
		if len(uids) == 0 || res.HighestModSeq == 0 {
			return nil
		}
		err = mb.Messages(imapnum.SetOf(uids[i:j]...), func(m *pb.FetchedMessage) (bool, error) {
			resp.PartModSeq = max(resp.PartModSeq, m.GetState().GetModSeq())
			return true, ctx.Err()
		})
		if err != nil {
			return err
		}
		first, last := uids[0], uids[len(uids)-1]
		return mb.Messages(imapnum.SetOf(first, last), func(m *pb.FetchedMessage) (bool, error) {
			if imapnum.UID(m.GetState().GetUid()) == first {
				resp.FirstModSeq = m.GetState().GetModSeq()
			}
			if imapnum.UID(m.GetState().GetUid()) == last {
				resp.LastModSeq = m.GetState().GetModSeq()
			}
			return true, nil
		})
	})
	return resp, err
}

// Thread implements StoreService.
func (s *storeServer) Thread(ctx context.Context, req *pb.ThreadRequest) (*pb.ThreadResponse, error) {
	var resp *pb.ThreadResponse
	err := s.matches(ctx, req.GetSearch(), search.Part{}, func(index uint64, mb searchable, res search.Result) error {
		nodes, err := search.Thread(ctx, mb, res.UIDs, req.GetAlgorithm())
		if err != nil {
			return err
		}
		resp = &pb.ThreadResponse{
			AppliedIndex: index, MailboxModSeq: mb.Info().GetHighestModSeq(), Uids: make([]uint32, len(nodes)), Children: make([]uint32, len(nodes)),
		}
		for i, n := range nodes {
			resp.Uids[i], resp.Children[i] = uint32(n.UID), uint32(n.Children)
		}
		return nil
	})
	return resp, err
}
