package transport

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/hashicorp/raft"
	"go.uber.org/goleak"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/metadata"

	pb "github.com/quorumail/quorumail/proto/quorumail/v1"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// network is a few nodes on loopback.
type network struct {
	t      *testing.T
	faults Faults
	linger time.Duration
	seen   atomic.Int64 // messages that servers have received
	mu     sync.Mutex
	addrs  map[string]string
}

func newNetwork(t *testing.T) *network { return &network{t: t, addrs: map[string]string{}} }

func (n *network) resolve(id string) (string, bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	a, ok := n.addrs[id]
	return a, ok
}

// node starts a node; stop may be called before the test ends.
func (n *network) node(id string) (m *Mux, stop func()) {
	n.t.Helper()
	m, err := New(Config{
		NodeID: id, ClusterID: "test", Resolve: n.resolve, Faults: &n.faults,
		RPCTimeout: 2 * time.Second, HeartbeatTimeout: 300 * time.Millisecond, Linger: n.linger,
	})
	if err != nil {
		n.t.Fatal(err)
	}
	lis, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		n.t.Fatal(err)
	}
	srv := grpc.NewServer(grpc.StreamInterceptor(func(s any, ss grpc.ServerStream, _ *grpc.StreamServerInfo, h grpc.StreamHandler) error {
		return h(s, countingStream{ss, &n.seen})
	}))
	m.Register(srv)
	served := make(chan struct{})
	go func() {
		defer close(served)
		_ = srv.Serve(lis)
	}()
	n.mu.Lock()
	n.addrs[id] = lis.Addr().String()
	n.mu.Unlock()
	stop = sync.OnceFunc(func() {
		if err := m.Close(); err != nil {
			n.t.Error(err)
		}
		srv.Stop()
		<-served
	})
	n.t.Cleanup(stop)
	return m, stop
}

// serve answers what comes for a group until the test ends.
func serve(t *testing.T, g *Group, answer func(raft.RPC)) {
	stop := make(chan struct{})
	var wg sync.WaitGroup
	wg.Go(func() {
		for {
			select {
			case rpc := <-g.Consumer():
				answer(rpc)
			case <-stop:
				return
			}
		}
	})
	t.Cleanup(func() { close(stop); wg.Wait() })
}

func logs(first uint64, sizes ...int) []*raft.Log {
	var out []*raft.Log
	for i, n := range sizes {
		out = append(out, &raft.Log{Index: first + uint64(i), Term: 3, Data: bytes.Repeat([]byte{byte(i)}, n), AppendedAt: time.Unix(5, 6)})
	}
	return out
}

func appendReq(first uint64, sizes ...int) *raft.AppendEntriesRequest {
	return &raft.AppendEntriesRequest{Term: 3, PrevLogEntry: first - 1, PrevLogTerm: 2, LeaderCommitIndex: 1, Entries: logs(first, sizes...)}
}

