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
		refused int
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
					w.mu.refused++
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

// follow watches and returns the events.
func follow(t *testing.T, c *client.Client, account string, since uint64) (<-chan *pb.WatchResponse, func()) {
	events := make(chan *pb.WatchResponse, 100)
	stop := c.Session(account).Watch(since, func(ev *pb.WatchResponse, err error) {
		if err != nil {
			t.Errorf("watch of %s: %v", account, err)
			return
		}
		events <- proto.CloneOf(ev)
	})
	t.Cleanup(stop)
	return events, stop
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
	endAlice()
	w.bump(1)
	next(t, bob, 8)
	endBob()
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

func TestWatchOfNoAccount(t *testing.T) {
	nodes, c := fakeCluster(t, 1, 1)
	w := newFakeWatch(nodes)
	w.do(func() { w.mu.refuse = pb.ErrorDetail_KIND_NO_ACCOUNT })
	gone := failure(codes.NotFound, &pb.ErrorDetail{Kind: pb.ErrorDetail_KIND_NO_ACCOUNT})
	nodes[0].do(func() {
		nodes[0].mu.account = func(context.Context, *pb.GetAccountRequest) (*pb.GetAccountResponse, error) { return nil, gone }
	})
	ended := make(chan error, 10)
	stop := c.Session("alice").Watch(0, func(_ *pb.WatchResponse, err error) { ended <- err })
	if err := <-ended; !errors.Is(err, client.ErrNoAccount) {
		t.Errorf("got %v", err)
	}
	stop()
	if len(ended) > 0 {
		t.Errorf("then got %v", <-ended)
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
	end()
}

// Nor is it for another user than its owner, who may not read its record.
func TestWatchOfAnothersAccountThatTheReplicaDoesNotKnowYet(t *testing.T) {
	nodes, c := fakeCluster(t, 1, 1)
	w := newFakeWatch(nodes)
	w.do(func() { w.mu.refuse = pb.ErrorDetail_KIND_NO_ACCOUNT })
	gone := failure(codes.NotFound, &pb.ErrorDetail{Kind: pb.ErrorDetail_KIND_NO_ACCOUNT})
	asked := 0
	nodes[0].do(func() {
		nodes[0].mu.list = func(_ context.Context, req *pb.ListMailboxesRequest) (*pb.ListMailboxesResponse, error) {
			if asked++; req.GetRoute().GetActor() != "bob" || asked > 1 {
				return nil, gone
			}
			w.do(func() { w.mu.refuse = 0 })
			return &pb.ListMailboxesResponse{AppliedIndex: 33}, nil
		}
	})
	events := make(chan uint64, 10)
	w.bump(1)
	stop := c.SessionFor("alice", "bob").Watch(0, func(ev *pb.WatchResponse, err error) {
		if err != nil {
			t.Error(err)
		}
		events <- ev.GetModSeq()
	})
	if got := <-events; got != 1 {
		t.Errorf("event with modseq %d, want 1", got)
	}
	stop()
	w.do(func() { w.mu.refuse = pb.ErrorDetail_KIND_NO_ACCOUNT })
	ended := make(chan error, 1)
	defer c.SessionFor("alice", "bob").Watch(0, func(_ *pb.WatchResponse, err error) { ended <- err })()
	if err := <-ended; !errors.Is(err, client.ErrNoAccount) {
		t.Errorf("the end of a watch of no account: %v", err)
	}
}

// What has moved away is looked for until it is found, also by watches that were
// begun before there was a map.
func TestWatchFindsAnAccountThatHasMoved(t *testing.T) {
	nodes, c := fakeCluster(t, 1, 1)
	w := newFakeWatch(nodes)
	w.do(func() { w.mu.refuse = pb.ErrorDetail_KIND_WRONG_SHARD })
	events, _ := follow(t, c, "alice", 0)
	w.bump(1)
	for asked := 0; asked < 3; {
		<-time.After(5 * time.Millisecond)
		w.do(func() { asked = w.mu.refused })
	}
	w.do(func() { w.mu.refuse = 0 })
	next(t, events, 1)
}

// A watch may be stopped at any time, also while it looks for its account.
func TestWatchStopsWhileItSearches(t *testing.T) {
	nodes, c := fakeCluster(t, 1, 1)
	w := newFakeWatch(nodes)
	w.do(func() { w.mu.refuse = pb.ErrorDetail_KIND_WRONG_SHARD })
	for range 20 {
		_, stop := follow(t, c, "alice", 0)
		stop()
		stop()
	}
	_, stop := follow(t, c, "bob", 0)
	for asked := 0; asked < 1; {
		<-time.After(5 * time.Millisecond)
		w.do(func() { asked = w.mu.refused })
	}
	stop()
	if err := c.Close(); err != nil {
		t.Error(err)
	}
	c.Session("carol").Watch(0, func(*pb.WatchResponse, error) { t.Error("told by a closed client") })()
}
