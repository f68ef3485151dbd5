package node

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"maps"
	"slices"

	"google.golang.org/protobuf/proto"

	"github.com/quorumail/quorumail/node/directory"
	pb "github.com/quorumail/quorumail/proto/quorumail/v1"
)

// keepMap is the work of the node that leads the directory: it proposes the
// first map, and later puts into it the addresses that nodes have moved to.
func (n *Node) keepMap(ctx context.Context, d *directory.Directory) error {
	m := d.Map()
	if m == nil {
		return n.found(ctx, d)
	}
	next := proto.CloneOf(m)
	moved := false
	for _, info := range next.GetNodes() {
		if addr, ok := n.cfg.Peers[info.GetId()]; ok && addr != info.GetAddress() {
			info.Address, moved = addr, true
		}
	}
	if !moved {
		return nil
	}
	next.Epoch++
	err := d.Update(ctx, next)
	if errors.Is(err, directory.ErrConflict) {
		return nil // somebody was quicker; the next round looks again
	}
	return err
}

func (n *Node) found(ctx context.Context, d *directory.Directory) error {
	var nodes []*pb.NodeInfo
	for _, id := range slices.Sorted(maps.Keys(n.cfg.Peers)) {
		nodes = append(nodes, &pb.NodeInfo{Id: id, Address: n.cfg.Peers[id]})
	}
	random := make([]byte, 8)
	rand.Read(random)
	m, err := directory.Plan(n.cfg.Cluster+"-"+hex.EncodeToString(random), nodes, n.cfg.Shards, n.cfg.Replicas)
	if err != nil {
		return err
	}
	withFounders(m, n.knownFounders())
	n.log.Info("founding the cluster", "id", m.GetClusterId(), "nodes", len(nodes), "shards", n.cfg.Shards)
	err = d.Found(ctx, m)
	if errors.Is(err, directory.ErrFounded) {
		return nil
	}
	return err
}
