package client

import (
	"context"
	"fmt"
	"sync"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/quorumail/quorumail/proto/imapnum"
	pb "github.com/quorumail/quorumail/proto/quorumail/v1"
)

// Session is one user's serial stream of requests to one account: what an IMAP
// connection or an LMTP delivery holds. Its mutations are done exactly once,
// whatever fails meanwhile; its reads never go back in time, whichever replica
// answers.
//
// Propose may not be called concurrently with itself; reads may run
// concurrently with everything. A Session holds no connection and costs a few
// hundred octets; it needs no closing.
//
// All methods retry inside until their context ends: through elections, moved
// leaders, broken connections. A context without deadline gets the client's
// default (Config.RequestTimeout). What remains then is ErrUnavailable.
type Session struct {
	c       *Client
	account string
	actor   string // empty: the account's owner
	slot    imapnum.Slot
	id      [16]byte

	mu struct {
		sync.Mutex
		sequence uint64
		shard    uint32 // that index is of
		index    uint64 // highest applied index that the session has seen
	}
}

// Account returns the normalised name of the session's account.
func (s *Session) Account() string { return s.account }

// seen returns the highest index of a shard that the session has seen; 0 if it
// has seen nothing of it.
func (s *Session) seen(shard uint32) uint64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.mu.shard != shard {
		return 0
	}
	return s.mu.index
}

// raise notes that the session has seen a shard at an index.
func (s *Session) raise(shard uint32, index uint64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.mu.shard != shard {
		s.mu.shard, s.mu.index = shard, 0
	}
	s.mu.index = max(s.mu.index, index)
}

// Propose has entry applied and returns its result. The caller fills entry.Op
// only. A refusal by the state machine is a Result with its code, not an error.
func (s *Session) Propose(ctx context.Context, entry *pb.Entry) (*pb.Result, error) {
	s.mu.Lock()
	s.mu.sequence++
	request := &pb.RequestId{Session: s.id[:], Sequence: s.mu.sequence}
	s.mu.Unlock()
	return s.propose(ctx, "propose", entry, request)
}

// PutChunk stages a chunk of a body. It may be called concurrently.
func (s *Session) PutChunk(ctx context.Context, bodyID []byte, chunk *pb.BodyChunk) error {
	// Idempotent by offset, so it needs no request id.
	res, err := s.propose(ctx, "put chunk", &pb.Entry{
		Op: &pb.Entry_PutChunk{PutChunk: &pb.PutChunkOp{BodyId: bodyID, Chunk: chunk}},
	}, nil)
	if err != nil {
		return err
	}
	return refusal("put chunk", res)
}

func (s *Session) propose(ctx context.Context, op string, entry *pb.Entry, request *pb.RequestId) (*pb.Result, error) {
	// The same octets at each attempt: version, request and time are the
	// command's, not the attempt's.
	e := &pb.Entry{
		Version: 1,
		Account: s.account,
		Actor:   s.actor,
		Request: request,
		Time:    time.Now().UnixNano(),
		Op:      entry.GetOp(),
	}
	data, err := proto.Marshal(e)
	if err != nil {
		return nil, fmt.Errorf("%s: %w: %w", op, ErrInvalid, err)
	}
	var result *pb.Result
	err = s.c.do(ctx, s, op, atLeader, func(a *attempt) error {
		l, err := s.c.conns.lane(a.addr)
		if err != nil {
			return callerError{err}
		}
		resp, err := l.propose(a.ctx, a.route, data)
		if err != nil {
			return err
		}
		s.raise(a.route.GetShard(), resp.GetAppliedIndex())
		result = s.maskedResult(entry, resp.GetResult())
		return nil
	})
	return result, err
}

