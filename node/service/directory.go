package service

import (
	"context"

	"google.golang.org/grpc/status"

	pb "github.com/quorumail/quorumail/proto/quorumail/v1"
)

// directoryServer serves DirectoryService.
type directoryServer struct {
	pb.UnimplementedDirectoryServiceServer
	host    Host
	closing <-chan struct{}
}

// GetMap implements DirectoryService.
func (d *directoryServer) GetMap(context.Context, *pb.GetMapRequest) (*pb.GetMapResponse, error) {
	m := d.host.Map()
	if m == nil {
		return nil, notReady("", "no map yet")
	}
	return &pb.GetMapResponse{Map: m}, nil
}

// WatchMap implements DirectoryService.
func (d *directoryServer) WatchMap(req *pb.WatchMapRequest, stream pb.DirectoryService_WatchMapServer) error {
	ctx, cancel := context.WithCancel(stream.Context())
	defer cancel()
	after := req.GetAfterEpoch()
	done := make(chan struct{})
	defer func() { <-done }()
	defer cancel()
	go func() {
		defer close(done)
		select {
		case <-d.closing:
			cancel()
		case <-ctx.Done():
		}
	}()
	for {
		m, err := d.host.WatchMap(ctx, after)
		switch {
		case stream.Context().Err() != nil:
			return status.FromContextError(stream.Context().Err()).Err()
		case err != nil:
			return notReady("", "the node is stopping")
		}
		after = m.GetEpoch()
		if err := stream.Send(&pb.WatchMapResponse{Map: m}); err != nil {
			return err
		}
	}
}
