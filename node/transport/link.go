package transport

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/mem"
	"google.golang.org/grpc/metadata"

	"github.com/quorumail/quorumail/proto/framecodec"
	pb "github.com/quorumail/quorumail/proto/quorumail/v1"
)

type linkKey struct {
	peer string
	bulk bool
}

const (
	controlQueue = 1024
	bulkQueue    = 32
	minBackoff   = 50 * time.Millisecond
	maxBackoff   = time.Second
)

// call is a request under way.
type call struct {
	frame   *pb.RaftFrame // without its payload
	payload pieces
	queued  time.Time
	patient bool       // may wait for company; see Config.Linger
	reply   chan reply // has room for the one reply
	gone    atomic.Bool
}

type reply struct {
	payload []byte
	err     error
}

func (c *call) answer(r reply) {
	select {
	case c.reply <- r:
	default:
	}
}

// link is one connection and stream to a peer, opened when there is something
// to send. Its goroutine, run, owns the stream and writes; a second one reads
// while the stream is open.
type link struct {
	mux   *Mux
	key   linkKey
	queue chan *call
	reset chan struct{} // open the stream anew
	// owed is when the first request was written that was followed by no frame of
	// the peer, in nanoseconds since 1970; 0 if the peer has said something since.
	owed atomic.Int64

	mu struct {
		sync.Mutex
		seq     uint64
		pending map[uint64]*call
	}
}

func newLink(m *Mux, key linkKey) *link {
	n := controlQueue
	if key.bulk {
		n = bulkQueue
	}
	l := &link{mux: m, key: key, queue: make(chan *call, n), reset: make(chan struct{}, 1)}
	l.mu.pending = make(map[uint64]*call)
	return l
}

// start queues a request. It waits for room, at most for as long as timeout
// lasts or until closed is.
func (l *link) start(group uint32, kind pb.RaftFrame_Kind, payload pieces, patient bool, timeout <-chan time.Time, closed <-chan struct{}) (*call, error) {
	c := &call{
		frame:   &pb.RaftFrame{Group: group, Kind: kind},
		payload: payload,
		queued:  time.Now(),
		patient: patient,
		reply:   make(chan reply, 1),
	}
	select {
	case l.queue <- c:
		return c, nil
	default:
	}
	select {
	case l.queue <- c:
		return c, nil
	case <-timeout:
		return nil, ErrTimeout
	case <-closed:
		return nil, ErrClosed
	}
}

// wait returns the reply of a request.
func (l *link) wait(c *call, timeout <-chan time.Time, closed <-chan struct{}) ([]byte, error) {
	var err error
	select {
	case r := <-c.reply:
		return r.payload, r.err
	case <-timeout:
		err = ErrTimeout
	case <-closed:
		err = ErrClosed
	}
	l.abandon(c)
	return nil, err
}

// abandon forgets a request that nobody waits for.
func (l *link) abandon(c *call) {
	c.gone.Store(true)
	l.mu.Lock()
	defer l.mu.Unlock()
	if c.frame.Seq != 0 {
		delete(l.mu.pending, c.frame.Seq)
	}
}

// run opens the stream whenever there is something to send, until the Mux is
// closed.
func (l *link) run() {
	backoff := minBackoff
	for {
		select {
		case <-l.mux.ctx.Done():
			l.failQueue(ErrClosed)
			return
		case first := <-l.queue:
			began := time.Now()
			err := l.session(first)
			l.failPending(err)
			l.mux.cfg.Log.Debug("raft link ended", "peer", l.key.peer, "bulk", l.key.bulk, "error", err)
			if time.Since(began) > 2*maxBackoff {
				backoff = minBackoff
			}
			l.pause(backoff/2+rand.N(backoff), err)
			backoff = min(2*backoff, maxBackoff)
		}
	}
}

// pause fails what comes for a while, so that nobody waits for a peer that is
// known to be away.
func (l *link) pause(d time.Duration, cause error) {
	t := time.NewTimer(d)
	defer t.Stop()
	for {
		select {
		case c := <-l.queue:
			c.answer(reply{err: cause})
		case <-t.C:
			return
		case <-l.mux.ctx.Done():
			return
		}
	}
}

func (l *link) failQueue(err error) {
	for {
		select {
		case c := <-l.queue:
			c.answer(reply{err: err})
		default:
			return
		}
	}
}

func (l *link) failPending(err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for seq, c := range l.mu.pending {
		c.answer(reply{err: err})
		delete(l.mu.pending, seq)
	}
}

// session opens the stream and writes to it until it breaks.
func (l *link) session(first *call) (err error) {
	defer func() { err = fmt.Errorf("%w: %s: %w", ErrUnreachable, l.key.peer, err) }()
	select {
	case <-l.reset:
	default:
	}
	ctx, cancel := context.WithCancel(l.mux.ctx)
	defer cancel()
	stream, conn, err := l.open(ctx, cancel)
	if err != nil {
		first.answer(reply{err: fmt.Errorf("%w: %s: %w", ErrUnreachable, l.key.peer, err)})
		return err
	}
	l.owed.Store(0)
	readErr := make(chan error, 1)
	var reader sync.WaitGroup
	reader.Go(func() { readErr <- l.read(stream) })
	defer reader.Wait()
	defer conn.Close()
	defer cancel()
	return l.write(ctx, stream, first, readErr)
}

