// Package directory knows where everything is: which shard a slot belongs to,
// and which nodes hold a shard's replicas.
package directory

import (
	"context"
	"errors"

	"github.com/cockroachdb/pebble/v2"

	"github.com/quorumail/quorumail/node/shard"
	pb "github.com/quorumail/quorumail/proto/quorumail/v1"
)

// Errors of a refused change.
var (
	// ErrFounded: there is a map already.
	ErrFounded = errors.New("directory: founded already")
	// ErrConflict: the map's epoch is not one above the current one's.
	ErrConflict = errors.New("directory: epoch conflict")
	// ErrInvalid: the map contradicts itself; see Validate.
	ErrInvalid = errors.New("directory: invalid map")
)

// Directory is this node's replica of the directory: group 0. Safe for
// concurrent use.
type Directory struct{}

// Open starts the directory's replica. cfg is that of a shard replica; Shard and
// State are filled in. db is the node's state store.
func Open(db *pebble.DB, cfg shard.Config) (*Directory, error) { return &Directory{}, nil }

// Close stops the replica.
func (d *Directory) Close() error { return nil }

// Replica returns the Raft replica, for Bootstrap, leadership and status.
func (d *Directory) Replica() *shard.Replica { return nil }

// Map returns the newest map that this replica knows, nil before there is one.
// It is shared: callers must not change it.
func (d *Directory) Map() *pb.ClusterMap { return nil }

// Watch returns the newest map as soon as its epoch is above after.
func (d *Directory) Watch(ctx context.Context, after uint64) (*pb.ClusterMap, error) {
	return nil, shard.ErrStopped
}

// Found sets the first map. Leader only; errors as of shard.Replica.Propose, and
// [ErrFounded], [ErrInvalid].
func (d *Directory) Found(ctx context.Context, m *pb.ClusterMap) error { return shard.ErrStopped }

// Update replaces the map by one whose epoch is one above its. Leader only;
// errors as of shard.Replica.Propose, and [ErrConflict], [ErrInvalid].
func (d *Directory) Update(ctx context.Context, m *pb.ClusterMap) error { return shard.ErrStopped }

// Plan makes the first map of a cluster: shards 1 to shards, each on replicas
// of the nodes, slots in even, contiguous ranges, replicas and preferences for
// leadership spread evenly. It is a pure function of its arguments.
func Plan(clusterID string, nodes []*pb.NodeInfo, shards, replicas int) (*pb.ClusterMap, error) {
	return nil, ErrInvalid
}

// Validate reports whether a map makes sense: known nodes, no slot twice or
// without a shard, no shard without replicas.
func Validate(m *pb.ClusterMap) error { return nil }
