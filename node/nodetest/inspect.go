package nodetest

import (
	"context"
	"crypto/rand"
	"fmt"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/protobuf/proto"

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

// HashesEqual fails the test unless the running replicas of each shard hold equal
// keyspaces at an equal index, without a contradiction in them.
func (c *Cluster) HashesEqual(t testing.TB) {
	t.Helper()
	nodes := make(map[string]pb.AdminServiceClient)
	for _, m := range c.members {
		if c.Node(m.name) == nil {
			continue
		}
		cc, err := grpc.NewClient("passthrough:///"+m.port.addr(), grpc.WithTransportCredentials(insecure.NewCredentials()))
		if err != nil {
			t.Fatal(err)
		}
		defer cc.Close()
		nodes[m.name] = pb.NewAdminServiceClient(cc)
	}
	for id := uint32(1); id <= uint32(c.opts.Shards); id++ {
		eventually(t, "replicas of a shard", func() string { return c.compareShard(t, id, nodes) })
	}
}

// compareShard compares the replicas of a shard, and says why it could not.
func (c *Cluster) compareShard(t testing.TB, id uint32, nodes map[string]pb.AdminServiceClient) (notYet string) {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	mark := make([]byte, 16)
	_, _ = rand.Read(mark) // it never fails
	var index uint64
	for name, admin := range nodes {
		resp, err := admin.MarkShard(ctx, &pb.MarkShardRequest{Shard: id, Mark: mark})
		if err == nil {
			index = resp.GetIndex()
			break
		}
		notYet += name + ": " + err.Error() + "; "
	}
	if index == 0 {
		return "nobody leads: " + notYet
	}
	first, late := "", ""
	var want *pb.ShardDigest
	for name, admin := range nodes {
		got, err := verifyReplica(ctx, admin, &pb.VerifyShardRequest{Shard: id, Mark: mark, Index: index})
		switch {
		case err != nil && c.opts.Replicas < c.opts.Nodes:
			continue // not one of this shard's
		case err != nil:
			late = name + ": " + err.Error() // the others are read all the same: they hold few marks
		case want == nil:
			first, want = name, got
		case !proto.Equal(got, want):
			t.Fatalf("shard %d: %s has %v, %s has %v", id, first, want, name, got)
		}
	}
	if want == nil && late == "" {
		return "nobody has it"
	}
	return late
}

// verifyReplica has a replica read its state at a mark.
func verifyReplica(ctx context.Context, admin pb.AdminServiceClient, req *pb.VerifyShardRequest) (*pb.ShardDigest, error) {
	stream, err := admin.VerifyShard(ctx, req)
	if err != nil {
		return nil, err
	}
	for {
		resp, err := stream.Recv()
		if err != nil {
			return nil, err
		}
		for _, a := range resp.GetAccounts() {
			if a.GetBroken() != "" {
				return nil, fmt.Errorf("account %s is broken: %s", a.GetAccount(), a.GetBroken())
			}
		}
		if resp.GetShard() != nil {
			return resp.GetShard(), nil
		}
	}
}

// Damage stops a node, has edit change its state store behind its back, and starts
// it again.
func (c *Cluster) Damage(t testing.TB, name string, edit func(*pebble.DB) error) {
	t.Helper()
	c.Stop(t, name)
	m := c.member(t, name)
	db, err := pebble.Open(m.fs.PathJoin(m.dir, "state"), &pebble.Options{
		FS: m.fs, DisableWAL: true, FormatMajorVersion: pebble.FormatNewest, Logger: quiet{},
	})
	if err != nil {
		t.Fatal(err)
	}
	err = edit(db)
	if err == nil {
		err = db.Flush()
	}
	if e := db.Close(); err == nil {
		err = e
	}
	if err != nil {
		t.Fatal(err)
	}
	c.Restart(t, name)
}

// quiet drops what Pebble says.
type quiet struct{}

func (quiet) Infof(string, ...any)  {}
func (quiet) Errorf(string, ...any) {}
func (quiet) Fatalf(format string, args ...any) {
	panic(fmt.Sprintf(format, args...)) // a test's store that cannot be read
}
