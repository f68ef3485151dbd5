package nodetest

import (
	"bytes"
	"context"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"

	"github.com/quorumail/quorumail/proto/imapnum"
	pb "github.com/quorumail/quorumail/proto/quorumail/v1"
)

// eventually calls f until it says nothing is missing, and fails the test with
// what it said last if that takes too long.
func eventually(t testing.TB, what string, f func() (missing string)) {
	t.Helper()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	limit := time.After(patience)
	for {
		missing := f()
		if missing == "" {
			return
		}
		select {
		case <-tick.C:
		case <-limit:
			t.Fatalf("%s: %s", what, missing)
		}
	}
}

// ShardOf returns the shard of an account, by the newest map of the running
// nodes.
func (c *Cluster) ShardOf(account string) uint32 {
	var newest *pb.ClusterMap
	for _, name := range c.Nodes() {
		if n := c.Node(name); n != nil {
			if m := n.Map(); m.GetEpoch() > newest.GetEpoch() {
				newest = m
			}
		}
	}
	slot := uint32(imapnum.SlotOf(account))
	for _, sh := range newest.GetShards() {
		for _, r := range sh.GetSlots() {
			if r.GetFirst() <= slot && slot <= r.GetLast() {
				return sh.GetId()
			}
		}
	}
	return 0
}

// Leader returns the node that leads the account's shard, waiting for one.
func (c *Cluster) Leader(t testing.TB, account string) string {
	t.Helper()
	var leader string
	eventually(t, "leader of "+account, func() string {
		shard := c.ShardOf(account)
		if shard == 0 {
			return "no map"
		}
		var term uint64
		leader = ""
		for _, name := range c.Nodes() {
			n := c.Node(name)
			if n == nil {
				continue
			}
			for _, st := range n.Status() {
				// One that was cut off may believe in an older term that it leads.
				if st.GetShard() == shard && st.GetRole() == "leader" && st.GetTerm() >= term {
					leader, term = name, st.GetTerm()
				}
			}
		}
		if leader == "" {
			return "nobody leads"
		}
		return ""
	})
	return leader
}

// KillLeader kills the node that leads the account's shard and returns its name.
func (c *Cluster) KillLeader(t testing.TB, account string) string {
	t.Helper()
	name := c.Leader(t, account)
	c.Kill(t, name)
	return name
}

// HashesEqual fails the test unless the running replicas of each shard come to
// hold equal keyspaces at an equal applied index. Writers must be quiet.
func (c *Cluster) HashesEqual(t testing.TB) {
	t.Helper()
	conns := make(map[string]*grpc.ClientConn)
	for _, m := range c.members {
		if c.Node(m.name) == nil {
			continue
		}
		cc, err := grpc.NewClient("passthrough:///"+m.port.addr(), grpc.WithTransportCredentials(insecure.NewCredentials()))
		if err != nil {
			t.Fatal(err)
		}
		defer cc.Close()
		conns[m.name] = cc
	}
	for id := uint32(1); id <= uint32(c.opts.Shards); id++ {
		eventually(t, "replicas of a shard", func() string {
			first := ""
			var want *pb.HashShardResponse
			for name, cc := range conns {
				ctx, cancel := context.WithTimeout(context.Background(), patience)
				got, err := pb.NewAdminServiceClient(cc).HashShard(ctx, &pb.HashShardRequest{Shard: id})
				cancel()
				if err != nil {
					if c.opts.Replicas < c.opts.Nodes {
						continue // not one of this shard's
					}
					return name + ": " + err.Error()
				}
				switch {
				case want == nil:
					first, want = name, got
				case got.GetAppliedIndex() != want.GetAppliedIndex():
					return "applied indexes do not become equal"
				case !bytes.Equal(got.GetSha256(), want.GetSha256()):
					t.Fatalf("shard %d at index %d: %s has %d keys, hash %x; %s has %d, %x", id, got.GetAppliedIndex(),
						first, want.GetKeys(), want.GetSha256(), name, got.GetKeys(), got.GetSha256())
				}
			}
			if want == nil {
				return "nobody has it"
			}
			return ""
		})
	}
}
