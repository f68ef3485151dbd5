package main

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/spf13/cobra"
	"google.golang.org/grpc"

	pb "github.com/quorumail/quorumail/proto/quorumail/v1"
)

// verifyPause is between two tries to compare the replicas of a shard.
const verifyPause = 500 * time.Millisecond

// maxNamed bounds the accounts that are named of a shard.
const maxNamed = 20

var (
	errReplicasDiffer = errors.New("replicas differ")
	errBroken         = errors.New("records contradict each other")
	errNotCompared    = errors.New("not compared")
)

func newAdminVerify(flags *adminFlags) *cobra.Command {
	return &cobra.Command{
		Use:   "verify",
		Short: "Compare the replicas of each shard, octet by octet, and check what they hold",
		Long: `Has the replicas of each shard capture what they hold at one index of their log,
while writes go on, and compares hashes of that. Each replica also checks its
records against each other: counts, change index, expunge queue, bitmaps, quota usage
and bodies. What differs or contradicts itself is named by replica and account.

It reads all mail on all nodes. --timeout must leave time for that.

The exit status is 0 only if all replicas of all shards could be compared and checked,
are equal and sound. If a node is down, the others are compared all the same.`,
		Args: exactArgs(0),
		RunE: func(cmd *cobra.Command, _ []string) error {
			return flags.withCluster(cmd, func(ctx context.Context, c *cluster) error {
				var errs []error
				for _, s := range c.m.GetShards() {
					if err := verifyShard(ctx, c, s, cmd.OutOrStdout()); err != nil {
						errs = append(errs, fmt.Errorf("shard %d: %w", s.GetId(), err))
					}
				}
				return errors.Join(errs...)
			})
		},
	}
}

// replicaDigest is what one replica holds at a mark, or why it cannot tell.
type replicaDigest struct {
	node     string
	accounts map[string]*pb.AccountDigest
	shard    *pb.ShardDigest
	err      error
}

// verifyShard compares and checks the replicas of a shard. What cannot be compared
// now, it tries again: nobody may lead, or a replica may have leapt over the mark.
func verifyShard(ctx context.Context, c *cluster, s *pb.ShardInfo, out io.Writer) error {
	for {
		replicas, err := digestAll(ctx, c, s)
		if err == nil {
			err = judge(replicas)
		}
		if err == nil {
			d := replicas[0].shard
			_, err = fmt.Fprintf(out, "shard %d: %d replicas equal and sound at index %d: %d accounts, %d keys, sha256 %x\n",
				s.GetId(), len(replicas), d.GetAppliedIndex(), len(replicas[0].accounts), d.GetKeys(), d.GetSha256())
			return err
		}
		if errors.Is(err, errReplicasDiffer) || errors.Is(err, errBroken) {
			return err
		}
		select {
		case <-ctx.Done():
			return err
		case <-time.After(verifyPause):
		}
	}
}

// digestAll has all replicas of a shard read what they hold at a mark.
func digestAll(ctx context.Context, c *cluster, s *pb.ShardInfo) ([]replicaDigest, error) {
	var mark [16]byte
	_, _ = rand.Read(mark[:]) // it never fails
	index, err := markShard(ctx, c, s, mark[:])
	if err != nil {
		return nil, err
	}
	replicas := make([]replicaDigest, len(s.GetReplicas()))
	var wg sync.WaitGroup
	for i, id := range s.GetReplicas() {
		wg.Go(func() {
			replicas[i] = digestOf(ctx, c, id, &pb.VerifyShardRequest{Shard: s.GetId(), Mark: mark[:], Index: index})
		})
	}
	wg.Wait()
	return replicas, nil
}

// markShard has the leader, whichever it is, mark its log.
func markShard(ctx context.Context, c *cluster, s *pb.ShardInfo, mark []byte) (index uint64, err error) {
	var errs []error
	for _, id := range s.GetReplicas() {
		admin, err := c.admin(id)
		if err == nil {
			one, cancel := context.WithTimeout(ctx, nodeTimeout)
			var resp *pb.MarkShardResponse
			resp, err = admin.MarkShard(one, &pb.MarkShardRequest{Shard: s.GetId(), Mark: mark})
			cancel()
			if err == nil {
				return resp.GetIndex(), nil
			}
		}
		errs = append(errs, fmt.Errorf("%w: node %s: %w", errNotCompared, id, err))
	}
	return 0, errors.Join(errs...)
}

// digestOf asks one replica.
func digestOf(ctx context.Context, c *cluster, id string, req *pb.VerifyShardRequest) replicaDigest {
	r := replicaDigest{node: id, accounts: make(map[string]*pb.AccountDigest)}
	admin, err := c.admin(id)
	if err != nil {
		r.err = err
		return r
	}
	// A node that is being started will have the mark in its log.
	stream, err := admin.VerifyShard(ctx, req, grpc.WaitForReady(true))
	for err == nil && r.shard == nil {
		var resp *pb.VerifyShardResponse
		if resp, err = stream.Recv(); err != nil {
			break
		}
		for _, a := range resp.GetAccounts() {
			r.accounts[a.GetAccount()] = a
		}
		r.shard = resp.GetShard()
	}
	r.err = err
	return r
}

// judge says what is wrong with replicas: errReplicasDiffer and errBroken, which are
// final, or errNotCompared.
func judge(replicas []replicaDigest) error {
	if len(replicas) == 0 {
		return fmt.Errorf("%w: the shard has no replicas", errNotCompared)
	}
	var errs []error
	var first *replicaDigest
	for i := range replicas {
		r := &replicas[i]
		if r.err != nil {
			errs = append(errs, fmt.Errorf("node %s: %w: %w", r.node, errNotCompared, r.err))
			continue
		}
		for _, name := range slices.Sorted(maps.Keys(r.accounts)) {
			if broken := r.accounts[name].GetBroken(); broken != "" && len(errs) < maxNamed {
				errs = append(errs, fmt.Errorf("node %s: %w: %s", r.node, errBroken, broken))
			}
		}
		if first == nil {
			first = r
			continue
		}
		errs = append(errs, differences(first, r)...)
	}
	return errors.Join(errs...)
}

// differences names the accounts of which two replicas hold something different.
func differences(a, b *replicaDigest) (errs []error) {
	if a.shard.GetAppliedIndex() == b.shard.GetAppliedIndex() && bytes.Equal(a.shard.GetSha256(), b.shard.GetSha256()) {
		return nil
	}
	errs = append(errs, fmt.Errorf("%w: %s holds %d keys at index %d with sha256 %x, %s holds %d at %d with %x", errReplicasDiffer,
		a.node, a.shard.GetKeys(), a.shard.GetAppliedIndex(), a.shard.GetSha256(),
		b.node, b.shard.GetKeys(), b.shard.GetAppliedIndex(), b.shard.GetSha256()))
	names := maps.Clone(a.accounts)
	maps.Copy(names, b.accounts)
	for _, name := range slices.Sorted(maps.Keys(names)) {
		x, y := a.accounts[name], b.accounts[name]
		if bytes.Equal(x.GetSha256(), y.GetSha256()) {
			continue
		}
		if len(errs) > maxNamed {
			return append(errs, fmt.Errorf("%w: in more accounts", errReplicasDiffer))
		}
		errs = append(errs, fmt.Errorf("%w: account %q: %s has %d keys, %s has %d", errReplicasDiffer, name, a.node, x.GetKeys(), b.node, y.GetKeys()))
	}
	return errs
}
