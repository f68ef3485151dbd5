package transport

import (
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/hashicorp/raft"
	"google.golang.org/grpc"
)

// countingStream counts what is received.
type countingStream struct {
	grpc.ServerStream
	n *atomic.Int64
}

func (s countingStream) RecvMsg(m any) error {
	err := s.ServerStream.RecvMsg(m)
	if err == nil {
		s.n.Add(1)
	}
	return err
}

var heartbeat = raft.AppendEntriesRequest{Term: 3}

func beatOnce(g *Group) (raft.AppendEntriesResponse, error) {
	req := heartbeat
	var resp raft.AppendEntriesResponse
	err := g.AppendEntries("b", "b", &req, &resp)
	return resp, err
}

// takesBeats answers heartbeats of a group; follows is what its Raft says.
func takesBeats(g *Group, follows bool) {
	g.SetFollows(func(term uint64) bool { return follows && term == 3 })
	g.SetHeartbeatHandler(func(rpc raft.RPC) {
		rpc.Respond(&raft.AppendEntriesResponse{Term: 3, LastLog: uint64(g.id), Success: true}, nil)
	})
}

func TestHeartbeatsOfManyGroupsShareMessages(t *testing.T) {
	n := newNetwork(t)
	n.linger = 100 * time.Millisecond
	a, _ := n.node("a")
	b, _ := n.node("b")
	const groups = 60
	for i := uint32(1); i <= groups; i++ {
		takesBeats(b.Group(i), i%3 != 0)
	}
	var wg sync.WaitGroup
	for i := uint32(1); i <= groups; i++ {
		wg.Go(func() {
			resp, err := beatOnce(a.Group(i))
			if err != nil || resp.LastLog != uint64(i) {
				t.Errorf("heartbeat of group %d: %+v, %v", i, resp, err)
			}
		})
	}
	wg.Wait()
	if got := n.seen.Load(); got > groups/4 {
		t.Errorf("%d heartbeats took %d messages", groups, got)
	}
}

// What doesn't wait takes along what does.
func TestUrgentRequestsDoNotLinger(t *testing.T) {
	n := newNetwork(t)
	n.linger = time.Hour
	a, _ := n.node("a")
	b, _ := n.node("b")
	takesBeats(b.Group(1), true)
	serve(t, b.Group(2), func(rpc raft.RPC) { rpc.Respond(&raft.AppendEntriesResponse{Term: 3, Success: true}, nil) })
	done := make(chan error, 1)
	go func() {
		_, err := beatOnce(a.Group(1))
		done <- err
	}()
	for {
		var resp raft.AppendEntriesResponse
		if err := a.Group(2).AppendEntries("b", "b", appendReq(1, 10), &resp); err != nil {
			t.Fatalf("append with an entry: %v", err)
		}
		select {
		case err := <-done:
			if err != nil {
				t.Fatalf("heartbeat: %v", err)
			}
			return
		default:
		}
	}
}

// A library that is shut down leaves heartbeats without an answer; the group's
// neighbours must not wait for it.
func TestSilentGroupDoesNotKeepOthersHeartbeats(t *testing.T) {
	n := newNetwork(t)
	n.linger = 50 * time.Millisecond
	a, _ := n.node("a")
	b, _ := n.node("b")
	takesBeats(b.Group(1), true)
	takesBeats(b.Group(2), true)
	b.Group(1).SetHeartbeatHandler(func(raft.RPC) {})
	var wg sync.WaitGroup
	wg.Go(func() {
		if _, err := beatOnce(a.Group(1)); err == nil || !strings.Contains(err.Error(), "stopped") {
			t.Errorf("group without an answer: %v", err)
		}
	})
	wg.Go(func() {
		if _, err := beatOnce(a.Group(2)); err != nil {
			t.Errorf("its neighbour: %v", err)
		}
	})
	wg.Wait()
}
