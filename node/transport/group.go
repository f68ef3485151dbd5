package transport

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/hashicorp/raft"
	"google.golang.org/protobuf/proto"

	pb "github.com/quorumail/quorumail/proto/quorumail/v1"
)

var (
	_ raft.Transport   = (*Group)(nil)
	_ raft.WithPreVote = (*Group)(nil)
	_ raft.WithClose   = (*Group)(nil)
)

const (
	// inboxLen bounds the requests that wait for a group; more are refused.
	inboxLen = 64
	// bulkBytes is the size from which an append goes over the bulk link.
	bulkBytes = 64 << 10
	// appendBytes is about how much one append may carry; see trim.
	appendBytes = 8 << 20
	// slowestRate, in octets a second, gives large appends more time.
	slowestRate = 1 << 20
)

// Group is the raft.Transport of one group, pre-vote included.
type Group struct {
	mux    *Mux
	id     uint32
	inbox  chan raft.RPC
	ctx    context.Context // ends when the group or the Mux is closed
	cancel context.CancelFunc

	mu struct {
		sync.Mutex
		heartbeat func(raft.RPC)
		term      func() uint64
		follows   func(term uint64) bool
		appends   func(*raft.AppendEntriesRequest)
	}
}

func newGroup(m *Mux, id uint32) *Group {
	g := &Group{mux: m, id: id, inbox: make(chan raft.RPC, inboxLen)}
	g.ctx, g.cancel = context.WithCancel(m.ctx)
	return g
}

// Close implements raft.WithClose: the library calls it when its Raft has shut
// down. Requests under way fail; the next Mux.Group of the same id is a new one.
func (g *Group) Close() error {
	g.cancel()
	g.mux.forget(g)
	return nil
}

// Consumer implements raft.Transport.
func (g *Group) Consumer() <-chan raft.RPC { return g.inbox }

// LocalAddr implements raft.Transport; it is the node's id.
func (g *Group) LocalAddr() raft.ServerAddress { return raft.ServerAddress(g.mux.cfg.NodeID) }

// EncodePeer implements raft.Transport.
func (g *Group) EncodePeer(_ raft.ServerID, addr raft.ServerAddress) []byte { return []byte(addr) }

// DecodePeer implements raft.Transport.
func (g *Group) DecodePeer(b []byte) raft.ServerAddress { return raft.ServerAddress(b) }

// Deliver has the group's Raft take a request of this node's own as if a peer had
// sent it, after those that wait already. Nobody is told what it answers. It
// reports whether there was room.
func (g *Group) Deliver(request any) bool {
	select {
	case g.inbox <- raft.RPC{Command: request, RespChan: make(chan raft.RPCResponse, 1)}:
		return true
	default:
		return false
	}
}

// SetHeartbeatHandler implements raft.Transport.
func (g *Group) SetHeartbeatHandler(cb func(raft.RPC)) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.mu.heartbeat = cb
}

// SetTerm gives the group what it answers to Confirm of others: the term that
// its Raft is in. Before that it refuses to answer.
func (g *Group) SetTerm(term func() uint64) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.mu.term = term
}

// SetFollows gives the group what says whether its Raft follows in a term: then it
// takes heartbeats of that term without a write to disk. Before that, or without,
// each heartbeat is thought to write.
func (g *Group) SetFollows(follows func(term uint64) bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.mu.follows = follows
}

// SetAppends gives the group what is to look at each append of a peer, heartbeats not
// counted, before its Raft does, and may change it. It is called by the goroutine that
// reads from the peer, and must not wait.
func (g *Group) SetAppends(look func(*raft.AppendEntriesRequest)) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.mu.appends = look
}

func (g *Group) lookAt(command any) {
	g.mu.Lock()
	look := g.mu.appends
	g.mu.Unlock()
	if req, ok := command.(*raft.AppendEntriesRequest); ok && look != nil {
		look(req)
	}
}

func (g *Group) follows(term uint64) bool {
	g.mu.Lock()
	f := g.mu.follows
	g.mu.Unlock()
	return f != nil && f(term)
}

func (g *Group) term() (uint64, bool) {
	g.mu.Lock()
	f := g.mu.term
	g.mu.Unlock()
	if f == nil {
		return 0, false
	}
	return f(), true
}

// roundTrip sends a request and returns the reply's payload.
func (g *Group) roundTrip(peer string, bulk bool, kind pb.RaftFrame_Kind, payload pieces, timeout time.Duration) ([]byte, error) {
	l, err := g.mux.link(peer, bulk)
	if err != nil {
		return nil, err
	}
	t := time.NewTimer(timeout)
	defer t.Stop()
	c, err := l.start(g.id, kind, payload, kind == pb.RaftFrame_KIND_HEARTBEAT, t.C, g.ctx.Done())
	if err != nil {
		return nil, err
	}
	return l.wait(c, t.C, g.ctx.Done())
}

func (g *Group) appendTimeout(size int) time.Duration {
	return g.mux.cfg.RPCTimeout + time.Duration(size)*time.Second/slowestRate
}

// AppendEntries implements raft.Transport.
func (g *Group) AppendEntries(id raft.ServerID, _ raft.ServerAddress, args *raft.AppendEntriesRequest, resp *raft.AppendEntriesResponse) error {
	peer := string(id)
	if isHeartbeat(args) {
		payload, err := proto.Marshal(&pb.RaftHeartbeat{Term: args.Term})
		if err != nil {
			return err
		}
		b, err := g.roundTrip(peer, false, pb.RaftFrame_KIND_HEARTBEAT, pieces{payload}, g.mux.cfg.HeartbeatTimeout)
		if err != nil {
			return err
		}
		return decodeAppendReply(b, peer, resp)
	}
	trim(args)
	payload := encodeAppend(args)
	size := payload.size()
	b, err := g.roundTrip(peer, size > bulkBytes, pb.RaftFrame_KIND_APPEND, payload, g.appendTimeout(size))
	if err != nil {
		return err
	}
	return decodeAppendReply(b, peer, resp)
}

