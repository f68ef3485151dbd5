package service

import (
	"context"
	"errors"
	"fmt"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/quorumail/quorumail/node/shard"
	pb "github.com/quorumail/quorumail/proto/quorumail/v1"
	"github.com/quorumail/quorumail/raftfsm"
)

// read takes a view of a shard that is as fresh as a request wants it. The
// caller closes the view.
func (s *storeServer) read(ctx context.Context, r *pb.Route, level *pb.ReadLevel) (*Shard, *raftfsm.View, error) {
	sh, err := s.route(r)
	if err != nil {
		return nil, nil, err
	}
	index := level.GetMinIndex()
	if level.GetLinearizable() {
		read, err := sh.Replica.ReadIndex(ctx)
		if err != nil {
			return nil, nil, replicaError(sh.Replica, err)
		}
		index = max(index, read)
	}
	if err := s.await(ctx, sh, index); err != nil {
		return nil, nil, err
	}
	v, err := sh.view()
	return sh, v, err
}

// await waits until the state has reached index, for a bounded time.
func (s *storeServer) await(ctx context.Context, sh *Shard, index uint64) error {
	if index <= sh.Replica.Applied() {
		return nil
	}
	wait, cancel := context.WithTimeout(ctx, s.cfg.ReadWait)
	defer cancel()
	err := sh.Replica.WaitApplied(wait, index)
	switch {
	case err == nil:
		return nil
	case ctx.Err() != nil:
		return status.FromContextError(ctx.Err()).Err()
	case errors.Is(err, shard.ErrStopped):
		return replicaError(sh.Replica, err)
	}
	leader, _ := sh.Replica.Leader()
	return notReady(leader, fmt.Sprintf("applied index is %d, wanted %d", sh.Replica.Applied(), index))
}

// view takes a view of the state as it is.
func (sh *Shard) view() (*raftfsm.View, error) {
	// A replica that has failed no longer knows what it holds.
	if err := sh.Replica.Err(); err != nil {
		return nil, notReady("", "replica has failed")
	}
	v, err := sh.State.View()
	if err != nil {
		return nil, internal("view", err)
	}
	return v, nil
}

// internal is the answer when the state cannot be read. Another replica may do
// better.
func internal(op string, err error) error {
	return failure(codes.Internal, &pb.ErrorDetail{Kind: pb.ErrorDetail_KIND_NOT_READY}, fmt.Sprintf("%s: %v", op, err))
}