func TestRequestsArriveAsTheyWereSent(t *testing.T) {
	n := newNetwork(t)
	a, _ := n.node("a")
	b, _ := n.node("b")
	got := make(chan any, 10)
	serve(t, b.Group(7), func(rpc raft.RPC) {
		got <- rpc.Command
		switch c := rpc.Command.(type) {
		case *raft.AppendEntriesRequest:
			rpc.Respond(&raft.AppendEntriesResponse{Term: 3, LastLog: uint64(len(c.Entries)), Success: true, NoRetryBackoff: true}, nil)
		case *raft.RequestVoteRequest:
			rpc.Respond(&raft.RequestVoteResponse{Term: 9, Granted: true}, nil)
		case *raft.RequestPreVoteRequest:
			rpc.Respond(&raft.RequestPreVoteResponse{Term: 8, Granted: true}, nil)
		case *raft.TimeoutNowRequest:
			rpc.Respond(nil, errors.New("not now"))
		}
	})
	g := a.Group(7)
	// 5 MiB are many frames; 9 MiB more than one append carries.
	req := appendReq(10, 100, 0, 5<<20)
	var ar raft.AppendEntriesResponse
	if err := g.AppendEntries("b", "b", req, &ar); err != nil {
		t.Fatal(err)
	}
	r := (<-got).(*raft.AppendEntriesRequest)
	if string(r.ID) != "a" || string(r.Addr) != "a" || r.Term != 3 || r.PrevLogEntry != 9 || r.PrevLogTerm != 2 || r.LeaderCommitIndex != 1 || len(r.Entries) != 3 {
		t.Errorf("append arrived as %+v", r)
	}
	for i, e := range r.Entries {
		w := req.Entries[i]
		if e.Index != w.Index || e.Term != w.Term || !bytes.Equal(e.Data, w.Data) || !e.AppendedAt.Equal(w.AppendedAt) {
			t.Errorf("entry %d is different", i)
		}
	}
	if !ar.Success || ar.LastLog != 3 || !ar.NoRetryBackoff || string(ar.ID) != "b" {
		t.Errorf("reply arrived as %+v", ar)
	}
	req = appendReq(10, 4<<20, 3<<20, 2<<20, 100)
	if err := g.AppendEntries("b", "b", req, &ar); err != nil {
		t.Fatal(err)
	}
	if r := (<-got).(*raft.AppendEntriesRequest); len(r.Entries) != 2 || len(req.Entries) != 2 {
		t.Errorf("%d entries sent, caller told %d; want the first 2", len(r.Entries), len(req.Entries))
	}
	var vr raft.RequestVoteResponse
	if err := g.RequestVote("b", "b", &raft.RequestVoteRequest{Term: 9, LastLogIndex: 4, LastLogTerm: 3, LeadershipTransfer: true}, &vr); err != nil || !vr.Granted || vr.Term != 9 {
		t.Errorf("vote: %+v, %v", vr, err)
	}
	if v := (<-got).(*raft.RequestVoteRequest); string(v.Addr) != "a" || v.Term != 9 || v.LastLogIndex != 4 || v.LastLogTerm != 3 || !v.LeadershipTransfer {
		t.Errorf("vote arrived as %+v", v)
	}
	var pr raft.RequestPreVoteResponse
	if err := g.RequestPreVote("b", "b", &raft.RequestPreVoteRequest{Term: 9, LastLogIndex: 4, LastLogTerm: 3}, &pr); err != nil || !pr.Granted || pr.Term != 8 {
		t.Errorf("pre-vote: %+v, %v", pr, err)
	}
	<-got
	if err := g.TimeoutNow("b", "b", nil, &raft.TimeoutNowResponse{}); err == nil || !strings.Contains(err.Error(), "not now") {
		t.Errorf("the peer's error is lost: %v", err)
	}
	if err := a.Group(8).AppendEntries("b", "b", appendReq(1, 1), &ar); err == nil || !strings.Contains(err.Error(), "no replica") {
		t.Errorf("group that is not there: %v", err)
	}
}

func TestPipelineKeepsOrder(t *testing.T) {
	n := newNetwork(t)
	a, _ := n.node("a")
	b, _ := n.node("b")
	var next uint64 = 1
	serve(t, b.Group(1), func(rpc raft.RPC) {
		c := rpc.Command.(*raft.AppendEntriesRequest)
		ok := c.PrevLogEntry+1 == next
		next = c.PrevLogEntry + 1 + uint64(len(c.Entries))
		rpc.Respond(&raft.AppendEntriesResponse{Term: 3, LastLog: next - 1, Success: ok}, nil)
	})
	p, err := a.Group(1).AppendEntriesPipeline("b", "b")
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	const total = 300
	go func() {
		for i := uint64(1); i <= total; i++ {
			size := 10
			if i%7 == 0 || i > 100 && i < 110 { // over the bulk link, and back
				size = bulkBytes + 1
			}
			if _, err := p.AppendEntries(appendReq(i, size), new(raft.AppendEntriesResponse)); err != nil {
				t.Error(err)
				return
			}
		}
	}()
	for i := uint64(1); i <= total; i++ {
		f := <-p.Consumer()
		if err := f.Error(); err != nil {
			t.Fatal(err)
		}
		if !f.Response().Success || f.Response().LastLog != i {
			t.Fatalf("append %d: %+v", i, f.Response())
		}
	}
}

func TestNoGroupBlocksAnother(t *testing.T) {
	n := newNetwork(t)
	a, _ := n.node("a")
	b, _ := n.node("b")
	stuck := b.Group(1) // nobody reads its inbox
	beats := make(chan uint64, 1)
	stuck.SetHeartbeatHandler(func(rpc raft.RPC) {
		beats <- rpc.Command.(*raft.AppendEntriesRequest).Term
		rpc.Respond(&raft.AppendEntriesResponse{Term: 4, Success: true}, nil)
	})
	serve(t, b.Group(2), func(rpc raft.RPC) { rpc.Respond(&raft.AppendEntriesResponse{Success: true}, nil) })
	var wg sync.WaitGroup
	defer wg.Wait()
	errs := make(chan error, 2*inboxLen)
	for range 2 * inboxLen {
		wg.Go(func() {
			errs <- a.Group(1).AppendEntries("b", "b", appendReq(1, 10), &raft.AppendEntriesResponse{})
		})
	}
	for range inboxLen {
		if err := <-errs; err == nil || !strings.Contains(err.Error(), "busy") {
			t.Errorf("with a full inbox: %v", err)
		}
	}
	began := time.Now()
	if err := a.Group(2).AppendEntries("b", "b", appendReq(1, 10), &raft.AppendEntriesResponse{}); err != nil {
		t.Error(err)
	}
	var hr raft.AppendEntriesResponse
	if err := a.Group(1).AppendEntries("b", "b", &raft.AppendEntriesRequest{Term: 4}, &hr); err != nil || hr.Term != 4 {
		t.Errorf("heartbeat: %+v, %v", hr, err)
	}
	if term := <-beats; term != 4 {
		t.Errorf("heartbeat of term %d", term)
	}
	if d := time.Since(began); d > time.Second {
		t.Errorf("waited %v behind another group", d)
	}
	if err := stuck.Close(); err != nil { // ends the rest
		t.Fatal(err)
	}
}

