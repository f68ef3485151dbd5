package service

import (
	"context"

	"github.com/quorumail/quorumail/proto/imapnum"
	pb "github.com/quorumail/quorumail/proto/quorumail/v1"
)

// GetFlags implements StoreService.
func (s *storeServer) GetFlags(ctx context.Context, req *pb.GetFlagsRequest) (*pb.GetFlagsResponse, error) {
	uids, err := unpacked(req.GetUids())
	if err != nil {
		return nil, err
	}
	_, v, err := s.read(ctx, req.GetRoute(), req.GetLevel())
	if err != nil {
		return nil, err
	}
	defer v.Close()
	m, err := mailbox(v, req.GetRoute(), req.GetMailboxId(), "")
	if err != nil {
		return nil, err
	}
	if err := allow(m, req.GetRoute(), imapnum.RightRead); err != nil {
		return nil, err
	}
	sets, err := m.FlagSets(uids)
	if err != nil {
		return nil, readError("flags", err)
	}
	index, _ := v.Applied()
	resp := &pb.GetFlagsResponse{
		AppliedIndex: index, HighestModSeq: m.Info().GetHighestModSeq(), Uids: packed(sets.UIDs), Keywords: m.Info().GetKeywords(),
	}
	for i, set := range sets.System {
		if !set.Empty() {
			resp.Flagged = append(resp.Flagged, &pb.FlaggedSet{Flag: &pb.FlaggedSet_SystemFlag{SystemFlag: 1 << i}, Uids: packed(set)})
		}
	}
	for i, set := range sets.Keywords {
		if !set.Empty() {
			resp.Flagged = append(resp.Flagged, &pb.FlaggedSet{Flag: &pb.FlaggedSet_Keyword{Keyword: uint32(i)}, Uids: packed(set)})
		}
	}
	return resp, nil
}
