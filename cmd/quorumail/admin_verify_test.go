package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2"

	"github.com/quorumail/quorumail/node/client"
	"github.com/quorumail/quorumail/node/nodetest"
	"github.com/quorumail/quorumail/proto/imapnum"
	pb "github.com/quorumail/quorumail/proto/quorumail/v1"
	"github.com/quorumail/quorumail/raftfsm/keys"
)

// verifyCluster runs what `quorumail admin verify` runs.
func verifyCluster(t *testing.T, c *nodetest.Cluster, patience time.Duration) (string, error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	cl, err := dialCluster(ctx, c.Addrs(), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer cl.close()
	var out bytes.Buffer
	for _, s := range cl.m.GetShards() {
		if err := verifyShard(ctx, cl, s, &out); err != nil {
			return out.String(), err
		}
	}
	return out.String(), nil
}

func storeFlag(ctx context.Context, s *client.Session, flag string) error {
	_, err := s.Propose(ctx, &pb.Entry{Op: &pb.Entry_Store{Store: &pb.StoreOp{
		MailboxId: 1, Uids: &pb.UidSet{Packed: imapnum.SetOfRange(1, 3).Pack()}, Mode: pb.StoreOp_MODE_REPLACE, Flags: []string{flag},
	}}})
	return err
}

// Replicas are compared while they are written to; what differs in one of them is
// found and named, and so is a node that does not answer.
func TestVerify(t *testing.T) {
	c := nodetest.Start(t, nodetest.Options{Nodes: 3, Shards: 1})
	const alice, bob = "alice@example.org", "bob@example.org"
	c.CreateAccount(t, alice, "secret")
	c.CreateAccount(t, bob, "secret")
	s := c.Client(t).Session(alice)
	for n := range 3 {
		body := fmt.Appendf(nil, "Subject: %d\r\n\r\nx\r\n", n)
		res, err := s.Propose(t.Context(), &pb.Entry{Op: &pb.Entry_Append{Append: &pb.AppendOp{Mailbox: "INBOX", Messages: []*pb.AppendMessage{{
			Email:  &pb.Email{Size: uint64(len(body)), BodyId: fmt.Appendf(nil, "%016d", n)},
			Inline: []*pb.BodyChunk{{RawSize: uint32(len(body)), Codec: pb.Codec_CODEC_RAW, Data: body}},
		}}}}})
		if err != nil || res.GetCode() != pb.Code_CODE_OK {
			t.Fatalf("append: %v, %v", res, err)
		}
	}

	writing, stop := context.WithCancel(t.Context())
	var writers sync.WaitGroup
	writers.Go(func() {
		for n := 0; writing.Err() == nil; n++ {
			if err := storeFlag(writing, s, []string{`\Seen`, `\Flagged`}[n%2]); err != nil && writing.Err() == nil {
				t.Error(err)
				return
			}
		}
	})
	for range 3 {
		out, err := verifyCluster(t, c, time.Minute)
		if err != nil || !strings.Contains(out, "shard 1: 3 replicas equal and sound at index ") {
			t.Errorf("%q, %v", out, err)
		}
	}
	stop()
	writers.Wait()

	lost := keys.ForAccount(1, alice).UID(keys.Message, 1, 2)
	c.Damage(t, "n2", func(db *pebble.DB) error {
		_, closer, err := db.Get(lost)
		if err != nil {
			return err
		}
		return errors.Join(closer.Close(), db.Delete(lost, pebble.NoSync))
	})
	_, err := verifyCluster(t, c, time.Minute)
	if !errors.Is(err, errReplicasDiffer) || !errors.Is(err, errBroken) {
		t.Fatalf("a lost record: %v", err)
	}
	for _, want := range []string{"node n2: " + errBroken.Error(), "account \"" + alice + "\""} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("not told %q: %v", want, err)
		}
	}
	if strings.Contains(err.Error(), bob) || strings.Contains(err.Error(), "node n1: ") {
		t.Errorf("told of what is not damaged: %v", err)
	}

	c.Stop(t, "n3")
	_, err = verifyCluster(t, c, 5*time.Second)
	if !errors.Is(err, errNotCompared) || !strings.Contains(err.Error(), "node n3: "+errNotCompared.Error()) {
		t.Errorf("a node is down: %v", err)
	}
	if !errors.Is(err, errReplicasDiffer) {
		t.Errorf("the others are not compared: %v", err)
	}
}