// GetAccount reads the account's record, linearizably.
func (s *Session) GetAccount(ctx context.Context) (*pb.GetAccountResponse, error) {
	return unary(ctx, s, "get account", atLeader, func(a *attempt) (*pb.GetAccountResponse, error) {
		return a.store.GetAccount(a.ctx, &pb.GetAccountRequest{Route: a.route, Level: a.level(s, true)})
	})
}

// ListMailboxes reads all mailboxes and subscriptions, linearizably.
func (s *Session) ListMailboxes(ctx context.Context) (*pb.ListMailboxesResponse, error) {
	return unary(ctx, s, "list mailboxes", atLeader, func(a *attempt) (*pb.ListMailboxesResponse, error) {
		return a.store.ListMailboxes(a.ctx, &pb.ListMailboxesRequest{Route: a.route, Level: a.level(s, true)})
	})
}

// SeenMailboxes reads all mailboxes and subscriptions, at least as this session
// has seen them or been told of them by a watch.
func (s *Session) SeenMailboxes(ctx context.Context) (*pb.ListMailboxesResponse, error) {
	return unary(ctx, s, "list mailboxes", anywhere, func(a *attempt) (*pb.ListMailboxesResponse, error) {
		return a.store.ListMailboxes(a.ctx, &pb.ListMailboxesRequest{Route: a.route, Level: a.level(s, false)})
	})
}

// GetFlags reads the flags of many messages.
func (s *Session) GetFlags(ctx context.Context, mailboxID uint64, uids *pb.UidSet) (*pb.GetFlagsResponse, error) {
	return unary(ctx, s, "get flags", anywhere, func(a *attempt) (*pb.GetFlagsResponse, error) {
		return a.store.GetFlags(a.ctx, &pb.GetFlagsRequest{Route: a.route, Level: a.level(s, false), MailboxId: mailboxID, Uids: uids})
	})
}

// Search returns the UIDs that match. The route and level of req are filled in.
func (s *Session) Search(ctx context.Context, req *pb.SearchRequest) (*pb.SearchResponse, error) {
	return unary(ctx, s, "search", lengthy, func(a *attempt) (*pb.SearchResponse, error) {
		return a.store.Search(a.ctx, a.search(s, req))
	})
}

// Sort returns the UIDs that match in an order. The route and level of the search
// are filled in.
func (s *Session) Sort(ctx context.Context, req *pb.SortRequest) (*pb.SortResponse, error) {
	return unary(ctx, s, "sort", lengthy, func(a *attempt) (*pb.SortResponse, error) {
		return a.store.Sort(a.ctx, &pb.SortRequest{Search: a.search(s, req.GetSearch()), Keys: req.GetKeys()})
	})
}

// Thread returns what matches as threads. The route and level of the search are
// filled in.
func (s *Session) Thread(ctx context.Context, req *pb.ThreadRequest) (*pb.ThreadResponse, error) {
	return unary(ctx, s, "thread", lengthy, func(a *attempt) (*pb.ThreadResponse, error) {
		return a.store.Thread(a.ctx, &pb.ThreadRequest{Search: a.search(s, req.GetSearch()), Algorithm: req.GetAlgorithm()})
	})
}

// search is a search as it is asked for in an attempt.
func (a *attempt) search(s *Session, req *pb.SearchRequest) *pb.SearchRequest {
	return &pb.SearchRequest{
		Route: a.route, Level: a.level(s, false), MailboxId: req.GetMailboxId(), Key: req.GetKey(), Within: req.GetWithin(),
		Part: req.GetPart(),
	}
}

// unary makes a read with one request and one response that tells its index.
func unary[R interface{ GetAppliedIndex() uint64 }](ctx context.Context, s *Session, op string, k kind, call func(*attempt) (R, error)) (R, error) {
	var result R
	err := s.c.do(ctx, s, op, k, func(a *attempt) error {
		resp, err := call(a)
		if err != nil {
			return err
		}
		s.raise(a.route.GetShard(), resp.GetAppliedIndex())
		result = resp
		return nil
	})
	return result, err
}
