package client

import (
	"context"
	"errors"
	"io"
	"runtime"
	"sync"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	pb "github.com/quorumail/quorumail/proto/quorumail/v1"
)

const (
	// maxProposals and maxProposalBytes bound what goes into one message; a single
	// command may be larger, up to maxEntry.
	maxProposals     = 256
	maxProposalBytes = 512 << 10
	// maxEntry leaves room in the largest message that a node takes.
	maxEntry = maxRequest - 1<<10
)

// lane carries the commands of all sessions to one node, over one stream: those
// that are there at the same time share a message, and so do their outcomes. An RPC
// for each would cost both sides more than the command does.
//
// Its goroutine, run, opens the stream when there is something to send, and writes;
// a second one reads while the stream is open. A stream that breaks fails what is
// under way: whose outcome that was asks again with the same request id.
type lane struct {
	cc     *grpc.ClientConn
	ctx    context.Context // ends when the lane is closed
	cancel context.CancelFunc
	wake   chan struct{} // has an element when queue has
	ended  chan struct{} // closed when run has returned

	mu struct {
		sync.Mutex
		nextID uint64
		queue  []*call
		open   map[uint64]*call // sent, and not answered
	}
}

// call is one attempt of a command.
type call struct {
	p    *pb.Proposal // nil once nobody waits
	done chan answer  // has room for the one answer
}

type answer struct {
	outcome *pb.Outcome
	err     error
}

func newLane(cc *grpc.ClientConn) *lane {
	l := &lane{cc: cc, wake: make(chan struct{}, 1), ended: make(chan struct{})}
	l.ctx, l.cancel = context.WithCancel(context.Background())
	l.mu.open = make(map[uint64]*call)
	go l.run()
	return l
}

// close ends the lane and waits for that. What is under way fails.
func (l *lane) close() {
	l.cancel()
	<-l.ended
}

// propose sends an encoded entry to the node and waits for its outcome. Errors are
// statuses, of the command or of the stream.
func (l *lane) propose(ctx context.Context, route *pb.Route, entry []byte) (*pb.Outcome, error) {
	if len(entry) > maxEntry {
		return nil, status.Errorf(codes.ResourceExhausted, "command of %d octets, at most %d", len(entry), maxEntry)
	}
	c := &call{
		p:    &pb.Proposal{Shard: route.GetShard(), Epoch: route.GetEpoch(), Entry: entry},
		done: make(chan answer, 1),
	}
	l.mu.Lock()
	l.mu.nextID++
	id := l.mu.nextID
	c.p.Id = id
	l.mu.queue = append(l.mu.queue, c)
	l.mu.Unlock()
	select {
	case l.wake <- struct{}{}:
	default:
	}
	select {
	case a := <-c.done:
		if a.err != nil {
			return nil, a.err
		}
		return a.outcome, failureOf(a.outcome)
	case <-ctx.Done():
		l.abandon(id, c)
		return nil, status.FromContextError(ctx.Err()).Err()
	case <-l.ended:
		return nil, status.Error(codes.Unavailable, "the connection is closed")
	}
}

// failureOf is the status of a command that has no result.
func failureOf(o *pb.Outcome) error {
	f := o.GetFailure()
	if f == nil {
		return nil
	}
	st := status.New(codes.Code(f.GetCode()), f.GetMessage())
	if st.Code() == codes.OK {
		st = status.New(codes.Unknown, f.GetMessage())
	}
	if d := f.GetDetail(); d != nil {
		if detailed, err := st.WithDetails(d); err == nil {
			st = detailed
		}
	}
	return st.Err()
}

// abandon forgets a call that nobody waits for. One that has been sent may still be
// done: its session's next command settles that.
func (l *lane) abandon(id uint64, c *call) {
	l.mu.Lock()
	defer l.mu.Unlock()
	c.p = nil
	delete(l.mu.open, id)
}

// run opens the stream whenever there is something to send, until the lane is
// closed.
func (l *lane) run() {
	defer close(l.ended)
	for {
		select {
		case <-l.wake:
			l.fail(l.session())
		case <-l.ctx.Done():
			return
		}
	}
}

// session opens the stream and writes to it until it breaks, or the lane is closed.
func (l *lane) session() error {
	ctx, cancel := context.WithCancel(l.ctx)
	defer cancel()
	stream, err := pb.NewStoreServiceClient(l.cc).Propose(ctx)
	if err != nil {
		return err
	}
	var readErr error
	broken := make(chan struct{})
	go func() {
		defer close(broken)
		readErr = l.read(stream)
	}()
	err = l.write(stream, broken)
	if err != nil {
		cancel()
	}
	<-broken
	if err == nil {
		err = readErr
	}
	return err
}

// write sends what is queued. It returns nil when the stream has ended: then the
// reader knows why.
func (l *lane) write(stream pb.StoreService_ProposeClient, broken <-chan struct{}) error {
	for {
		for batch := l.take(); len(batch) > 0; batch = l.take() {
			if err := stream.Send(&pb.ProposeRequest{Proposals: batch}); errors.Is(err, io.EOF) {
				return nil
			} else if err != nil {
				return err
			}
		}
		select {
		case <-l.wake:
			// Others that are ready to run may have commands too.
			runtime.Gosched()
		case <-broken:
			return nil
		}
	}
}

// take removes from the queue what goes into one message.
func (l *lane) take() []*pb.Proposal {
	l.mu.Lock()
	defer l.mu.Unlock()
	var batch []*pb.Proposal
	n, size := 0, 0
	for _, c := range l.mu.queue {
		if c.p != nil {
			size += len(c.p.GetEntry())
			if len(batch) > 0 && (len(batch) >= maxProposals || size > maxProposalBytes) {
				break
			}
			batch = append(batch, c.p)
			l.mu.open[c.p.GetId()] = c
		}
		n++
	}
	rest := copy(l.mu.queue, l.mu.queue[n:])
	clear(l.mu.queue[rest:])
	l.mu.queue = l.mu.queue[:rest]
	return batch
}

// read hands outcomes to those who wait for them, until the stream ends.
func (l *lane) read(stream pb.StoreService_ProposeClient) error {
	for {
		resp, err := stream.Recv()
		if errors.Is(err, io.EOF) {
			return status.Error(codes.Unavailable, "the node has ended the stream")
		}
		if err != nil {
			return err
		}
		l.mu.Lock()
		for _, o := range resp.GetOutcomes() {
			if c, ok := l.mu.open[o.GetId()]; ok {
				delete(l.mu.open, o.GetId())
				c.done <- answer{outcome: o}
			}
		}
		l.mu.Unlock()
	}
}

// fail answers all calls, sent or not, with an error.
func (l *lane) fail(err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for id, c := range l.mu.open {
		delete(l.mu.open, id)
		c.done <- answer{err: err}
	}
	for _, c := range l.mu.queue {
		if c.p != nil {
			c.done <- answer{err: err}
		}
	}
	clear(l.mu.queue)
	l.mu.queue = l.mu.queue[:0]
}
