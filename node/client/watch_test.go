package client_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/proto"

	"github.com/quorumail/quorumail/node/client"
	pb "github.com/quorumail/quorumail/proto/quorumail/v1"
)

// fakeWatch is the watch service of a fake cluster: one account state for all.
type fakeWatch struct {
	mu struct {
		sync.Mutex
		modSeq  uint64
		changed chan struct{}
		opened  map[string]int // streams, by node
		subs    []*pb.WatchRequest
		leader  string
		silent  map[string]bool
		cut     chan struct{}
		refuse  pb.ErrorDetail_Kind
	}
}

func newFakeWatch(nodes []*fakeNode) *fakeWatch {
	w := &fakeWatch{}
	w.mu.changed, w.mu.cut = make(chan struct{}), make(chan struct{})
	w.mu.opened, w.mu.silent = make(map[string]int), make(map[string]bool)
	for _, n := range nodes {
		n.do(func() {
			n.mu.watch = func(stream pb.StoreService_WatchServer) error { return w.serve(n.name, stream) }
		})
	}
	return w
}

func (w *fakeWatch) do(f func()) {
	w.mu.Lock()
	defer w.mu.Unlock()
	f()
}

func (w *fakeWatch) bump(by uint64) {
	w.do(func() {
		w.mu.modSeq += by
		close(w.mu.changed)
		w.mu.changed = make(chan struct{})
	})
}

func (w *fakeWatch) breakAll() {
	w.do(func() {
		close(w.mu.cut)
		w.mu.cut = make(chan struct{})
	})
}

func (w *fakeWatch) serve(node string, stream pb.StoreService_WatchServer) error {
	var cut <-chan struct{}
	w.do(func() { w.mu.opened[node]++; cut = w.mu.cut })
	reqs := make(chan *pb.WatchRequest)
	go func() {
		defer close(reqs)
		for {
			req, err := stream.Recv()
			if err != nil {
				return
			}
			select {
			case reqs <- req:
			case <-stream.Context().Done():
				return
			}
		}
	}()
	seen := make(map[uint64]uint64)
	for {
		var out []*pb.WatchResponse
		var changed <-chan struct{}
		w.do(func() {
			changed = w.mu.changed
			if w.mu.silent[node] {
				return
			}
			for id, since := range seen {
				if w.mu.modSeq > since {
					seen[id] = w.mu.modSeq
					out = append(out, &pb.WatchResponse{WatchId: id, ModSeq: w.mu.modSeq, AppliedIndex: w.mu.modSeq, MailboxIds: []uint64{w.mu.modSeq}})
				}
			}
		})
		for _, ev := range out {
			if err := stream.Send(ev); err != nil {
				return err
			}
		}
		select {
		case req, open := <-reqs:
			if !open {
				return nil
			}
			var answer *pb.WatchResponse
			w.do(func() {
				switch {
				case w.mu.silent[node]:
				case req.GetWatchId() == 0:
					answer = &pb.WatchResponse{Error: &pb.ErrorDetail{Leader: w.mu.leader}}
				case req.GetRoute() == nil:
					delete(seen, req.GetWatchId())
				case w.mu.refuse != 0:
					answer = &pb.WatchResponse{WatchId: req.GetWatchId(), Error: &pb.ErrorDetail{Kind: w.mu.refuse}}
				default:
					w.mu.subs = append(w.mu.subs, req)
					seen[req.GetWatchId()] = req.GetSinceModSeq()
				}
			})
			if answer != nil {
				if err := stream.Send(answer); err != nil {
					return err
				}
			}
		case <-changed:
		case <-cut:
			return errUnset
		case <-stream.Context().Done():
			return nil
		}
	}
}

// follow watches in the background and returns the events.
func follow(t *testing.T, c *client.Client, account string, since uint64) (<-chan *pb.WatchResponse, func() error) {
	ctx, cancel := context.WithCancel(t.Context())
	events := make(chan *pb.WatchResponse, 100)
	done := make(chan error, 1)
	go func() {
		done <- c.Session(account).Watch(ctx, since, func(ev *pb.WatchResponse) { events <- proto.CloneOf(ev) })
	}()
	t.Cleanup(cancel)
	return events, func() error { cancel(); return <-done }
}

func next(t *testing.T, events <-chan *pb.WatchResponse, want uint64) *pb.WatchResponse {
	t.Helper()
	deadline := time.After(5 * time.Second)
	for {
		select {
		case ev := <-events:
			if ev.GetModSeq() == want {
				return ev
			}
			t.Logf("passing over modseq %d", ev.GetModSeq())
		case <-deadline:
			t.Fatalf("no event with modseq %d", want)
		}
	}
}

