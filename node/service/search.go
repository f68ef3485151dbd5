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

// Search implements StoreService.
func (s *storeServer) Search(ctx context.Context, req *pb.SearchRequest) (*pb.SearchResponse, error) {
	key := req.GetKey()
	if req.GetWithin() != nil {
		within := &pb.SearchKey{Key: &pb.SearchKey_Uids{Uids: req.GetWithin()}}
		key = &pb.SearchKey{Key: &pb.SearchKey_And{And: &pb.SearchKeyList{Keys: []*pb.SearchKey{within, key}}}}
	}
	select {
	case s.searches <- struct{}{}:
		defer func() { <-s.searches }()
	case <-ctx.Done():
		return nil, status.FromContextError(ctx.Err()).Err()
	}
	_, v, err := s.read(ctx, req.GetRoute(), req.GetLevel())
	if err != nil {
		return nil, err
	}
	defer v.Close()
	a, err := v.Account(req.GetRoute().GetAccount())
	if err != nil {
		return nil, readError("account", err)
	}
	m, err := a.MailboxByID(imapnum.MailboxID(req.GetMailboxId()))
	if err != nil {
		return nil, readError("mailbox", err)
	}
	if err := allow(m, req.GetRoute(), imapnum.RightRead); err != nil {
		return nil, err
	}
	res, err := search.Run(ctx, key, searchable{m, a}, time.Now())
	switch {
	case errors.Is(err, search.ErrKey):
		return nil, invalid(err.Error())
	case ctx.Err() != nil:
		return nil, status.FromContextError(ctx.Err()).Err()
	case err != nil:
		return nil, readError("search", err)
	}
	index, _ := v.Applied()
	return &pb.SearchResponse{
		AppliedIndex: index, Uids: packed(res.UIDs),
		HighestModSeq: uint64(res.HighestModSeq), FirstModSeq: uint64(res.FirstModSeq), LastModSeq: uint64(res.LastModSeq),
	}, nil
}
