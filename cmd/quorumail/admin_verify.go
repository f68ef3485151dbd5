package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"time"

	"github.com/spf13/cobra"

	pb "github.com/quorumail/quorumail/proto/quorumail/v1"
)

// verifyPause is between two looks at replicas that had not reached the same
// index.
const verifyPause = 200 * time.Millisecond

var (
	errReplicasDiffer = errors.New("replicas of a shard differ")
	errNotCompared    = errors.New("replicas could not be compared")
)

func newAdminVerify(flags *adminFlags) *cobra.Command {
	return &cobra.Command{
		Use:   "verify",
		Short: "Compare the replicas of each shard, octet by octet",
		Long: `Compares a hash of everything that the replicas of a shard hold, at an equal
applied index. Replicas that are being written to reach the same index now and then
only: verify asks again until --timeout.

The exit status is 0 only if all replicas of all shards could be compared and are
equal.`,
		Args: exactArgs(0),
		RunE: func(cmd *cobra.Command, _ []string) error {
			return flags.withCluster(cmd, func(ctx context.Context, c *cluster) error {
				var errs []error
				for _, s := range c.m.GetShards() {
					errs = append(errs, verifyShard(ctx, c, s, cmd.OutOrStdout()))
				}
				return errors.Join(errs...)
			})
		},
	}
}

// replicaHash is the answer of one replica.
type replicaHash struct {
	node string
	resp *pb.HashShardResponse
	err  error
}

// verifyShard asks the replicas of a shard until they answer for one index.
func verifyShard(ctx context.Context, c *cluster, s *pb.ShardInfo, out io.Writer) error {
	for {
		hashes := hashAll(ctx, c, s)
		equal, err := compare(hashes)
		if equal {
			h := hashes[0].resp
			_, err := fmt.Fprintf(out, "shard %d: %d replicas equal at index %d: %d keys, sha256 %x\n",
				s.GetId(), len(hashes), h.GetAppliedIndex(), h.GetKeys(), h.GetSha256())
			return err
		}
		if errors.Is(err, errReplicasDiffer) {
			return fmt.Errorf("shard %d: %w", s.GetId(), err)
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("shard %d: %w", s.GetId(), err)
		case <-time.After(verifyPause):
		}
	}
}

func hashAll(ctx context.Context, c *cluster, s *pb.ShardInfo) []replicaHash {
	hashes := make([]replicaHash, len(s.GetReplicas()))
	var wg sync.WaitGroup
	for i, id := range s.GetReplicas() {
		wg.Go(func() {
			h := replicaHash{node: id}
			var admin pb.AdminServiceClient
			if admin, h.err = c.admin(id); h.err == nil {
				h.resp, h.err = admin.HashShard(ctx, &pb.HashShardRequest{Shard: s.GetId()})
			}
			hashes[i] = h
		})
	}
	wg.Wait()
	return hashes
}

// compare reports whether the hashes are equal. The error is errReplicasDiffer,
// which is final, or errNotCompared.
func compare(hashes []replicaHash) (equal bool, err error) {
	if len(hashes) == 0 {
		return false, fmt.Errorf("%w: the shard has none", errNotCompared)
	}
	var notYet, differ error
	for i, h := range hashes {
		if h.err != nil {
			notYet = errors.Join(notYet, fmt.Errorf("%w: node %s: %w", errNotCompared, h.node, h.err))
			continue
		}
		for _, other := range hashes[:i] {
			if other.err != nil {
				continue
			}
			a, b := other.resp, h.resp
			switch {
			case a.GetAppliedIndex() != b.GetAppliedIndex():
				notYet = errors.Join(notYet, fmt.Errorf("%w: %s is at index %d, %s at %d",
					errNotCompared, other.node, a.GetAppliedIndex(), h.node, b.GetAppliedIndex()))
			case !bytes.Equal(a.GetSha256(), b.GetSha256()):
				differ = errors.Join(differ, fmt.Errorf("%w: at index %d %s holds %d keys with hash %x, %s holds %d keys with hash %x",
					errReplicasDiffer, a.GetAppliedIndex(), other.node, a.GetKeys(), a.GetSha256(), h.node, b.GetKeys(), b.GetSha256()))
			}
		}
	}
	if differ != nil {
		return false, differ
	}
	return notYet == nil, notYet
}