func TestConfirm(t *testing.T) {
	n := newNetwork(t)
	a, _ := n.node("a")
	b, _ := n.node("b")
	c, _ := n.node("c")
	voters := []raft.ServerID{"a", "b", "c"}
	g := a.Group(1)
	confirm := func() error {
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
		defer cancel()
		return g.Confirm(ctx, 5, voters)
	}
	if err := g.Confirm(t.Context(), 5, voters[:1]); err != nil {
		t.Errorf("alone: %v", err)
	}
	if err := confirm(); !errors.Is(err, ErrNoQuorum) {
		t.Errorf("nobody runs: %v", err)
	}
	b.Group(1).SetTerm(func() uint64 { return 5 })
	c.Group(1).SetTerm(func() uint64 { return 4 })
	if err := confirm(); err != nil {
		t.Errorf("all agree: %v", err)
	}
	n.faults.Cut("a", "c")
	if err := confirm(); err != nil {
		t.Errorf("one is cut off: %v", err)
	}
	n.faults.Cut("b", "a")
	if err := confirm(); !errors.Is(err, ErrNoQuorum) {
		t.Errorf("one gets no question, of the other no reply comes: %v", err)
	}
	n.faults.Heal()
	c.Group(1).SetTerm(func() uint64 { return 6 })
	b.Group(1).SetTerm(func() uint64 { return 6 })
	if err := confirm(); !errors.Is(err, ErrDeposed) {
		t.Errorf("others are in a later term: %v", err)
	}
}

func TestLinkIsOpenedAnew(t *testing.T) {
	n := newNetwork(t)
	a, _ := n.node("a")
	ask := func() error {
		return a.Group(1).RequestVote("b", "b", &raft.RequestVoteRequest{Term: 1}, &raft.RequestVoteResponse{})
	}
	if err := ask(); !errors.Is(err, ErrUnreachable) {
		t.Errorf("node without an address: %v", err)
	}
	eventually := func(what string) {
		t.Helper()
		deadline := time.Now().Add(10 * time.Second)
		for {
			err := ask()
			if err == nil {
				return
			}
			if time.Now().After(deadline) {
				t.Fatalf("%s: %v", what, err)
			}
		}
	}
	vote := func(rpc raft.RPC) { rpc.Respond(&raft.RequestVoteResponse{Granted: true}, nil) }
	b, stop := n.node("b")
	serve(t, b.Group(1), vote)
	eventually("first start")
	stop()
	if err := ask(); err == nil {
		t.Error("stopped node answers")
	}
	b, _ = n.node("b") // at another address
	serve(t, b.Group(1), vote)
	eventually("after a restart")
	n.faults.Isolate("b")
	began := time.Now()
	for time.Since(began) < 1500*time.Millisecond { // longer than the link waits
		if err := ask(); err == nil {
			t.Fatal("isolated node answers")
		}
	}
	n.faults.Heal()
	eventually("after a partition")
}

func TestDelay(t *testing.T) {
	n := newNetwork(t)
	a, _ := n.node("a")
	b, _ := n.node("b")
	serve(t, b.Group(1), func(rpc raft.RPC) { rpc.Respond(&raft.AppendEntriesResponse{Success: true}, nil) })
	n.faults.Delay("a", "b", 100*time.Millisecond)
	n.faults.Delay("b", "a", 100*time.Millisecond)
	began := time.Now()
	if err := a.Group(1).AppendEntries("b", "b", appendReq(1, 10), &raft.AppendEntriesResponse{}); err != nil {
		t.Fatal(err)
	}
	if d := time.Since(began); d < 200*time.Millisecond {
		t.Errorf("took %v", d)
	}
}

