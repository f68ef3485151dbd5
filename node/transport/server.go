package transport

import (
	"context"
	"errors"
	"io"
	"slices"
	"sync"
	"time"

	"github.com/hashicorp/raft"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	pb "github.com/quorumail/quorumail/proto/quorumail/v1"
)

// Metadata of a stream: who calls, whom, in which cluster.
const (
	metaFrom    = "quorumail-from"
	metaTo      = "quorumail-to"
	metaCluster = "quorumail-cluster"
)

const (
	// maxStreams bounds the streams that others have open here.
	maxStreams = 512
	// maxUnderWay bounds the requests of one stream that wait for a reply.
	maxUnderWay = 4096
	maxNodeID   = 255
)

// server serves RaftTransportService.
type server struct {
	pb.UnimplementedRaftTransportServiceServer
	m *Mux
}

// caller checks who calls whom.
func (m *Mux) caller(ctx context.Context) (string, error) {
	md, _ := metadata.FromIncomingContext(ctx)
	one := func(key string) string {
		if v := md.Get(key); len(v) == 1 {
			return v[0]
		}
		return ""
	}
	from := one(metaFrom)
	switch {
	case from == "" || len(from) > maxNodeID || from == m.cfg.NodeID:
		return "", status.Error(codes.InvalidArgument, "caller does not name itself")
	case one(metaTo) != m.cfg.NodeID:
		return "", status.Errorf(codes.FailedPrecondition, "this is node %q", m.cfg.NodeID)
	case one(metaCluster) != m.cfg.ClusterID:
		return "", status.Error(codes.FailedPrecondition, "this is another cluster")
	}
	return from, nil
}

// enter counts a stream in, if there is room for it.
func (m *Mux) enter() error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.mu.closed {
		return status.Error(codes.Unavailable, "node is stopping")
	}
	if m.mu.streams >= maxStreams {
		return status.Error(codes.ResourceExhausted, "too many streams")
	}
	m.mu.streams++
	return nil
}

func (m *Mux) leave() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.mu.streams--
}

// inbound is a stream that a peer has opened. Its reader hands requests to
// groups without waiting for any; a goroutine for each request waits for the
// group's reply; the writer sends replies. The gRPC handler waits for the
// writer; the reader ends when the handler has returned, and Mux.Close waits for
// it and for the requests.
type inbound struct {
	m       *Mux
	peer    string
	ctx     context.Context
	replies chan outgoing
	slots   chan struct{} // one for each request that waits for a reply
	beats   []beat        // the reader's: heartbeats of the message that is being read
}

// outgoing are replies to be written together.
type outgoing struct {
	frames []*pb.RaftFrame
	queued time.Time
}

// Exchange implements pb.RaftTransportServiceServer.
func (s *server) Exchange(stream pb.RaftTransportService_ExchangeServer) error {
	peer, err := s.m.caller(stream.Context())
	if err != nil {
		return err
	}
	if err := s.m.enter(); err != nil {
		return err
	}
	defer s.m.leave()
	if err := stream.SendHeader(metadata.MD{}); err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(stream.Context())
	defer cancel()
	in := &inbound{
		m: s.m, peer: peer, ctx: ctx,
		replies: make(chan outgoing, batchFrames),
		slots:   make(chan struct{}, maxUnderWay),
	}
	var writer sync.WaitGroup
	defer writer.Wait()
	defer cancel()
	done := make(chan error, 2)
	if !s.m.goOwned(func() { done <- in.read(stream) }) {
		return status.Error(codes.Unavailable, "node is stopping")
	}
	writer.Go(func() { done <- in.write(stream) })
	select {
	case err = <-done:
	case <-s.m.ctx.Done():
		err = status.Error(codes.Unavailable, "node is stopping")
	}
	return err
}

func (in *inbound) read(stream pb.RaftTransportService_ExchangeServer) error {
	var a assembler
	for {
		m, err := stream.Recv()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		for _, piece := range m.Frames {
			f, err := a.add(piece)
			if err != nil {
				return status.Error(codes.InvalidArgument, err.Error())
			}
			if f != nil {
				in.dispatch(f)
			}
		}
		in.takeBeats()
	}
}

func (in *inbound) write(stream pb.RaftTransportService_ExchangeServer) error {
	b := &batcher{send: func(list []outFrame) error {
		m := &pb.ExchangeResponse{}
		for _, f := range list {
			f.Payload = slices.Concat(f.payload...) // replies are small
			m.Frames = append(m.Frames, f.RaftFrame)
		}
		return stream.Send(m)
	}}
	for {
		select {
		case o := <-in.replies:
			for n, more := 0, true; more; n++ {
				if err := in.writeOne(b, o); err != nil {
					return err
				}
				more = false
				if n < batchFrames {
					select {
					case o = <-in.replies:
						more = true
					default:
					}
				}
			}
			if err := b.flush(); err != nil {
				return err
			}
		case <-in.ctx.Done():
			return in.ctx.Err()
		}
	}
}

