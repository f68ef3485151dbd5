// Package directory knows where everything is: which shard a slot belongs to,
// and which nodes hold a shard's replicas. It is a Raft group of its own, group
// 0, with a small state machine: the map, replaced as a whole by commands that
// name the epoch they replace. Every node has a replica, so that every node can
// tell a frontend where to go.
package directory

import (
	"context"
	"errors"
	"fmt"

	"github.com/cockroachdb/pebble/v2"
	"google.golang.org/protobuf/proto"

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
type Directory struct {
	state   *state
	replica *shard.Replica
}

// Open starts the directory's replica. cfg is that of a shard replica; Shard and
// State are filled in. db is the node's state store.
func Open(db *pebble.DB, cfg shard.Config) (*Directory, error) {
	s, err := openState(db)
	if err != nil {
		return nil, err
	}
	cfg.Shard, cfg.State = 0, s
	r, err := shard.Open(cfg)
	if err != nil {
		return nil, err
	}
	return &Directory{state: s, replica: r}, nil
}

// Close stops the replica.
func (d *Directory) Close() error { return d.replica.Close() }

// Replica returns the Raft replica, for Bootstrap, leadership and status.
func (d *Directory) Replica() *shard.Replica { return d.replica }

// Map returns the newest map that this replica knows, nil before there is one.
// It is shared: callers must not change it.
func (d *Directory) Map() *pb.ClusterMap {
	m, _ := d.state.get()
	return m
}

// Watch returns the newest map as soon as its epoch is above after. Errors:
// the context's.
func (d *Directory) Watch(ctx context.Context, after uint64) (*pb.ClusterMap, error) {
	for {
		m, changed := d.state.get()
		if m.GetEpoch() > after {
			return m, nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

// Found sets the first map. Leader only; errors as of shard.Replica.Propose, and
// [ErrFounded], [ErrInvalid].
func (d *Directory) Found(ctx context.Context, m *pb.ClusterMap) error {
	return d.propose(ctx, &pb.DirectoryEntry{Op: &pb.DirectoryEntry_Found{Found: m}})
}

// Update replaces the map by one whose epoch is one above its. Leader only;
// errors as of shard.Replica.Propose, and [ErrConflict], [ErrInvalid].
func (d *Directory) Update(ctx context.Context, m *pb.ClusterMap) error {
	return d.propose(ctx, &pb.DirectoryEntry{Op: &pb.DirectoryEntry_Update{Update: m}})
}

func (d *Directory) propose(ctx context.Context, e *pb.DirectoryEntry) error {
	data, err := proto.Marshal(e)
	if err != nil {
		return fmt.Errorf("directory: %w", err)
	}
	result, _, err := d.replica.ProposeRaw(ctx, data)
	if err != nil {
		return err
	}
	r, ok := result.(refusal)
	if !ok {
		return fmt.Errorf("directory: unexpected result %T", result)
	}
	return r.err
}