func TestStreamNamesWhomItMeans(t *testing.T) {
	n := newNetwork(t)
	n.node("b")
	addr, _ := n.resolve("b")
	conn, err := grpc.NewClient(addr, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	for _, md := range [][]string{
		{metaFrom, "a", metaTo, "c", metaCluster, "test"},
		{metaFrom, "a", metaTo, "b", metaCluster, "other"},
		{metaFrom, "", metaTo, "b", metaCluster, "test"},
		{metaFrom, "b", metaTo, "b", metaCluster, "test"},
		{metaTo, "b"},
	} {
		ctx, cancel := context.WithTimeout(metadata.AppendToOutgoingContext(t.Context(), md...), 5*time.Second)
		s, err := pb.NewRaftTransportServiceClient(conn).Exchange(ctx)
		if err == nil {
			_, err = s.Recv()
		}
		if err == nil {
			t.Errorf("%v: accepted", md)
		}
		cancel()
	}
}

// TestHostilePeer sends what no node sends. The node must go on.
func TestHostilePeer(t *testing.T) {
	n := newNetwork(t)
	b, _ := n.node("b")
	b.Group(1).SetTerm(func() uint64 { return 1 })
	addr, _ := n.resolve("b")
	conn, err := grpc.NewClient(addr, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	ctx, cancel := context.WithTimeout(metadata.AppendToOutgoingContext(t.Context(), metaFrom, "a", metaTo, "b", metaCluster, "test"), 20*time.Second)
	defer cancel()
	client := pb.NewRaftTransportServiceClient(conn)
	for name, frames := range map[string][]*pb.RaftFrame{
		"unknown kind":        {{Group: 1, Seq: 1, Kind: 99}},
		"no kind":             {{}},
		"garbage":             {{Group: 1, Seq: 1, Kind: pb.RaftFrame_KIND_APPEND, Payload: []byte("\xff\xff\xff")}},
		"bad membership":      {{Group: 1, Seq: 1, Kind: pb.RaftFrame_KIND_APPEND, Payload: mustAppend(t, raft.LogConfiguration)}},
		"unknown entry":       {{Group: 1, Seq: 1, Kind: pb.RaftFrame_KIND_APPEND, Payload: mustAppend(t, 77)}},
		"interleaved pieces":  {{Group: 1, Seq: 1, More: true}, {Group: 1, Seq: 2}},
		"unknown group":       {{Group: 9, Seq: 1, Kind: pb.RaftFrame_KIND_VOTE}},
		"heartbeat, no term":  {{Group: 1, Seq: 1, Kind: pb.RaftFrame_KIND_HEARTBEAT}},
		"confirm with a body": {{Group: 1, Seq: 1, Kind: pb.RaftFrame_KIND_CONFIRM, Payload: []byte("x")}},
	} {
		s, err := client.Exchange(ctx)
		if err != nil {
			t.Fatal(err)
		}
		if err := s.Send(&pb.ExchangeRequest{Frames: frames}); err != nil {
			t.Fatal(err)
		}
		m, err := s.Recv()
		if err != nil {
			if name != "interleaved pieces" {
				t.Errorf("%s: stream ended: %v", name, err)
			}
			continue
		}
		if m.Frames[0].Error == "" && name != "confirm with a body" {
			t.Errorf("%s: accepted", name)
		}
		_ = s.CloseSend()
	}
	// A payload without end is cut off.
	s, err := client.Exchange(ctx)
	if err != nil {
		t.Fatal(err)
	}
	piece := &pb.RaftFrame{Group: 1, Seq: 1, Kind: pb.RaftFrame_KIND_APPEND, More: true, Payload: make([]byte, 3<<20)}
	for i := 0; err == nil; i++ {
		if i > 100 {
			t.Fatal("300 MiB were taken in")
		}
		err = s.Send(&pb.ExchangeRequest{Frames: []*pb.RaftFrame{piece}})
	}
	// Requests that nobody answers are bounded.
	s, err = client.Exchange(ctx)
	if err != nil {
		t.Fatal(err)
	}
	vote := &pb.RaftFrame{Group: 1, Seq: 1, Kind: pb.RaftFrame_KIND_VOTE}
	for range 100 {
		if err := s.Send(&pb.ExchangeRequest{Frames: []*pb.RaftFrame{vote, vote, vote, vote, vote, vote, vote, vote, vote, vote}}); err != nil {
			t.Fatal(err)
		}
	}
}

func mustAppend(t *testing.T, typ raft.LogType) []byte {
	t.Helper()
	return slices.Concat(encodeAppend(&raft.AppendEntriesRequest{Term: 1, Entries: []*raft.Log{{Index: 1, Term: 1, Type: typ, Data: []byte("\xc1\xc1")}}})...)
}

func TestSnapshot(t *testing.T) {
	n := newNetwork(t)
	a, _ := n.node("a")
	b, _ := n.node("b")
	conf := raft.EncodeConfiguration(raft.Configuration{Servers: []raft.Server{{ID: "a", Address: "a"}}})
	state := bytes.Repeat([]byte("state of a shard "), 200_000)
	type received struct {
		req  raft.InstallSnapshotRequest
		data []byte
		err  error
	}
	got := make(chan received, 1)
	serve(t, b.Group(3), func(rpc raft.RPC) {
		req := rpc.Command.(*raft.InstallSnapshotRequest)
		if req.Term == 99 { // refused without reading it
			rpc.Respond(&raft.InstallSnapshotResponse{Term: 100}, nil)
			return
		}
		data, err := io.ReadAll(rpc.Reader)
		got <- received{*req, data, err}
		rpc.Respond(&raft.InstallSnapshotResponse{Term: 5, Success: err == nil}, err)
	})
	install := func(term uint64, r io.Reader) (raft.InstallSnapshotResponse, error) {
		var resp raft.InstallSnapshotResponse
		err := a.Group(3).InstallSnapshot("b", "b", &raft.InstallSnapshotRequest{
			SnapshotVersion: 1, Term: term, LastLogIndex: 70, LastLogTerm: 4, Configuration: conf, ConfigurationIndex: 2,
		}, &resp, r)
		return resp, err
	}
	resp, err := install(5, bytes.NewReader(state))
	if err != nil || !resp.Success || resp.Term != 5 {
		t.Fatalf("%+v, %v", resp, err)
	}
	r := <-got
	if r.err != nil || !bytes.Equal(r.data, state) || r.req.Size != int64(len(state)) || r.req.LastLogIndex != 70 ||
		r.req.LastLogTerm != 4 || r.req.ConfigurationIndex != 2 || !bytes.Equal(r.req.Configuration, conf) || string(r.req.ID) != "a" {
		t.Errorf("arrived as %d octets of %d, %v", len(r.data), r.req.Size, r.err)
	}
	if _, err := install(5, bytes.NewReader(nil)); err != nil {
		t.Errorf("empty state: %v", err)
	}
	<-got
	broken := io.MultiReader(bytes.NewReader(state), errReader{})
	if _, err := install(5, broken); err == nil {
		t.Error("a state that could not be read was installed")
	}
	if r := <-got; r.err == nil {
		t.Errorf("half a state was taken for a whole one: %d octets", len(r.data))
	}
	if resp, err := install(99, bytes.NewReader(state)); err != nil || resp.Success || resp.Term != 100 {
		t.Errorf("refusal: %+v, %v", resp, err)
	}
	n.faults.Cut("a", "b")
	if _, err := install(5, bytes.NewReader(state)); err == nil {
		t.Error("arrived over a cut")
	}
}

type errReader struct{}

func (errReader) Read([]byte) (int, error) { return 0, errors.New("disk is broken") }

func FuzzDecodeRequest(f *testing.F) {
	f.Add(int32(pb.RaftFrame_KIND_APPEND), slices.Concat(encodeAppend(appendReq(1, 10, 20))...))
	f.Add(int32(pb.RaftFrame_KIND_VOTE), []byte{8, 1})
	f.Fuzz(func(t *testing.T, kind int32, payload []byte) {
		_, _ = decodeRequest(&pb.RaftFrame{Kind: pb.RaftFrame_Kind(kind), Payload: payload}, "a")
	})
}

func BenchmarkAppend(b *testing.B) {
	for _, size := range []int{100, 4 << 10, 256 << 10} {
		b.Run(fmt.Sprint(size), func(b *testing.B) { benchAppend(b, size) })
	}
}

func benchAppend(b *testing.B, size int) {
	n := &network{addrs: map[string]string{}}
	t := &testing.T{}
	n.t = t
	m, stopM := n.node("a")
	defer stopM()
	peer, stopPeer := n.node("b")
	defer stopPeer()
	stop := make(chan struct{})
	defer close(stop)
	go func() {
		for {
			select {
			case rpc := <-peer.Group(1).Consumer():
				rpc.Respond(&raft.AppendEntriesResponse{Success: true}, nil)
			case <-stop:
				return
			}
		}
	}()
	g := m.Group(1)
	b.SetBytes(int64(size))
	for b.Loop() {
		if err := g.AppendEntries("b", "b", appendReq(1, size), &raft.AppendEntriesResponse{}); err != nil {
			b.Fatal(err)
		}
	}
}
