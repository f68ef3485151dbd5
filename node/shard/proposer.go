package shard

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hashicorp/raft"
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"

	pb "github.com/quorumail/quorumail/proto/quorumail/v1"
)

// proposer turns commands into log entries. Commands that wait while an entry is
// under way are proposed together, as one entry: it costs the log, the network
// and the library's queues what one command costs. A command that comes when
// nothing is under way is proposed at once; there is no timer. A second entry is
// begun before the first has landed only once the queue fills it: halves of a
// batch cost twice what the whole does, on each replica.
//
// Its two goroutines are send, which proposes, and settle, which waits for what
// was proposed, in order, and answers.
type proposer struct {
	limits Limits
	raft   *raft.Raft
	leader func() string

	sent    chan flight
	wake    chan struct{} // something is queued, or has landed
	closing chan struct{}
	settled chan struct{} // closed when nothing is under way, nor will be

	mu struct {
		sync.Mutex
		queue    []*proposal
		bytes    int64
		closed   bool
		entries  int         // that are under way
		underWay []*proposal // those in them
	}
}

// proposal is one command. data is an encoded pb.Entry, or, if raw, all of a log
// entry.
type proposal struct {
	data     []byte
	raw      bool
	done     func(outcome) // called once; must not wait
	answered atomic.Bool
}

type outcome struct {
	result any
	index  uint64
	err    error
}

// flight is a log entry under way.
type flight struct {
	future raft.ApplyFuture
	batch  []*proposal
}

func newProposer(l Limits, r *raft.Raft, leader func() string) *proposer {
	p := &proposer{
		limits: l, raft: r, leader: leader,
		sent:    make(chan flight, l.InFlight),
		wake:    make(chan struct{}, 1),
		closing: make(chan struct{}),
		settled: make(chan struct{}),
	}
	go p.send() // close waits for both, as far as the library lets it
	go p.settle()
	return p
}

// propose waits for the outcome of a command.
func (p *proposer) propose(ctx context.Context, data []byte, raw bool) (any, uint64, error) {
	if err := ctx.Err(); err != nil {
		return nil, 0, err
	}
	done := make(chan outcome, 1)
	pr := &proposal{data: data, raw: raw, done: func(o outcome) { done <- o }}
	if err := p.enqueue(pr); err != nil {
		return nil, 0, err
	}
	select {
	case o := <-done:
		return o.result, o.index, o.err
	case <-ctx.Done():
		if p.withdraw(pr) {
			return nil, 0, ctx.Err()
		}
		return nil, 0, fmt.Errorf("%w: %w", ErrUncertain, ctx.Err())
	}
}

func (p *proposer) enqueue(pr *proposal) error {
	if len(pr.data) > p.limits.MaxEntry {
		return fmt.Errorf("%w: %d octets, at most %d", ErrTooLarge, len(pr.data), p.limits.MaxEntry)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	switch {
	case p.mu.closed:
		return ErrStopped
	case len(p.mu.queue) >= p.limits.QueueOps || p.mu.bytes+int64(len(pr.data)) > p.limits.QueueBytes:
		return ErrOverloaded
	}
	p.mu.queue = append(p.mu.queue, pr)
	p.mu.bytes += int64(len(pr.data))
	p.nudge()
	return nil
}

// nudge has send look again.
func (p *proposer) nudge() {
	select {
	case p.wake <- struct{}{}:
	default:
	}
}

// withdraw takes a command out of the queue, if it is still there.
func (p *proposer) withdraw(pr *proposal) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	for i, q := range p.mu.queue {
		if q == pr {
			p.mu.queue = append(p.mu.queue[:i], p.mu.queue[i+1:]...)
			p.mu.bytes -= int64(len(pr.data))
			return true
		}
	}
	return false
}

// take removes from the queue what is to be proposed as one entry; nothing if it
// is too early for that.
func (p *proposer) take() []*proposal {
	p.mu.Lock()
	defer p.mu.Unlock()
	n, size := 0, 0
	for _, pr := range p.mu.queue {
		if n > 0 && (pr.raw || p.mu.queue[0].raw || n >= p.limits.BatchOps || size+len(pr.data) > p.limits.BatchBytes) {
			break
		}
		n++
		size += len(pr.data)
	}
	full := n < len(p.mu.queue) || n >= p.limits.BatchOps || size >= p.limits.BatchBytes
	if n == 0 || p.mu.entries > 0 && (!full || p.mu.entries >= p.limits.InFlight) {
		return nil
	}
	p.mu.entries++
	batch := make([]*proposal, n)
	copy(batch, p.mu.queue)
	p.mu.queue = append(p.mu.queue[:0], p.mu.queue[n:]...)
	clear(p.mu.queue[len(p.mu.queue) : len(p.mu.queue)+n])
	p.mu.bytes -= int64(size)
	p.mu.underWay = append(p.mu.underWay, batch...)
	return batch
}

// landed forgets a batch that was answered. It is the oldest under way.
func (p *proposer) landed(batch []*proposal) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.mu.entries--
	clear(p.mu.underWay[:len(batch)])
	p.mu.underWay = p.mu.underWay[len(batch):]
	p.nudge()
}

func (p *proposer) send() {
	defer close(p.sent)
	for {
		select {
		case <-p.wake:
		case <-p.closing:
			return
		}
		for batch := p.take(); len(batch) > 0; batch = p.take() {
			// It waits while the library writes to disk. Only its shutdown ends that.
			future := p.raft.ApplyLog(raft.Log{Data: encodeBatch(batch)}, 0)
			p.sent <- flight{future, batch} // has room for as many as are under way
		}
	}
}