// trim takes entries off the end of a request that is too large. The library
// counts entries, not octets, but it goes on after the last entry that is in
// the request when the call returns, wherever that is.
func trim(args *raft.AppendEntriesRequest) {
	size := 0
	for i, e := range args.Entries {
		size += len(e.Data) + len(e.Extensions)
		if size > appendBytes && i > 0 {
			args.Entries = args.Entries[:i]
			return
		}
	}
}

// RequestVote implements raft.Transport.
func (g *Group) RequestVote(id raft.ServerID, _ raft.ServerAddress, args *raft.RequestVoteRequest, resp *raft.RequestVoteResponse) error {
	r, err := g.vote(string(id), pb.RaftFrame_KIND_VOTE, &pb.RaftVote{
		Term: args.Term, LastLogIndex: args.LastLogIndex, LastLogTerm: args.LastLogTerm, LeadershipTransfer: args.LeadershipTransfer,
	})
	if err != nil {
		return err
	}
	*resp = raft.RequestVoteResponse{RPCHeader: header(string(id)), Term: r.Term, Granted: r.Granted}
	return nil
}

// RequestPreVote implements raft.WithPreVote.
func (g *Group) RequestPreVote(id raft.ServerID, _ raft.ServerAddress, args *raft.RequestPreVoteRequest, resp *raft.RequestPreVoteResponse) error {
	r, err := g.vote(string(id), pb.RaftFrame_KIND_PRE_VOTE, &pb.RaftVote{
		Term: args.Term, LastLogIndex: args.LastLogIndex, LastLogTerm: args.LastLogTerm,
	})
	if err != nil {
		return err
	}
	*resp = raft.RequestPreVoteResponse{RPCHeader: header(string(id)), Term: r.Term, Granted: r.Granted}
	return nil
}

func (g *Group) vote(peer string, kind pb.RaftFrame_Kind, v *pb.RaftVote) (*pb.RaftVoteReply, error) {
	payload, err := proto.Marshal(v)
	if err != nil {
		return nil, err
	}
	b, err := g.roundTrip(peer, false, kind, pieces{payload}, g.mux.cfg.HeartbeatTimeout)
	if err != nil {
		return nil, err
	}
	r := &pb.RaftVoteReply{}
	return r, proto.Unmarshal(b, r)
}

// TimeoutNow implements raft.Transport.
func (g *Group) TimeoutNow(id raft.ServerID, _ raft.ServerAddress, _ *raft.TimeoutNowRequest, resp *raft.TimeoutNowResponse) error {
	_, err := g.roundTrip(string(id), false, pb.RaftFrame_KIND_TIMEOUT_NOW, nil, g.mux.cfg.RPCTimeout)
	*resp = raft.TimeoutNowResponse{RPCHeader: header(string(id))}
	return err
}

// Errors of Confirm.
var (
	// ErrDeposed: a voter is in a later term.
	ErrDeposed = errors.New("transport: a later term has begun")
	// ErrNoQuorum: too few voters have answered.
	ErrNoQuorum = errors.New("transport: no quorum answers")
)

// Confirm asks the other voters in which term they are, and returns nil when a
// quorum, this node counted if it votes, has answered with a term not above
// term: then no leader of a later term had been elected when Confirm was
// called, for that takes a quorum in the later term, and any two have a voter in
// common whose term never falls.
//
// The library's VerifyLeader does not give this: any reply to any earlier
// append or heartbeat satisfies it, also one that lay in a socket while this
// process was stopped and another leader was elected. It would also go through
// the library's main goroutine, which waits for the disk.
func (g *Group) Confirm(ctx context.Context, term uint64, voters []raft.ServerID) error {
	need := len(voters)/2 + 1
	payload, err := proto.Marshal(&pb.RaftConfirm{})
	if err != nil {
		return err
	}
	t := time.NewTimer(g.mux.cfg.HeartbeatTimeout)
	defer t.Stop()
	replies := make(chan reply, len(voters))
	var calls []func()
	defer func() {
		for _, abandon := range calls {
			abandon()
		}
	}()
	for _, v := range voters {
		if string(v) == g.mux.cfg.NodeID {
			need--
			continue
		}
		l, err := g.mux.link(string(v), false)
		if err != nil {
			return err
		}
		c := &call{frame: &pb.RaftFrame{Group: g.id, Kind: pb.RaftFrame_KIND_CONFIRM, Payload: payload}, queued: time.Now(), reply: replies}
		select {
		case l.queue <- c:
			calls = append(calls, func() { l.abandon(c) })
		default: // a full queue is as good as no answer
		}
	}
	for left := len(calls); need > 0; left-- {
		if left < need {
			return ErrNoQuorum
		}
		select {
		case r := <-replies:
			switch later, err := confirmReply(r); {
			case err != nil: // does not count
			case later > term:
				return fmt.Errorf("%w: %d", ErrDeposed, later)
			default:
				need--
			}
		case <-t.C:
			return ErrNoQuorum
		case <-g.ctx.Done():
			return ErrClosed
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return nil
}

func confirmReply(r reply) (term uint64, err error) {
	if r.err != nil {
		return 0, r.err
	}
	var m pb.RaftConfirmReply
	if err := proto.Unmarshal(r.payload, &m); err != nil {
		return 0, err
	}
	if m.Term == 0 {
		return 0, errFrame
	}
	return m.Term, nil
}
