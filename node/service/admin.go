package service

import (
	"context"

	"google.golang.org/grpc/codes"

	pb "github.com/quorumail/quorumail/proto/quorumail/v1"
)

// adminServer serves AdminService.
type adminServer struct {
	pb.UnimplementedAdminServiceServer
	host Host
}

func (a *adminServer) wrongShard() error {
	return failure(codes.FailedPrecondition,
		&pb.ErrorDetail{Kind: pb.ErrorDetail_KIND_WRONG_SHARD, Epoch: a.host.Map().GetEpoch()}, "the shard is not on this node")
}

// NodeStatus implements AdminService.
func (a *adminServer) NodeStatus(context.Context, *pb.NodeStatusRequest) (*pb.NodeStatusResponse, error) {
	resp := &pb.NodeStatusResponse{NodeId: a.host.NodeID(), Replicas: a.host.Statuses(), Unwilling: a.host.Unwilling()}
	resp.ServerId, resp.Cluster, resp.Founders, resp.Rejoins = a.host.Server()
	return resp, nil
}

// TransferLeadership implements AdminService.
func (a *adminServer) TransferLeadership(ctx context.Context, req *pb.TransferLeadershipRequest) (*pb.TransferLeadershipResponse, error) {
	r := a.host.Replica(req.GetShard())
	if r == nil {
		return nil, a.wrongShard()
	}
	if err := r.TransferLeadership(ctx, req.GetTo()); err != nil {
		return nil, replicaError(r, err)
	}
	return &pb.TransferLeadershipResponse{}, nil
}
