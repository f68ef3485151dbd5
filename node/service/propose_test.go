package service_test

import (
	"context"
	"fmt"
	"testing"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	pb "github.com/quorumail/quorumail/proto/quorumail/v1"
)

// propose proposes one command over a stream of its own and returns why there is no
// result.
func (b *bench) propose(p *pb.Proposal) error {
	b.t.Helper()
	ctx, cancel := context.WithCancel(b.t.Context())
	defer cancel()
	stream, err := b.store.Propose(ctx)
	if err != nil {
		return err
	}
	p.Id = 7
	if err := stream.Send(&pb.ProposeRequest{Proposals: []*pb.Proposal{p}}); err != nil {
		return err
	}
	resp, err := stream.Recv()
	if err != nil {
		return err
	}
	if len(resp.GetOutcomes()) != 1 || resp.GetOutcomes()[0].GetId() != p.GetId() {
		b.t.Fatalf("response to one proposal: %v", resp)
	}
	f := resp.GetOutcomes()[0].GetFailure()
	if f == nil {
		return nil
	}
	st, err := status.New(codes.Code(f.GetCode()), f.GetMessage()).WithDetails(f.GetDetail())
	if err != nil {
		b.t.Fatal(err)
	}
	return st.Err()
}

// Commands of one message each have an outcome of their own, whatever becomes of the
// others; those that went into the log together share an index.
func TestProposalsOfOneMessage(t *testing.T) {
	b := newBench(t)
	const n = 50
	req := &pb.ProposeRequest{}
	for i := range n {
		e := &pb.Entry{
			Version: 1, Account: account, Time: 1, Request: &pb.RequestId{Session: random(16), Sequence: 1},
			Op: &pb.Entry_CreateMailbox{CreateMailbox: &pb.CreateMailboxOp{Name: fmt.Sprint("box ", i), UidValiditySeed: 1}},
		}
		data, err := proto.Marshal(e)
		if err != nil {
			t.Fatal(err)
		}
		if i%5 == 4 {
			data = data[:len(data)-1]
		}
		req.Proposals = append(req.Proposals, &pb.Proposal{
			Id: uint64(100 + i), Shard: b.route.GetShard(), Epoch: b.route.GetEpoch(), Entry: data,
		})
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	stream, err := b.store.Propose(ctx)
	if err != nil {
		t.Fatal(err)
	}
	if err := stream.Send(req); err != nil {
		t.Fatal(err)
	}
	got := make(map[uint64]*pb.Outcome)
	indexes := make(map[uint64]bool)
	for len(got) < n {
		resp, err := stream.Recv()
		if err != nil {
			t.Fatalf("after %d outcomes: %v", len(got), err)
		}
		for _, o := range resp.GetOutcomes() {
			if got[o.GetId()] != nil {
				t.Errorf("two outcomes of %d", o.GetId())
			}
			got[o.GetId()] = o
		}
	}
	for i := range n {
		o := got[uint64(100+i)]
		if i%5 == 4 {
			if o.GetResult() != nil || o.GetFailure().GetDetail().GetKind() != pb.ErrorDetail_KIND_INVALID {
				t.Errorf("command %d, cut short: %v", i, o)
			}
			continue
		}
		if o.GetFailure() != nil || o.GetResult().GetCode() != pb.Code_CODE_OK || o.GetAppliedIndex() == 0 {
			t.Errorf("command %d: %v", i, o)
		}
		indexes[o.GetAppliedIndex()] = true
	}
	if len(indexes) > n/2 {
		t.Errorf("%d log entries for %d commands that came together", len(indexes), n)
	}
	boxes, err := b.s.ListMailboxes(t.Context())
	if err != nil || len(boxes.GetMailboxes()) != 1+n*4/5 {
		t.Errorf("%d mailboxes, %v; want INBOX and %d", len(boxes.GetMailboxes()), err, n*4/5)
	}
}
