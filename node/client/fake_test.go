package client_test

import (
	"context"
	"fmt"
	"net"
	"sync"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	"github.com/quorumail/quorumail/node/client"
	"github.com/quorumail/quorumail/proto/imapnum"
	pb "github.com/quorumail/quorumail/proto/quorumail/v1"
)

// fakeNode is a node whose answers a test decides. A nil function answers
// UNIMPLEMENTED.
type fakeNode struct {
	pb.UnimplementedStoreServiceServer
	pb.UnimplementedDirectoryServiceServer
	pb.UnimplementedAdminServiceServer

	name   string
	addr   string
	server *grpc.Server

	mu struct {
		sync.Mutex
		m       *pb.ClusterMap
		newMap  chan struct{}
		propose func(context.Context, *pb.Entry) (*pb.Outcome, error)
		account func(context.Context, *pb.GetAccountRequest) (*pb.GetAccountResponse, error)
		list    func(context.Context, *pb.ListMailboxesRequest) (*pb.ListMailboxesResponse, error)
		open    func(*pb.OpenMailboxRequest, func(*pb.OpenMailboxResponse) error) error
		changes func(*pb.ChangesRequest, func(*pb.ChangesResponse) error) error
		fetch   func(context.Context, *pb.FetchRequest, func(*pb.FetchResponse) error) error
		search  func(context.Context, *pb.SearchRequest) (*pb.SearchResponse, error)
		watch   func(pb.StoreService_WatchServer) error
	}
}

func (f *fakeNode) do(set func()) {
	f.mu.Lock()
	defer f.mu.Unlock()
	set()
}

func (f *fakeNode) setMap(m *pb.ClusterMap) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.mu.m = m
	close(f.mu.newMap)
	f.mu.newMap = make(chan struct{})
}

func (f *fakeNode) GetMap(context.Context, *pb.GetMapRequest) (*pb.GetMapResponse, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.mu.m == nil {
		return nil, status.Error(codes.Unavailable, "no map yet")
	}
	return &pb.GetMapResponse{Map: f.mu.m}, nil
}

func (f *fakeNode) WatchMap(req *pb.WatchMapRequest, stream pb.DirectoryService_WatchMapServer) error {
	after := req.GetAfterEpoch()
	for {
		f.mu.Lock()
		m, wait := f.mu.m, f.mu.newMap
		f.mu.Unlock()
		if m.GetEpoch() > after {
			after = m.GetEpoch()
			if err := stream.Send(&pb.WatchMapResponse{Map: m}); err != nil {
				return err
			}
		}
		select {
		case <-wait:
		case <-stream.Context().Done():
			return nil
		}
	}
}

func (f *fakeNode) NodeStatus(context.Context, *pb.NodeStatusRequest) (*pb.NodeStatusResponse, error) {
	return &pb.NodeStatusResponse{NodeId: f.name}, nil
}

var errUnset = status.Error(codes.Unimplemented, "not set by the test")

func (f *fakeNode) Propose(stream pb.StoreService_ProposeServer) error {
	var sending sync.Mutex
	var wg sync.WaitGroup
	defer wg.Wait()
	for {
		req, err := stream.Recv()
		if err != nil {
			return err
		}
		f.mu.Lock()
		fn := f.mu.propose
		f.mu.Unlock()
		if fn == nil {
			return errUnset
		}
		for _, p := range req.GetProposals() {
			wg.Go(func() {
				o := outcomeOf(stream.Context(), fn, p)
				sending.Lock()
				defer sending.Unlock()
				_ = stream.Send(&pb.ProposeResponse{Outcomes: []*pb.Outcome{o}}) // nobody may be there
			})
		}
	}
}

func outcomeOf(ctx context.Context, fn func(context.Context, *pb.Entry) (*pb.Outcome, error), p *pb.Proposal) *pb.Outcome {
	var e pb.Entry
	if err := proto.Unmarshal(p.GetEntry(), &e); err != nil {
		panic(err)
	}
	o, err := fn(ctx, &e)
	if err != nil {
		st := status.Convert(err)
		o = &pb.Outcome{Failure: &pb.Failure{Code: uint32(st.Code()), Message: st.Message()}}
		for _, d := range st.Details() {
			o.Failure.Detail = d.(*pb.ErrorDetail)
		}
	}
	o = proto.CloneOf(o)
	o.Id = p.GetId()
	return o
}

func (f *fakeNode) GetAccount(ctx context.Context, req *pb.GetAccountRequest) (*pb.GetAccountResponse, error) {
	f.mu.Lock()
	fn := f.mu.account
	f.mu.Unlock()
	if fn == nil {
		return nil, errUnset
	}
	return fn(ctx, req)
}

