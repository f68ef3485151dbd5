package service

import (
	"context"
	"errors"
	"fmt"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	pb "github.com/quorumail/quorumail/proto/quorumail/v1"
	"github.com/quorumail/quorumail/raftfsm"
)

const (
	markLen = 16
	// digestsPerMessage is how many accounts a message tells of.
	digestsPerMessage = 500
)

// MarkShard implements AdminService.
func (a *adminServer) MarkShard(ctx context.Context, req *pb.MarkShardRequest) (*pb.MarkShardResponse, error) {
	sh := a.host.Shard(req.GetShard())
	if sh == nil {
		return nil, a.wrongShard()
	}
	if len(req.GetMark()) != markLen {
		return nil, invalid(fmt.Sprintf("a mark of %d octets, want %d", len(req.GetMark()), markLen))
	}
	data, err := proto.Marshal(&pb.EntryBatch{Mark: req.GetMark()})
	if err != nil {
		return nil, internal("mark", err)
	}
	_, index, err := sh.Replica.ProposeRaw(ctx, data)
	if err != nil {
		return nil, replicaError(sh.Replica, err)
	}
	return &pb.MarkShardResponse{Index: index}, nil
}

// VerifyShard implements AdminService. It reads all that the shard holds, next to
// what the node has to do; writes go on meanwhile.
func (a *adminServer) VerifyShard(req *pb.VerifyShardRequest, stream grpc.ServerStreamingServer[pb.VerifyShardResponse]) error {
	ctx := stream.Context()
	sh := a.host.Shard(req.GetShard())
	if sh == nil {
		return a.wrongShard()
	}
	if err := sh.Replica.WaitApplied(ctx, req.GetIndex()); err != nil {
		if ctx.Err() != nil {
			return status.FromContextError(ctx.Err()).Err()
		}
		return replicaError(sh.Replica, err)
	}
	v := sh.Marks.take(req.GetMark())
	if v == nil {
		// It leapt over the mark by a snapshot, or has let go of it.
		return notReady("", "the state at the mark is not held")
	}
	defer v.Close()
	var resp pb.VerifyShardResponse
	d, err := v.Digests(ctx, func(account string, d raftfsm.Digest) error {
		ad := &pb.AccountDigest{Account: account, Keys: d.Keys, Sha256: d.Sum[:]}
		switch err := v.Check(account); {
		case err == nil, errors.Is(err, raftfsm.ErrNoAccount): // it has been deleted
		case errors.Is(err, raftfsm.ErrReplaced):
			return err
		default:
			ad.Broken = err.Error()
		}
		resp.Accounts = append(resp.Accounts, ad)
		if len(resp.GetAccounts()) < digestsPerMessage {
			return nil
		}
		err := stream.Send(&resp)
		resp = pb.VerifyShardResponse{}
		return err
	})
	if ctx.Err() != nil {
		return status.FromContextError(ctx.Err()).Err()
	}
	if err != nil {
		return failure(codes.Internal, &pb.ErrorDetail{Kind: pb.ErrorDetail_KIND_NOT_READY}, fmt.Sprintf("verify: %v", err))
	}
	index, _ := v.Applied()
	resp.Shard = &pb.ShardDigest{AppliedIndex: index, Keys: d.Keys, Sha256: d.Sum[:]}
	return stream.Send(&resp)
}
