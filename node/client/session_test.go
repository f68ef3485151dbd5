package client_test

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/proto"

	"github.com/quorumail/quorumail/node/client"
	pb "github.com/quorumail/quorumail/proto/quorumail/v1"
)

// Each attempt is the same entry, octet for octet: that is what makes it safe.
func TestProposeFollowsTheLeaderWithTheSameRequest(t *testing.T) {
	nodes, c := fakeCluster(t, 3, 1)
	var mu sync.Mutex
	var seen []*pb.Entry
	record := func(e *pb.Entry) int {
		mu.Lock()
		defer mu.Unlock()
		seen = append(seen, e)
		return len(seen)
	}
	refuse := func(_ context.Context, e *pb.Entry) (*pb.Outcome, error) {
		record(e)
		return nil, notLeader("c")
	}
	nodes[0].do(func() { nodes[0].mu.propose = refuse })
	nodes[1].do(func() { nodes[1].mu.propose = refuse })
	nodes[2].do(func() {
		nodes[2].mu.propose = func(_ context.Context, e *pb.Entry) (*pb.Outcome, error) {
			switch record(e) {
			case 2:
				return nil, failure(codes.Unavailable, &pb.ErrorDetail{Kind: pb.ErrorDetail_KIND_OVERLOADED})
			case 3: // the answer is lost
				return nil, failure(codes.Unavailable, &pb.ErrorDetail{Kind: pb.ErrorDetail_KIND_NOT_READY, Leader: "c"})
			}
			return ok(), nil
		}
	})
	s := c.Session("alice")
	if _, err := s.Propose(t.Context(), createMailbox("x")); err != nil {
		t.Fatal(err)
	}
	for i, e := range seen {
		if !proto.Equal(e, seen[0]) {
			t.Errorf("attempt %d is %v, the first was %v", i, e, seen[0])
		}
	}
	first := seen[0]
	if first.GetVersion() != 1 || first.GetAccount() != "alice" || first.GetTime() == 0 ||
		len(first.GetRequest().GetSession()) != 16 || first.GetRequest().GetSequence() != 1 {
		t.Errorf("entry is not filled in: %v", first)
	}
	before := len(seen)
	if _, err := s.Propose(t.Context(), createMailbox("y")); err != nil {
		t.Fatal(err)
	}
	if len(seen) != before+1 {
		t.Errorf("the second proposal took %d attempts, want 1: the leader is known", len(seen)-before)
	}
	if got := seen[before].GetRequest().GetSequence(); got != 2 {
		t.Errorf("second proposal has sequence %d, want 2", got)
	}
}

// A process that is stopped (SIGSTOP) keeps its connections: only time tells.
func TestStoppedLeaderCostsOneAttempt(t *testing.T) {
	nodes, c := fakeCluster(t, 3, 1)
	nodes[0].do(func() {
		nodes[0].mu.propose = func(ctx context.Context, _ *pb.Entry) (*pb.Outcome, error) {
			<-ctx.Done()
			return nil, ctx.Err()
		}
	})
	for _, n := range nodes[1:] {
		n.do(func() {
			n.mu.propose = func(context.Context, *pb.Entry) (*pb.Outcome, error) {
				if n.name == "b" {
					return nil, notLeader("c")
				}
				return ok(), nil
			}
		})
	}
	start := time.Now()
	if _, err := c.Session("alice").Propose(t.Context(), createMailbox("x")); err != nil {
		t.Fatal(err)
	}
	if d := time.Since(start); d > 2*time.Second {
		t.Errorf("took %v, want little more than one attempt", d)
	}
	// The next session knows better.
	start = time.Now()
	if _, err := c.Session("bob").Propose(t.Context(), createMailbox("x")); err != nil {
		t.Fatal(err)
	}
	if d := time.Since(start); d > 200*time.Millisecond {
		t.Errorf("took %v although the leader is known", d)
	}
}

func TestReadsCarryTheToken(t *testing.T) {
	nodes, c := fakeCluster(t, 2, 1)
	var mu sync.Mutex
	var levels []*pb.ReadLevel
	answer := func(f *fakeNode, up bool) {
		f.do(func() {
			f.mu.propose = func(context.Context, *pb.Entry) (*pb.Outcome, error) {
				if !up {
					return nil, notLeader("a")
				}
				return &pb.Outcome{AppliedIndex: 41, Result: &pb.Result{Code: pb.Code_CODE_OK}}, nil
			}
			f.mu.search = func(_ context.Context, req *pb.SearchRequest) (*pb.SearchResponse, error) {
				mu.Lock()
				levels = append(levels, req.GetLevel())
				mu.Unlock()
				if f.name == "a" {
					return nil, failure(codes.Unavailable, &pb.ErrorDetail{Kind: pb.ErrorDetail_KIND_NOT_READY})
				}
				return &pb.SearchResponse{AppliedIndex: 50}, nil
			}
		})
	}
	answer(nodes[0], true)
	answer(nodes[1], false)
	s := c.Session("alice")
	if _, err := s.Propose(t.Context(), createMailbox("x")); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if _, err := s.Search(t.Context(), &pb.SearchRequest{MailboxId: 1}); err != nil {
			t.Fatal(err)
		}
	}
	if levels[0].GetMinIndex() != 41 || levels[0].GetLinearizable() {
		t.Errorf("first read is at %v, want min_index 41", levels[0])
	}
	if last := levels[len(levels)-1]; last.GetMinIndex() != 50 {
		t.Errorf("second read is at %v, want min_index 50", last)
	}
}

