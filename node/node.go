package node

import (
	"context"
	"errors"

	pb "github.com/quorumail/quorumail/proto/quorumail/v1"
)

// Node is a running storage process. Safe for concurrent use.
type Node struct{}

// Open starts a node and returns when it listens; it does not wait for the
// rest of the cluster (see WaitReady). ctx bounds the start only.
func Open(ctx context.Context, cfg Config) (*Node, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	return nil, errors.New("node: open: not built yet")
}

// Addr is the address that the node listens on.
func (n *Node) Addr() string { return "" }

// WaitReady returns when the node knows the map and each shard of the cluster
// that it hosts has a leader that is known; or with the reason why not when ctx
// ends.
func (n *Node) WaitReady(ctx context.Context) error { return nil }

// Status describes the node's replicas, by shard; 0 is the directory.
func (n *Node) Status() []*pb.ReplicaStatus { return nil }

// Close hands the leaderships of this node over to others, as far as that is
// possible until ctx ends, then stops everything and waits for it.
func (n *Node) Close(ctx context.Context) error { return nil }

// Kill stops the node as a crash would, as seen from outside: it says nothing
// more to anybody. What is on its disk is what had been synced before. For
// tests; Close must still be called to free what the node holds.
func (n *Node) Kill() {}