// encodeBatch makes a log entry: a pb.EntryBatch of commands that are encoded
// already, or the one raw proposal.
func encodeBatch(batch []*proposal) []byte {
	if batch[0].raw {
		return batch[0].data
	}
	size := 0
	for _, pr := range batch {
		size += protowire.SizeTag(1) + protowire.SizeBytes(len(pr.data))
	}
	b := make([]byte, 0, size)
	for _, pr := range batch {
		b = protowire.AppendTag(b, 1, protowire.BytesType)
		b = protowire.AppendBytes(b, pr.data)
	}
	return b
}

func (p *proposer) settle() {
	defer close(p.settled)
	for f := range p.sent {
		err := f.future.Error()
		p.landed(f.batch)
		if err != nil {
			err = p.classify(err)
			for _, pr := range f.batch {
				pr.finish(outcome{err: err})
			}
			continue
		}
		p.answer(f)
	}
}

// finish answers a proposal; a second answer is dropped.
func (pr *proposal) finish(o outcome) {
	if !pr.answered.Swap(true) {
		pr.done(o)
	}
}

func (p *proposer) answer(f flight) {
	index := f.future.Index()
	switch resp := f.future.Response().(type) {
	case error:
		// Here it was not applied, but it is in the log.
		for _, pr := range f.batch {
			pr.finish(outcome{err: fmt.Errorf("%w: %w", ErrUncertain, resp)})
		}
	case []*pb.Result:
		for i, pr := range f.batch {
			o := outcome{index: index}
			if i < len(resp) {
				o.result = resp[i]
			} else {
				o.err = fmt.Errorf("%w: state machine gave %d results for %d commands", ErrUncertain, len(resp), len(f.batch))
			}
			pr.finish(o)
		}
	default:
		for _, pr := range f.batch {
			pr.finish(outcome{result: resp, index: index})
		}
	}
}

// classify says what an error of the library means for those who proposed.
func (p *proposer) classify(err error) error {
	switch {
	case errors.Is(err, raft.ErrNotLeader), errors.Is(err, raft.ErrLeadershipTransferInProgress):
		return &NotLeaderError{Leader: p.leader()}
	default: // leadership lost, shutdown, a failed write to the log
		return fmt.Errorf("%w: %w", ErrUncertain, err)
	}
}

// grace is how long a closing proposer waits for what is under way.
const grace = 300 * time.Millisecond

// close refuses what is queued and what comes, and waits a little for what is
// under way. Without a quorum that may never end.
func (p *proposer) close() {
	p.mu.Lock()
	p.mu.closed = true
	queue := p.mu.queue
	p.mu.queue, p.mu.bytes = nil, 0
	p.mu.Unlock()
	close(p.closing)
	for _, pr := range queue {
		pr.finish(outcome{err: ErrStopped})
	}
	p.wait()
}

func (p *proposer) wait() bool {
	t := time.NewTimer(grace)
	defer t.Stop()
	select {
	case <-p.settled:
		return true
	case <-t.C:
		return false
	}
}

// abandon answers what the library, which has shut down, has not: an entry that
// was committed in its last moment may be left in its queue to the state machine,
// and its future is then never resolved. Nothing outside can end the goroutine
// that waits for that; it holds one entry.
func (p *proposer) abandon() {
	if p.wait() {
		return
	}
	p.mu.Lock()
	left := p.mu.underWay
	p.mu.Unlock()
	for _, pr := range left {
		pr.finish(outcome{err: fmt.Errorf("%w: %w", ErrUncertain, ErrStopped)})
	}
}

// Propose has a command replicated and applied, and returns its result and the
// index at which reads see it. Leader only. Errors: *[NotLeaderError],
// [ErrOverloaded], [ErrUncertain], [ErrStopped], [ErrTooLarge], or the
// context's, if it ended before the command was proposed.
func (r *Replica) Propose(ctx context.Context, e *pb.Entry) (*pb.Result, uint64, error) {
	if err := r.checkLeader(); err != nil {
		return nil, 0, err
	}
	data, err := proto.Marshal(e)
	if err != nil {
		return nil, 0, fmt.Errorf("encode entry: %w", err)
	}
	result, index, err := r.proposer.propose(ctx, data, false)
	return asResult(outcome{result, index, err})
}

// asResult is the outcome of a command that was not raw.
func asResult(o outcome) (*pb.Result, uint64, error) {
	if o.err != nil {
		return nil, 0, o.err
	}
	res, ok := o.result.(*pb.Result)
	if !ok {
		return nil, 0, fmt.Errorf("%w: state machine answered with %T", ErrUncertain, o.result)
	}
	return res, o.index, nil
}

// Submit does the same as Propose with an encoded pb.Entry, but does not wait: done
// is called once, with what Propose would return, maybe before Submit returns. It
// must not wait either. The octets must be those of an entry, or others that are
// proposed together with it get no result; they must not be changed any more.
func (r *Replica) Submit(entry []byte, done func(*pb.Result, uint64, error)) {
	err := r.checkLeader()
	if err == nil {
		err = r.proposer.enqueue(&proposal{data: entry, done: func(o outcome) { done(asResult(o)) }})
	}
	if err != nil {
		done(nil, 0, err)
	}
}

// ProposeRaw has data replicated as one log entry, and returns what the state
// machine made of it. For state machines that do not take a pb.EntryBatch.
// Errors are those of Propose.
func (r *Replica) ProposeRaw(ctx context.Context, data []byte) (any, uint64, error) {
	if err := r.checkLeader(); err != nil {
		return nil, 0, err
	}
	return r.proposer.propose(ctx, data, true)
}
