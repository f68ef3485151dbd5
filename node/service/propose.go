package service

import (
	"context"
	"errors"
	"io"
	"sync"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	pb "github.com/quorumail/quorumail/proto/quorumail/v1"
	"github.com/quorumail/quorumail/raftfsm"
)

const (
	// maxOpen bounds the commands of one stream whose outcome has not been sent. A
	// sender that does not take outcomes is not read from beyond that.
	maxOpen = 4096
	// maxOutcomes and maxOutcomeBytes bound one message of outcomes.
	maxOutcomes     = 512
	maxOutcomeBytes = 1 << 20
)

// proposeStream is one call of Propose. Its handler's goroutine sends; a second one
// receives, and hands commands to replicas without waiting for any.
type proposeStream struct {
	s     *storeServer
	ctx   context.Context // the stream's
	slots chan struct{}   // has an element for each command whose outcome is not sent
	wake  chan struct{}   // has an element when there is something to take

	mu struct {
		sync.Mutex
		outcomes []*pb.Outcome
	}
}

// Propose implements StoreService.
func (s *storeServer) Propose(stream pb.StoreService_ProposeServer) error {
	p := &proposeStream{
		s: s, ctx: stream.Context(),
		slots: make(chan struct{}, maxOpen), wake: make(chan struct{}, 1),
	}
	ended := make(chan error, 1)
	// It ends once the handler has returned: that ends Recv.
	s.receivers.Go(func() { ended <- p.receive(stream) })
	return p.send(stream, ended)
}

// send sends outcomes until the stream ends. A node that stops tells what has
// become of the commands it has taken before it ends the stream.
func (p *proposeStream) send(stream pb.StoreService_ProposeServer, ended <-chan error) error {
	closing := p.s.closing
	stopping := false
	for {
		select {
		case <-p.wake:
		case err := <-ended:
			return err
		case <-p.ctx.Done():
			return status.FromContextError(p.ctx.Err()).Err()
		case <-closing:
			closing, stopping = nil, true
		}
		for outcomes := p.take(); len(outcomes) > 0; outcomes = p.take() {
			if err := p.sendAll(stream, outcomes); err != nil {
				return err
			}
		}
		if stopping && len(p.slots) == 0 {
			return notReady("", "the node is stopping")
		}
	}
}

func (p *proposeStream) sendAll(stream pb.StoreService_ProposeServer, outcomes []*pb.Outcome) error {
	for len(outcomes) > 0 {
		n, size := 0, 0
		for n < len(outcomes) && n < maxOutcomes && (n == 0 || size < maxOutcomeBytes) {
			size += proto.Size(outcomes[n])
			n++
		}
		if err := stream.Send(&pb.ProposeResponse{Outcomes: outcomes[:n]}); err != nil {
			return err
		}
		for range n {
			<-p.slots
		}
		outcomes = outcomes[n:]
	}
	return nil
}

func (p *proposeStream) take() []*pb.Outcome {
	p.mu.Lock()
	defer p.mu.Unlock()
	outcomes := p.mu.outcomes
	p.mu.outcomes = nil
	return outcomes
}

// put has an outcome sent. It does not wait.
func (p *proposeStream) put(o *pb.Outcome) {
	p.mu.Lock()
	p.mu.outcomes = append(p.mu.outcomes, o)
	p.mu.Unlock()
	select {
	case p.wake <- struct{}{}:
	default:
	}
}

func (p *proposeStream) receive(stream pb.StoreService_ProposeServer) error {
	for {
		req, err := stream.Recv()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		for _, one := range req.GetProposals() {
			select {
			case p.slots <- struct{}{}:
			case <-p.ctx.Done():
				return status.FromContextError(p.ctx.Err()).Err()
			}
			p.propose(one)
		}
	}
}

// propose hands a command to its replica.
func (p *proposeStream) propose(one *pb.Proposal) {
	sh, err := p.s.admit(one)
	if err != nil {
		p.put(failed(one.GetId(), err))
		return
	}
	sh.Replica.Submit(one.GetEntry(), func(res *pb.Result, index uint64, err error) {
		if err != nil {
			p.put(failed(one.GetId(), replicaError(sh.Replica, err)))
			return
		}
		p.put(&pb.Outcome{Id: one.GetId(), Result: res, AppliedIndex: index})
	})
}

// admit finds the shard that a command is for, or says why it cannot be proposed
// here.
func (s *storeServer) admit(one *pb.Proposal) (*Shard, error) {
	// What cannot be decoded must not come into the log: those that share a log
	// entry with it would be lost too.
	e, err := raftfsm.DecodeEntry(one.GetEntry())
	if err != nil {
		return nil, invalid("malformed entry")
	}
	if e.GetOp() == nil {
		return nil, invalid("entry without operation")
	}
	route := pb.Route{Account: e.GetAccount(), Actor: e.GetActor(), Shard: one.GetShard(), Epoch: one.GetEpoch()}
	sh, err := s.route(&route)
	if err != nil {
		return nil, err
	}
	// Who does not lead says who does, as always: another node may have room.
	if why := s.host.ReadOnly(); why != "" && sh.Replica.IsLeader() {
		return nil, failure(codes.Unavailable, &pb.ErrorDetail{Kind: pb.ErrorDetail_KIND_READ_ONLY}, why)
	}
	return sh, nil
}

// failed is the outcome of a command that has no result.
func failed(id uint64, err error) *pb.Outcome {
	st := status.Convert(err)
	return &pb.Outcome{Id: id, Failure: &pb.Failure{Code: uint32(st.Code()), Message: st.Message(), Detail: detailOf(err)}}
}