// open dials and starts the stream. A peer that does not answer is given up soon:
// its address may have changed, and callers wait.
func (l *link) open(ctx context.Context, cancel context.CancelFunc) (pb.RaftTransportService_ExchangeClient, *grpc.ClientConn, error) {
	conn, err := l.mux.dial(l.key.peer)
	if err != nil {
		return nil, nil, err
	}
	stop := time.AfterFunc(2*l.mux.cfg.HeartbeatTimeout, cancel)
	stream, err := pb.NewRaftTransportServiceClient(conn).Exchange(l.mux.outgoing(ctx, l.key.peer))
	if err == nil {
		// The server sends its header when it has accepted the stream.
		_, err = stream.Header()
	}
	if !stop.Stop() && err == nil {
		err = ErrTimeout
	}
	if err != nil {
		return nil, nil, errors.Join(err, conn.Close())
	}
	return stream, conn, nil
}

// outgoing adds who calls whom to the metadata.
func (m *Mux) outgoing(ctx context.Context, peer string) context.Context {
	return metadata.AppendToOutgoingContext(ctx, metaFrom, m.cfg.NodeID, metaTo, peer, metaCluster, m.cfg.ClusterID)
}

func (l *link) write(ctx context.Context, stream pb.RaftTransportService_ExchangeClient, c *call, readErr <-chan error) error {
	b := &batcher{send: func(f []outFrame) error {
		list, err := encodeFrames(f)
		if err != nil {
			return err
		}
		data := make(mem.BufferSlice, len(list))
		for i, part := range list {
			data[i] = mem.SliceBuffer(part)
		}
		return stream.SendMsg(&framecodec.Frame{Data: data})
	}}
	watch := time.NewTicker(l.mux.cfg.HeartbeatTimeout)
	defer watch.Stop()
	linger, lingers := time.NewTimer(0), true // until patient requests are sent
	defer linger.Stop()
	for {
		wait := l.mux.cfg.Linger > 0
		for n := 0; c != nil; n++ {
			wait = wait && c.patient
			if err := l.writeOne(ctx, b, c); err != nil {
				return err
			}
			c = nil
			if n < batchFrames {
				select {
				case c = <-l.queue:
				default:
				}
			}
		}
		switch {
		case !wait || len(b.frames) >= batchFrames:
			if err := b.flush(); err != nil {
				return err
			}
		case len(b.frames) > 0 && !lingers:
			linger.Reset(l.mux.cfg.Linger)
			lingers = true
		}
		select {
		case c = <-l.queue:
		case <-linger.C:
			lingers = false
			if err := b.flush(); err != nil {
				return err
			}
		case err := <-readErr:
			return err
		case <-l.reset:
			return errors.New("reset")
		case <-watch.C:
			if l.stalled() {
				l.mux.resetLinks(l.key.peer)
				return errors.New("peer does not answer")
			}
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

func (l *link) writeOne(ctx context.Context, b *batcher, c *call) error {
	if c.gone.Load() {
		return nil
	}
	drop, delay := l.mux.cfg.Faults.on(l.mux.cfg.NodeID, l.key.peer)
	if delay > 0 {
		if err := b.flush(); err != nil {
			return err
		}
		if err := sleepUntil(ctx, c.queued.Add(delay)); err != nil {
			return err
		}
	}
	l.mu.Lock()
	l.mu.seq++
	c.frame.Seq = l.mu.seq
	l.mu.pending[c.frame.Seq] = c
	l.mu.Unlock()
	if c.gone.Load() {
		l.abandon(c)
		return nil
	}
	l.owed.CompareAndSwap(0, time.Now().UnixNano())
	if drop {
		return nil
	}
	return b.add(c.frame, c.payload)
}

// stalled says whether the peer owes a reply and has been silent for long. On
// the bulk link that may only mean that it is busy, or the network slow.
func (l *link) stalled() bool {
	if l.key.bulk {
		return false
	}
	owed := l.owed.Load()
	return owed != 0 && time.Since(time.Unix(0, owed)) > 3*l.mux.cfg.HeartbeatTimeout
}

// resetLinks opens the links to a peer anew.
func (m *Mux) resetLinks(peer string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if l, ok := m.mu.links[linkKey{peer, true}]; ok {
		select {
		case l.reset <- struct{}{}:
		default:
		}
	}
}

// read hands replies to those who wait for them.
func (l *link) read(stream pb.RaftTransportService_ExchangeClient) error {
	var a assembler
	for {
		m, err := stream.Recv()
		if errors.Is(err, io.EOF) {
			return errors.New("closed by the peer")
		}
		if err != nil {
			return err
		}
		l.owed.Store(0)
		for _, piece := range m.Frames {
			f, err := a.add(piece)
			if err != nil {
				return err
			}
			if f != nil {
				l.deliver(f)
			}
		}
	}
}

func (l *link) deliver(f *pb.RaftFrame) {
	l.mu.Lock()
	c := l.mu.pending[f.Seq]
	delete(l.mu.pending, f.Seq)
	l.mu.Unlock()
	switch {
	case c == nil: // nobody waits any more
	case f.Group != c.frame.Group || f.Kind != c.frame.Kind:
		c.answer(reply{err: errFrame})
	case f.Error != "":
		c.answer(reply{err: fmt.Errorf("transport: %s: %s", l.key.peer, f.Error)})
	default:
		c.answer(reply{payload: f.Payload})
	}
}

func sleepUntil(ctx context.Context, at time.Time) error {
	t := time.NewTimer(time.Until(at))
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