func (f *fakeNode) ListMailboxes(ctx context.Context, req *pb.ListMailboxesRequest) (*pb.ListMailboxesResponse, error) {
	f.mu.Lock()
	fn := f.mu.list
	f.mu.Unlock()
	if fn == nil {
		return nil, errUnset
	}
	return fn(ctx, req)
}

func (f *fakeNode) Search(ctx context.Context, req *pb.SearchRequest) (*pb.SearchResponse, error) {
	f.mu.Lock()
	fn := f.mu.search
	f.mu.Unlock()
	if fn == nil {
		return nil, errUnset
	}
	return fn(ctx, req)
}

func (f *fakeNode) OpenMailbox(req *pb.OpenMailboxRequest, stream pb.StoreService_OpenMailboxServer) error {
	f.mu.Lock()
	fn := f.mu.open
	f.mu.Unlock()
	if fn == nil {
		return errUnset
	}
	return fn(req, stream.Send)
}

func (f *fakeNode) Changes(req *pb.ChangesRequest, stream pb.StoreService_ChangesServer) error {
	f.mu.Lock()
	fn := f.mu.changes
	f.mu.Unlock()
	if fn == nil {
		return errUnset
	}
	return fn(req, stream.Send)
}

func (f *fakeNode) Fetch(req *pb.FetchRequest, stream pb.StoreService_FetchServer) error {
	f.mu.Lock()
	fn := f.mu.fetch
	f.mu.Unlock()
	if fn == nil {
		return errUnset
	}
	return fn(stream.Context(), req, stream.Send)
}

func (f *fakeNode) Watch(stream pb.StoreService_WatchServer) error {
	f.mu.Lock()
	fn := f.mu.watch
	f.mu.Unlock()
	if fn == nil {
		return errUnset
	}
	return fn(stream)
}

// fakeCluster starts n nodes "a", "b"… with the given number of shards, each on
// all nodes, and a client of them.
func fakeCluster(t *testing.T, n, shards int) ([]*fakeNode, *client.Client) {
	t.Helper()
	m := &pb.ClusterMap{Epoch: 1, ClusterId: "test"}
	var nodes []*fakeNode
	var addrs, names []string
	for i := range n {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		f := &fakeNode{name: string(rune('a' + i)), addr: l.Addr().String(), server: grpc.NewServer()}
		f.mu.newMap = make(chan struct{})
		pb.RegisterStoreServiceServer(f.server, f)
		pb.RegisterDirectoryServiceServer(f.server, f)
		pb.RegisterAdminServiceServer(f.server, f)
		served := make(chan struct{})
		go func() {
			defer close(served)
			_ = f.server.Serve(l)
		}()
		t.Cleanup(func() { f.server.Stop(); <-served })
		nodes = append(nodes, f)
		addrs, names = append(addrs, f.addr), append(names, f.name)
		m.Nodes = append(m.Nodes, &pb.NodeInfo{Id: f.name, Address: f.addr})
	}
	for i := range shards {
		m.Shards = append(m.Shards, &pb.ShardInfo{
			Id:       uint32(i + 1),
			Replicas: names,
			Slots: []*pb.SlotRange{{
				First: uint32(i * imapnum.Slots / shards),
				Last:  uint32((i+1)*imapnum.Slots/shards - 1),
			}},
		})
	}
	for _, f := range nodes {
		f.setMap(m)
	}
	c, err := client.New(client.Config{
		Nodes: addrs, AttemptTimeout: 250 * time.Millisecond, WatchPing: 50 * time.Millisecond,
		RequestTimeout: 10 * time.Second,
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := c.Close(); err != nil {
			t.Error(err)
		}
	})
	return nodes, c
}

func failure(code codes.Code, d *pb.ErrorDetail) error {
	st, err := status.New(code, fmt.Sprint("refused: ", d.GetKind())).WithDetails(d)
	if err != nil {
		panic(err)
	}
	return st.Err()
}

func notLeader(leader string) error {
	return failure(codes.Unavailable, &pb.ErrorDetail{Kind: pb.ErrorDetail_KIND_NOT_LEADER, Leader: leader, Epoch: 1})
}

func ok(uids ...imapnum.UID) *pb.Outcome {
	return &pb.Outcome{
		AppliedIndex: 7,
		Result:       &pb.Result{Code: pb.Code_CODE_OK, Uids: &pb.UidSet{Packed: imapnum.SetOf(uids...).Pack()}},
	}
}

func createMailbox(name string) *pb.Entry {
	return &pb.Entry{Op: &pb.Entry_CreateMailbox{CreateMailbox: &pb.CreateMailboxOp{Name: name}}}
}