func TestErrors(t *testing.T) {
	nodes, c := fakeCluster(t, 1, 1)
	for kind, want := range map[pb.ErrorDetail_Kind]error{
		pb.ErrorDetail_KIND_NO_ACCOUNT:    client.ErrNoAccount,
		pb.ErrorDetail_KIND_NO_MAILBOX:    client.ErrNoMailbox,
		pb.ErrorDetail_KIND_INVALID:       client.ErrInvalid,
		pb.ErrorDetail_KIND_OTHER_CLUSTER: client.ErrInvalid,
		pb.ErrorDetail_KIND_READ_ONLY:     client.ErrUnavailable,
		pb.ErrorDetail_KIND_NOT_LEADER:    client.ErrUnavailable,
		pb.ErrorDetail_KIND_WRONG_SHARD:   client.ErrUnavailable,
		pb.ErrorDetail_Kind(99):           client.ErrUnavailable,
	} {
		nodes[0].do(func() {
			nodes[0].mu.account = func(context.Context, *pb.GetAccountRequest) (*pb.GetAccountResponse, error) {
				return nil, failure(codes.FailedPrecondition, &pb.ErrorDetail{Kind: kind})
			}
		})
		ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
		_, err := c.Session("alice").GetAccount(ctx)
		cancel()
		if !errors.Is(err, want) || client.Retryable(err) != (want == client.ErrUnavailable) {
			t.Errorf("%v: got %v, want %v", kind, err, want)
		}
	}
}

func TestRequestsEndWithTheirContextAndTheClient(t *testing.T) {
	nodes, c := fakeCluster(t, 1, 1)
	nodes[0].do(func() {
		nodes[0].mu.account = func(ctx context.Context, _ *pb.GetAccountRequest) (*pb.GetAccountResponse, error) {
			<-ctx.Done()
			return nil, ctx.Err()
		}
	})
	ctx, cancel := context.WithCancel(t.Context())
	time.AfterFunc(50*time.Millisecond, cancel)
	_, err := c.Session("alice").GetAccount(ctx)
	if !errors.Is(err, context.Canceled) || !errors.Is(err, client.ErrUnavailable) {
		t.Errorf("cancelled: %v", err)
	}
	time.AfterFunc(50*time.Millisecond, func() { _ = c.Close() })
	if _, err := c.Session("alice").GetAccount(t.Context()); !errors.Is(err, client.ErrClosed) {
		t.Errorf("closed: %v", err)
	}
}

func TestStaleMapIsCorrected(t *testing.T) {
	nodes, c := fakeCluster(t, 2, 1)
	// The account moves to shard 2 on b alone; only b knows.
	if err := c.WaitReady(deadline(t, 50*time.Millisecond)); err == nil {
		t.Error("ready, although nobody answers")
	}
	moved := proto.CloneOf(nodes[0].mu.m)
	moved.Epoch = 2
	moved.Shards[0].Id = 2
	moved.Shards[0].Replicas = []string{"b"}
	wrong := func(_ context.Context, req *pb.GetAccountRequest) (*pb.GetAccountResponse, error) {
		if req.GetRoute().GetShard() == 2 && req.GetRoute().GetEpoch() == 2 {
			return &pb.GetAccountResponse{AppliedIndex: 1}, nil
		}
		return nil, failure(codes.FailedPrecondition, &pb.ErrorDetail{Kind: pb.ErrorDetail_KIND_WRONG_SHARD, Epoch: 2})
	}
	for _, n := range nodes {
		n.do(func() { n.mu.account = wrong })
	}
	nodes[1].do(func() { nodes[1].mu.m = moved }) // without waking the watchers
	if _, err := c.Session("alice").GetAccount(deadline(t, 5*time.Second)); err != nil {
		t.Error(err)
	}
}

func TestWaitReady(t *testing.T) {
	nodes, c := fakeCluster(t, 2, 4)
	asked := make(map[uint32]bool)
	var mu sync.Mutex
	for _, n := range nodes {
		n.do(func() {
			n.mu.account = func(_ context.Context, req *pb.GetAccountRequest) (*pb.GetAccountResponse, error) {
				if n.name != "b" {
					return nil, notLeader("b")
				}
				if !req.GetLevel().GetLinearizable() {
					return nil, failure(codes.InvalidArgument, &pb.ErrorDetail{Kind: pb.ErrorDetail_KIND_INVALID})
				}
				mu.Lock()
				asked[req.GetRoute().GetShard()] = true
				mu.Unlock()
				return nil, failure(codes.NotFound, &pb.ErrorDetail{Kind: pb.ErrorDetail_KIND_NO_ACCOUNT})
			}
		})
	}
	if err := c.WaitReady(deadline(t, 5*time.Second)); err != nil {
		t.Fatal(err)
	}
	if len(asked) != 4 {
		t.Errorf("asked the leaders of %d shards, want 4", len(asked))
	}
}

func deadline(t *testing.T, d time.Duration) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), d)
	t.Cleanup(cancel)
	return ctx
}
