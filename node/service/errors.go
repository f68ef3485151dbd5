package service

import (
	"context"
	"errors"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/quorumail/quorumail/node/shard"
	pb "github.com/quorumail/quorumail/proto/quorumail/v1"
	"github.com/quorumail/quorumail/raftfsm"
)

// failure makes a status with a detail.
func failure(code codes.Code, d *pb.ErrorDetail, msg string) error {
	st, err := status.New(code, msg).WithDetails(d)
	if err != nil {
		return status.Error(code, msg) // the detail cannot be encoded: a bug, but no reason to hide msg
	}
	return st.Err()
}

// invalid is the answer to a request that no replica would accept.
func invalid(msg string) error {
	return failure(codes.InvalidArgument, &pb.ErrorDetail{Kind: pb.ErrorDetail_KIND_INVALID}, msg)
}

func noAccount() error {
	return failure(codes.NotFound, &pb.ErrorDetail{Kind: pb.ErrorDetail_KIND_NO_ACCOUNT}, "no such account")
}

func noMailbox() error {
	return failure(codes.NotFound, &pb.ErrorDetail{Kind: pb.ErrorDetail_KIND_NO_MAILBOX}, "no such mailbox")
}

func notReady(leader, msg string) error {
	return failure(codes.Unavailable, &pb.ErrorDetail{Kind: pb.ErrorDetail_KIND_NOT_READY, Leader: leader}, msg)
}

// replicaError is the answer when a replica could not do something.
func replicaError(r *shard.Replica, err error) error {
	var notLeader *shard.NotLeaderError
	switch {
	case errors.As(err, &notLeader):
		return failure(codes.Unavailable,
			&pb.ErrorDetail{Kind: pb.ErrorDetail_KIND_NOT_LEADER, Leader: notLeader.Leader}, err.Error())
	case errors.Is(err, shard.ErrOverloaded):
		return failure(codes.Unavailable, &pb.ErrorDetail{Kind: pb.ErrorDetail_KIND_OVERLOADED}, err.Error())
	case errors.Is(err, shard.ErrTooLarge):
		return invalid(err.Error())
	case errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		return status.FromContextError(err).Err()
	}
	// Not ready, stopped, or of unknown outcome: to the caller the same, since it
	// asks again with the same request id.
	leader, _ := r.Leader()
	return notReady(leader, err.Error())
}

// detailOf returns the detail of an error made here, nil if it has none.
func detailOf(err error) *pb.ErrorDetail {
	for _, d := range status.Convert(err).Details() {
		if d, ok := d.(*pb.ErrorDetail); ok {
			return d
		}
	}
	return nil
}

// readError is the answer when a read of the state has failed.
func readError(op string, err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, raftfsm.ErrNoAccount):
		return noAccount()
	case errors.Is(err, raftfsm.ErrNoMailbox):
		return noMailbox()
	}
	if _, ok := status.FromError(err); ok {
		return err // made here, or by sending
	}
	return internal(op, err)
}
