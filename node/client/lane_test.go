package client_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/quorumail/quorumail/node/client"
	pb "github.com/quorumail/quorumail/proto/quorumail/v1"
)

// Sessions share a stream, and messages on it; each gets its own outcome.
func TestCommandsShareAStream(t *testing.T) {
	nodes, c := fakeCluster(t, 1, 1)
	var mu sync.Mutex
	streams := make(map[context.Context]bool)
	nodes[0].do(func() {
		nodes[0].mu.propose = func(ctx context.Context, e *pb.Entry) (*pb.Outcome, error) {
			mu.Lock()
			defer mu.Unlock()
			streams[ctx] = true
			o := ok()
			o.Result.Detail = e.GetCreateMailbox().GetName()
			return o, nil
		}
	})
	var wg sync.WaitGroup
	for i := range 50 {
		wg.Go(func() {
			s := c.Session(fmt.Sprint("user", i))
			for n := range 20 {
				name := fmt.Sprintf("%d of %d", n, i)
				res, err := s.Propose(t.Context(), createMailbox(name))
				if err != nil || res.GetDetail() != name {
					t.Errorf("%s: %v, %v", name, res, err)
				}
			}
		})
	}
	wg.Wait()
	if len(streams) != 1 {
		t.Errorf("%d streams to one node", len(streams))
	}
}

// A stream that breaks takes all that is under way with it. All of it is proposed
// again, under the same request ids.
func TestBrokenStreamIsProposedAgain(t *testing.T) {
	nodes, c := fakeCluster(t, 2, 1)
	const sessions = 20
	var mu sync.Mutex
	lost := make(map[string]*pb.Entry)
	done := make(map[string]*pb.Entry)
	all := make(chan struct{})
	nodes[0].do(func() {
		nodes[0].mu.propose = func(ctx context.Context, e *pb.Entry) (*pb.Outcome, error) {
			mu.Lock()
			lost[e.GetAccount()] = e
			if len(lost) == sessions {
				close(all)
			}
			mu.Unlock()
			<-ctx.Done()
			return nil, ctx.Err()
		}
	})
	nodes[1].do(func() {
		nodes[1].mu.propose = func(_ context.Context, e *pb.Entry) (*pb.Outcome, error) {
			select {
			case <-all:
			default:
				return nil, notLeader("a")
			}
			mu.Lock()
			defer mu.Unlock()
			done[e.GetAccount()] = e
			return ok(), nil
		}
	})
	var wg sync.WaitGroup
	for i := range sessions {
		wg.Go(func() {
			if _, err := c.Session(fmt.Sprint("user", i)).Propose(t.Context(), createMailbox("x")); err != nil {
				t.Error(err)
			}
		})
	}
	select {
	case <-all:
	case <-time.After(10 * time.Second):
		t.Fatal("not all commands came to the first node")
	}
	nodes[0].server.Stop()
	wg.Wait()
	for name, e := range lost {
		again := done[name]
		if string(again.GetRequest().GetSession()) != string(e.GetRequest().GetSession()) || again.GetTime() != e.GetTime() {
			t.Errorf("%s: proposed %v, then %v", name, e, again)
		}
	}
	if len(done) != sessions {
		t.Errorf("%d commands done, want %d", len(done), sessions)
	}
}

// Who gives up does not disturb those whose commands go the same way.
func TestOneWhoGivesUp(t *testing.T) {
	nodes, c := fakeCluster(t, 1, 1)
	began := make(chan struct{})
	nodes[0].do(func() {
		nodes[0].mu.propose = func(ctx context.Context, e *pb.Entry) (*pb.Outcome, error) {
			if e.GetAccount() == "slow" {
				close(began)
				<-ctx.Done()
			}
			return ok(), nil
		}
	})
	ctx, cancel := context.WithCancel(t.Context())
	gave := make(chan error, 1)
	go func() {
		_, err := c.Session("slow").Propose(ctx, createMailbox("x"))
		gave <- err
	}()
	<-began
	cancel()
	if err := <-gave; !errors.Is(err, client.ErrUnavailable) || !errors.Is(err, context.Canceled) {
		t.Errorf("gave up: %v", err)
	}
	for range 3 {
		if _, err := c.Session("quick").Propose(t.Context(), createMailbox("x")); err != nil {
			t.Error(err)
		}
	}
}

// A command that no node would take is refused before it could break the stream.
func TestCommandTooLargeForAnyMessage(t *testing.T) {
	nodes, c := fakeCluster(t, 1, 1)
	nodes[0].do(func() {
		nodes[0].mu.propose = func(context.Context, *pb.Entry) (*pb.Outcome, error) { return ok(), nil }
	})
	s := c.Session("alice")
	if _, err := s.Propose(t.Context(), createMailbox(string(make([]byte, 17<<20)))); !errors.Is(err, client.ErrInvalid) {
		t.Errorf("17 MiB: %v", err)
	}
	if _, err := s.Propose(t.Context(), createMailbox("x")); err != nil {
		t.Error(err)
	}
}

// A failure without a code is a failure all the same.
func TestFailureWithoutCode(t *testing.T) {
	nodes, c := fakeCluster(t, 1, 1)
	first := true
	nodes[0].do(func() {
		nodes[0].mu.propose = func(context.Context, *pb.Entry) (*pb.Outcome, error) {
			if first {
				first = false
				return &pb.Outcome{Failure: &pb.Failure{Message: "odd"}}, nil
			}
			return ok(1), nil
		}
	})
	res, err := c.Session("alice").Propose(t.Context(), createMailbox("x"))
	if err != nil || len(res.GetUids().GetPacked()) == 0 {
		t.Errorf("%v, %v", res, err)
	}
}