func (in *inbound) writeOne(b *batcher, o outgoing) error {
	drop, delay := in.m.cfg.Faults.on(in.m.cfg.NodeID, in.peer)
	if delay > 0 {
		if err := b.flush(); err != nil {
			return err
		}
		if err := sleepUntil(in.ctx, o.queued.Add(delay)); err != nil {
			return err
		}
	}
	if drop {
		return nil
	}
	for _, f := range o.frames {
		payload := f.Payload
		f.Payload = nil
		if err := b.add(f, pieces{payload}); err != nil {
			return err
		}
	}
	return nil
}

// dispatch hands a request to its group. It does not wait.
func (in *inbound) dispatch(f *pb.RaftFrame) {
	g := in.m.group(f.Group)
	select {
	case in.slots <- struct{}{}:
	default:
		// A peer that has so many requests open is broken, and gets no answer: to
		// wait for room in replies here would let it stop the reader.
		return
	}
	if g == nil {
		in.answer(f, nil, "no replica of the group here")
		return
	}
	if f.Kind == pb.RaftFrame_KIND_CONFIRM {
		term, ok := g.term()
		if !ok {
			in.answer(f, nil, "replica is not running")
			return
		}
		b, err := proto.Marshal(&pb.RaftConfirmReply{Term: term})
		in.answer(f, b, errText(err))
		return
	}
	cmd, err := decodeRequest(f, in.peer)
	if err != nil {
		in.answer(f, nil, "malformed request: "+err.Error())
		return
	}
	replies := make(chan raft.RPCResponse, 1)
	rpc := raft.RPC{Command: cmd, RespChan: replies}
	if f.Kind == pb.RaftFrame_KIND_HEARTBEAT {
		if h := g.heartbeatHandler(); h != nil {
			if g.follows(cmd.(*raft.AppendEntriesRequest).Term) {
				in.beats = append(in.beats, beat{f, h, rpc, replies})
			} else {
				in.heartbeat(f, g, h, rpc, replies)
			}
			return
		}
	}
	g.lookAt(cmd)
	select {
	case g.inbox <- rpc:
		in.m.wg.Go(func() { in.finish(f, g, replies) })
	default:
		in.answer(f, nil, "replica is busy")
	}
}

// heartbeat calls the library's handler in a goroutine of its own: it writes to
// disk when the term is new.
func (in *inbound) heartbeat(f *pb.RaftFrame, g *Group, h func(raft.RPC), rpc raft.RPC, replies <-chan raft.RPCResponse) {
	in.m.wg.Go(func() {
		// Also if the handler ends this goroutine, as raftlog may.
		defer in.finish(f, g, replies)
		h(rpc)
	})
}

func (in *inbound) finish(f *pb.RaftFrame, g *Group, replies <-chan raft.RPCResponse) {
	select {
	case r := <-replies:
		if r.Error != nil {
			in.reply(f, nil, r.Error.Error())
			return
		}
		b, err := encodeReply(r.Response)
		in.reply(f, b, errText(err))
	case <-g.ctx.Done():
		in.reply(f, nil, "replica was stopped")
	case <-in.ctx.Done():
		<-in.slots
	}
}

// answer replies from the reader, which must not wait for the writer.
func (in *inbound) answer(f *pb.RaftFrame, payload []byte, problem string) {
	o := newReply(f, payload, problem)
	select {
	case in.replies <- o:
		<-in.slots
	default:
		in.m.wg.Go(func() { in.put(o) })
	}
}

func (in *inbound) reply(f *pb.RaftFrame, payload []byte, problem string) {
	in.put(newReply(f, payload, problem))
}

func (in *inbound) put(o outgoing) {
	select {
	case in.replies <- o:
	case <-in.ctx.Done():
	}
	for range o.frames {
		<-in.slots
	}
}

func newReply(f *pb.RaftFrame, payload []byte, problem string) outgoing {
	return outgoing{
		frames: []*pb.RaftFrame{replyTo(f, payload, problem)},
		queued: time.Now(),
	}
}

func replyTo(f *pb.RaftFrame, payload []byte, problem string) *pb.RaftFrame {
	return &pb.RaftFrame{Group: f.Group, Seq: f.Seq, Kind: f.Kind, Payload: payload, Error: problem}
}

func (g *Group) heartbeatHandler() func(raft.RPC) {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.mu.heartbeat
}

func decodeRequest(f *pb.RaftFrame, from string) (any, error) {
	switch f.Kind {
	case pb.RaftFrame_KIND_APPEND:
		return decodeAppend(f.Payload, from)
	case pb.RaftFrame_KIND_HEARTBEAT:
		return decodeHeartbeat(f.Payload, from)
	case pb.RaftFrame_KIND_VOTE:
		return decodeVote(f.Payload, from, false)
	case pb.RaftFrame_KIND_PRE_VOTE:
		return decodeVote(f.Payload, from, true)
	case pb.RaftFrame_KIND_TIMEOUT_NOW:
		return &raft.TimeoutNowRequest{RPCHeader: header(from)}, nil
	default:
		return nil, errors.New("unknown kind")
	}
}

func errText(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}
