package node

import (
	"context"
	"errors"
	"fmt"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// ReadAll reads all that the node's replicas hold, and fails the node if something is
// damaged. It takes as long as the disk needs, next to what the node has to do.
func (n *Node) ReadAll(ctx context.Context) error {
	for _, sh := range n.shards() {
		v, err := sh.State.View()
		if err == nil {
			_, err = v.Digests(ctx, nil)
			err = errors.Join(err, v.Close())
		}
		if err != nil {
			err = fmt.Errorf("node %s: shard %d: %w", n.cfg.ID, sh.ID, err)
			if isDamage(err) {
				n.fail(err)
			}
			return err
		}
	}
	return nil
}

// suspects tells scrub that an answer said that the state could not be read. Pebble
// tells of damage in a file of keys by itself, but not of that in a file of bodies.
func (n *Node) suspects(err error) {
	if status.Code(err) != codes.Internal {
		return
	}
	select {
	case n.suspicion <- struct{}{}:
	default: // it is about to be looked at
	}
}

// scrub reads all when a read for somebody has failed, until ctx ends.
func (n *Node) scrub(ctx context.Context) {
	for {
		select {
		case <-n.suspicion:
			if err := n.ReadAll(ctx); err != nil && ctx.Err() == nil {
				n.log.Error("not all can be read", "error", err)
			}
		case <-ctx.Done():
			return
		}
	}
}

func (n *Node) watchUnary(ctx context.Context, req any, _ *grpc.UnaryServerInfo, handle grpc.UnaryHandler) (any, error) {
	resp, err := handle(ctx, req)
	n.suspects(err)
	return resp, err
}

func (n *Node) watchStream(srv any, stream grpc.ServerStream, _ *grpc.StreamServerInfo, handle grpc.StreamHandler) error {
	err := handle(srv, stream)
	n.suspects(err)
	return err
}