func TestWatchSharesOneStreamAndSurvivesBreaks(t *testing.T) {
	nodes, c := fakeCluster(t, 2, 1)
	w := newFakeWatch(nodes)
	w.bump(5)
	alice, endAlice := follow(t, c, "alice", 0)
	next(t, alice, 5)
	bob, endBob := follow(t, c, "bob", 5)
	w.bump(1)
	next(t, alice, 6)
	next(t, bob, 6)
	w.do(func() {
		if n := w.mu.opened["a"] + w.mu.opened["b"]; n != 1 {
			t.Errorf("%d streams for two watches of a shard, want 1", n)
		}
		w.mu.subs = nil
	})
	w.breakAll()
	w.bump(1)
	next(t, alice, 7)
	next(t, bob, 7)
	w.do(func() {
		for _, s := range w.mu.subs {
			if s.GetSinceModSeq() != 6 || s.GetMinIndex() != 6 {
				t.Errorf("resubscribed from %d at index %d, want 6, 6", s.GetSinceModSeq(), s.GetMinIndex())
			}
		}
	})
	if err := endAlice(); !errors.Is(err, context.Canceled) {
		t.Errorf("alice: %v", err)
	}
	w.bump(1)
	next(t, bob, 8)
	if err := endBob(); !errors.Is(err, context.Canceled) {
		t.Errorf("bob: %v", err)
	}
	select {
	case ev := <-alice:
		t.Errorf("event after the end: %v", ev)
	default:
	}
}

func TestWatchLeavesASilentNodeAndFollowsTheLeader(t *testing.T) {
	nodes, c := fakeCluster(t, 3, 1)
	w := newFakeWatch(nodes)
	w.do(func() { w.mu.silent["a"] = true; w.mu.leader = "c" })
	events, _ := follow(t, c, "alice", 0)
	w.bump(1)
	next(t, events, 1)
	for range 200 {
		there := false
		w.do(func() { there = w.mu.opened["c"] > 0 })
		if there {
			break
		}
		<-time.After(10 * time.Millisecond)
	}
	w.do(func() {
		if w.mu.opened["a"] == 0 || w.mu.opened["c"] == 0 {
			t.Errorf("streams: %v, want a tried and c joined", w.mu.opened)
		}
	})
	w.bump(1)
	next(t, events, 2)
}

// While the caller is busy events are merged: the newest state, all mailboxes.
func TestWatchMergesForASlowCaller(t *testing.T) {
	nodes, c := fakeCluster(t, 1, 1)
	w := newFakeWatch(nodes)
	release := make(chan struct{})
	var mu sync.Mutex
	var got []string
	last := make(chan struct{})
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	go func() {
		_ = c.Session("alice").Watch(ctx, 0, func(ev *pb.WatchResponse) {
			mu.Lock()
			got = append(got, fmt.Sprint(ev.GetModSeq(), ev.GetMailboxIds()))
			mu.Unlock()
			if ev.GetModSeq() == 3 {
				close(last)
				return
			}
			<-release
		})
	}()
	w.bump(1)
	for called := false; !called; {
		<-time.After(5 * time.Millisecond)
		mu.Lock()
		called = len(got) == 1
		mu.Unlock()
	}
	w.bump(1)
	<-time.After(50 * time.Millisecond)
	w.bump(1)
	<-time.After(50 * time.Millisecond)
	close(release)
	<-last
	if want := "[1 [1] 3 [2 3]]"; fmt.Sprint(got) != want {
		t.Errorf("got %v, want %v", got, want)
	}
}

func TestWatchOfNoAccount(t *testing.T) {
	nodes, c := fakeCluster(t, 1, 1)
	w := newFakeWatch(nodes)
	w.do(func() { w.mu.refuse = pb.ErrorDetail_KIND_NO_ACCOUNT })
	gone := failure(codes.NotFound, &pb.ErrorDetail{Kind: pb.ErrorDetail_KIND_NO_ACCOUNT})
	nodes[0].do(func() {
		nodes[0].mu.account = func(context.Context, *pb.GetAccountRequest) (*pb.GetAccountResponse, error) { return nil, gone }
	})
	err := c.Session("alice").Watch(t.Context(), 0, func(*pb.WatchResponse) {})
	if !errors.Is(err, client.ErrNoAccount) {
		t.Errorf("got %v", err)
	}
}

// A replica that is behind does not know a new account yet: that is not the end.
func TestWatchOfAnAccountThatTheReplicaDoesNotKnowYet(t *testing.T) {
	nodes, c := fakeCluster(t, 1, 1)
	w := newFakeWatch(nodes)
	w.do(func() { w.mu.refuse = pb.ErrorDetail_KIND_NO_ACCOUNT })
	nodes[0].do(func() {
		nodes[0].mu.account = func(context.Context, *pb.GetAccountRequest) (*pb.GetAccountResponse, error) {
			w.do(func() { w.mu.refuse = 0 })
			return &pb.GetAccountResponse{AppliedIndex: 33}, nil
		}
	})
	events, end := follow(t, c, "alice", 0)
	w.bump(1)
	next(t, events, 1)
	w.do(func() {
		if got := w.mu.subs[len(w.mu.subs)-1].GetMinIndex(); got != 33 {
			t.Errorf("min_index is %d, want 33", got)
		}
	})
	_ = end()
}
