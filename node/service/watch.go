package service

import (
	"context"
	"errors"
	"io"
	"sync"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/quorumail/quorumail/proto/imapnum"
	pb "github.com/quorumail/quorumail/proto/quorumail/v1"
	"github.com/quorumail/quorumail/raftfsm"
)

const (
	// maxWatches bounds the accounts of one stream.
	maxWatches = 100_000
	// leaderless is how long a replica may know no leader before its watches are
	// sent elsewhere: it may be cut off, and then it learns of nothing. An election
	// is over sooner.
	leaderless = 5 * time.Second
)

// watchStream is one call of Watch. Its handler's goroutine sends; a second one
// receives, and owns the first group of fields.
type watchStream struct {
	watches map[uint64]*watch
	shard   *Shard    // the last one subscribed to
	lost    time.Time // since when shard has known no leader; zero: it knows one

	s      *storeServer
	stream pb.StoreService_WatchServer
	wake   chan struct{} // has an element when there is something to take

	mu struct {
		sync.Mutex
		ready []*watch // those with something pending
		pong  *pb.WatchResponse
	}
}

// Watch implements StoreService.
func (s *storeServer) Watch(stream pb.StoreService_WatchServer) error {
	w := &watchStream{
		watches: make(map[uint64]*watch),
		s:       s, stream: stream, wake: make(chan struct{}, 1),
	}
	ended := make(chan error, 1)
	// It ends once the handler has returned: that ends Recv.
	s.receivers.Go(func() {
		err := w.receive()
		for _, one := range w.watches {
			one.leave()
		}
		ended <- err
	})
	return w.send(ended)
}

// send sends what is pending until the stream ends.
func (w *watchStream) send(ended <-chan error) error {
	for {
		select {
		case <-w.wake:
		case err := <-ended:
			return err
		case <-w.stream.Context().Done():
			return status.FromContextError(w.stream.Context().Err()).Err()
		case <-w.s.closing:
			return notReady("", "the node is stopping")
		}
		for _, ev := range w.take() {
			if err := w.stream.Send(ev); err != nil {
				return err
			}
		}
	}
}

// take returns the events that are pending; they are told from now on.
func (w *watchStream) take() []*pb.WatchResponse {
	w.mu.Lock()
	defer w.mu.Unlock()
	events := make([]*pb.WatchResponse, 0, len(w.mu.ready)+1)
	if w.mu.pong != nil {
		events = append(events, w.mu.pong)
		w.mu.pong = nil
	}
	for i, one := range w.mu.ready {
		one.told = max(one.told, one.pending.GetModSeq())
		events = append(events, one.pending)
		one.pending, w.mu.ready[i] = nil, nil
	}
	w.mu.ready = w.mu.ready[:0]
	return events
}

func (w *watchStream) receive() error {
	for {
		req, err := w.stream.Recv()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		switch {
		case req.GetWatchId() == 0:
			err = w.ping()
		case req.GetRoute() == nil:
			w.end(req.GetWatchId())
		default:
			err = w.begin(w.stream.Context(), req)
		}
		if err != nil {
			return err
		}
	}
}

// ping answers that the replica is alive, or ends the stream if it no longer is.
func (w *watchStream) ping() error {
	pong := &pb.WatchResponse{Error: &pb.ErrorDetail{Epoch: w.s.host.Map().GetEpoch()}}
	if w.shard != nil {
		r := w.shard.Replica
		if err := r.Err(); err != nil {
			return replicaError(r, err)
		}
		leader, known := r.Leader()
		switch {
		case known:
			w.lost = time.Time{}
		case w.lost.IsZero():
			w.lost = time.Now()
		case time.Since(w.lost) > leaderless:
			return notReady("", "the replica has lost its leader")
		}
		pong.Error.Leader, pong.AppliedIndex = leader, r.Applied()
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.mu.pong = pong
	w.wakeLocked()
	return nil
}

func (w *watchStream) wakeLocked() {
	select {
	case w.wake <- struct{}{}:
	default:
	}
}

func (w *watchStream) end(id uint64) {
	if one, ok := w.watches[id]; ok {
		one.leave()
		delete(w.watches, id)
	}
}

// begin subscribes to an account. What is wrong with one account is told as an
// event of its watch; the stream goes on.
func (w *watchStream) begin(ctx context.Context, req *pb.WatchRequest) error {
	if _, taken := w.watches[req.GetWatchId()]; taken {
		return invalid("watch id is in use")
	}
	if len(w.watches) >= maxWatches {
		return failure(codes.Unavailable, &pb.ErrorDetail{Kind: pb.ErrorDetail_KIND_OVERLOADED}, "too many watches on one stream")
	}
	one := &watch{stream: w, id: req.GetWatchId(), account: req.GetRoute().GetAccount(), told: req.GetSinceModSeq(), opening: true}
	w.watches[one.id] = one
	if err := w.subscribe(ctx, one, req); err != nil {
		d := detailOf(err)
		if d == nil {
			return err
		}
		one.leave()
		one.fail(d)
	}
	return nil
}

func (w *watchStream) subscribe(ctx context.Context, one *watch, req *pb.WatchRequest) error {
	sh, err := w.s.route(req.GetRoute())
	if err != nil {
		return err
	}
	if err := w.s.await(ctx, sh, req.GetMinIndex()); err != nil {
		return err
	}
	w.shard = sh
	// First the hub, then the state: what changes in between is told by both, and
	// merged, rather than by none. Nothing is sent before both are there: see
	// watch.opening.
	one.hub = sh.Hub
	sh.Hub.join(one.account, one)
	v, err := sh.view()
	if err != nil {
		return err
	}
	defer v.Close()
	a, err := v.Account(one.account)
	if err != nil {
		return readError("account", err)
	}
	if uint64(a.ModSeq()) <= req.GetSinceModSeq() {
		one.open(raftfsm.Change{})
		return nil
	}
	boxes, _, err := a.Mailboxes()
	if err != nil {
		return readError("mailboxes", err)
	}
	index, _ := v.Applied()
	c := raftfsm.Change{Account: one.account, AppliedIndex: index, ModSeq: a.ModSeq(), MailboxList: true, Metadata: true}
	for _, b := range boxes {
		if b.GetHighestModSeq() > req.GetSinceModSeq() {
			c.Mailboxes = append(c.Mailboxes, imapnum.MailboxID(b.GetId()))
		}
	}
	one.open(c)
	return nil
}
