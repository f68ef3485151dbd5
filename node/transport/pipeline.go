package transport

import (
	"context"
	"time"

	"github.com/hashicorp/raft"

	pb "github.com/quorumail/quorumail/proto/quorumail/v1"
)

const (
	// window is how many appends of a pipeline are under way at most. The library
	// defaults to 2, since more delay small appends behind large ones; here large
	// ones have their own link.
	window = 4
	// smallInRow small appends bring a pipeline back from the bulk link.
	smallInRow = 16
)

// pipeline implements raft.AppendPipeline. Its appends go over one link at a
// time, since two links do not keep their order; it changes when none is under
// way. One goroutine waits for replies and passes them on in order.
type pipeline struct {
	g      *Group
	peer   string
	slots  chan struct{} // one for each append under way
	order  chan *future
	done   chan raft.AppendFuture
	ctx    context.Context // ends when the pipeline or the group is closed
	cancel context.CancelFunc

	// Used by AppendEntries only, which the library calls from one goroutine.
	bulk  bool
	small int // small appends in a row on the bulk link
}

// AppendEntriesPipeline implements raft.Transport.
func (g *Group) AppendEntriesPipeline(id raft.ServerID, _ raft.ServerAddress) (raft.AppendPipeline, error) {
	p := &pipeline{
		g: g, peer: string(id),
		slots: make(chan struct{}, window),
		order: make(chan *future, window),
		done:  make(chan raft.AppendFuture, window),
	}
	p.ctx, p.cancel = context.WithCancel(g.ctx)
	if !g.mux.goOwned(p.run) {
		p.cancel()
		return nil, ErrClosed
	}
	return p, nil
}

// AppendEntries implements raft.AppendPipeline. It waits while the window is
// full.
func (p *pipeline) AppendEntries(args *raft.AppendEntriesRequest, resp *raft.AppendEntriesResponse) (raft.AppendFuture, error) {
	trim(args)
	payload := encodeAppend(args)
	size := payload.size()
	if err := p.choose(size > bulkBytes); err != nil {
		return nil, err
	}
	if !p.acquire() {
		return nil, ErrClosed
	}
	l, err := p.g.mux.link(p.peer, p.bulk)
	if err != nil {
		return nil, err
	}
	f := &future{start: time.Now(), args: args, resp: resp, link: l, ready: make(chan struct{})}
	f.timer = time.NewTimer(p.g.appendTimeout(size))
	if f.call, err = l.start(p.g.id, pb.RaftFrame_KIND_APPEND, payload, len(args.Entries) == 0, f.timer.C, p.ctx.Done()); err != nil {
		f.timer.Stop()
		return nil, err
	}
	p.order <- f // has room: there are as many slots
	if p.ctx.Err() != nil {
		l.abandon(f.call) // run may have missed it
	}
	return f, nil
}

// choose takes the link for an append that is large or not.
func (p *pipeline) choose(large bool) error {
	if p.bulk && !large {
		p.small++
	} else {
		p.small = 0
	}
	want := large || p.bulk && p.small < smallInRow
	if want == p.bulk {
		return nil
	}
	for range window { // all slots: nothing is under way
		if !p.acquire() {
			return ErrClosed
		}
	}
	for range window {
		<-p.slots
	}
	p.bulk, p.small = want, 0
	return nil
}

func (p *pipeline) acquire() bool {
	select {
	case p.slots <- struct{}{}:
		return true
	case <-p.ctx.Done():
		return false
	}
}

func (p *pipeline) run() {
	defer p.abandon()
	for {
		select {
		case f := <-p.order:
			f.finish(p.ctx.Done())
			<-p.slots
			select {
			case p.done <- f:
			case <-p.ctx.Done():
				return
			}
		case <-p.ctx.Done():
			return
		}
	}
}

// abandon forgets what is under way.
func (p *pipeline) abandon() {
	for {
		select {
		case f := <-p.order:
			f.link.abandon(f.call)
		default:
			return
		}
	}
}

// Consumer implements raft.AppendPipeline.
func (p *pipeline) Consumer() <-chan raft.AppendFuture { return p.done }

// Close implements raft.AppendPipeline.
func (p *pipeline) Close() error {
	p.cancel()
	return nil
}

// future implements raft.AppendFuture.
type future struct {
	start time.Time
	args  *raft.AppendEntriesRequest
	resp  *raft.AppendEntriesResponse
	link  *link
	call  *call
	timer *time.Timer
	ready chan struct{} // closed when err and resp are set
	err   error
}

// finish waits for the reply. Without one the response stays empty, which the
// library, not looking at the error, takes for a refusal; it then leaves the
// pipeline.
func (f *future) finish(closed <-chan struct{}) {
	b, err := f.link.wait(f.call, f.timer.C, closed)
	f.timer.Stop()
	if err == nil {
		err = decodeAppendReply(b, f.link.key.peer, f.resp)
	}
	f.err = err
	close(f.ready)
}

func (f *future) Error() error {
	<-f.ready
	return f.err
}

func (f *future) Start() time.Time { return f.start }

func (f *future) Request() *raft.AppendEntriesRequest { return f.args }

func (f *future) Response() *raft.AppendEntriesResponse { return f.resp }
