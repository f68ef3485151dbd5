package client

import (
	"context"
	"errors"

	pb "github.com/quorumail/quorumail/proto/quorumail/v1"
)

// Errors that callers tell apart, with errors.Is. Others are failures of the
// cluster: Retryable says if trying again later may help.
var (
	ErrNoAccount   = errors.New("no such account")
	ErrNoMailbox   = errors.New("no such mailbox")
	ErrUnavailable = errors.New("storage is unavailable")
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
type Session struct{}

// Account returns the normalised name of the session's account.
func (s *Session) Account() string { return "" }

// Propose has entry applied and returns its result. The caller fills entry.Op
// only. A refusal by the state machine is a Result with its code, not an error.
func (s *Session) Propose(ctx context.Context, entry *pb.Entry) (*pb.Result, error) {
	return nil, ErrUnavailable
}

// PutChunk stages a chunk of a body. It may be called concurrently.
func (s *Session) PutChunk(ctx context.Context, bodyID []byte, chunk *pb.BodyChunk) error {
	return ErrUnavailable
}

// GetAccount reads the account's record, linearizably.
func (s *Session) GetAccount(ctx context.Context) (*pb.GetAccountResponse, error) {
	return nil, ErrUnavailable
}

// ListMailboxes reads all mailboxes and subscriptions, linearizably.
func (s *Session) ListMailboxes(ctx context.Context) (*pb.ListMailboxesResponse, error) {
	return nil, ErrUnavailable
}

// OpenMailbox reads a mailbox, linearizably; with since also what changed. The
// changes come in one or more batches, passed to fn in order before OpenMailbox
// returns; fn may be nil if since is. After a broken stream fn is not called
// again for what it has had: OpenMailbox starts over only as long as fn has not
// been called, else it collects first. name or id is given.
func (s *Session) OpenMailbox(ctx context.Context, name string, id uint64, since *pb.Since, fn func(*pb.ChangeBatch) error) (*pb.OpenedMailbox, error) {
	return nil, ErrUnavailable
}

// Changes reads what happened to a mailbox since a MODSEQ. With linearizable it
// sees all that any client has been told was done; otherwise at least what this
// session has seen or has been told by a watch. The whole answer is of one
// applied index: it is collected before it is returned.
func (s *Session) Changes(ctx context.Context, mailboxID uint64, since *pb.Since, linearizable bool) (*pb.MailboxInfo, []*pb.ChangeBatch, error) {
	return nil, nil, ErrUnavailable
}

// Fetch streams data of messages to fn, in ascending order of UID. The route
// and level of req are filled in. If a stream breaks, Fetch resumes after the
// last message that fn has had whole, and in a body after the last chunk: fn
// sees each response once. An error of fn ends it and is returned.
func (s *Session) Fetch(ctx context.Context, req *pb.FetchRequest, fn func(*pb.FetchResponse) error) error {
	return ErrUnavailable
}

// Search returns the UIDs that match. The route and level of req are filled in.
func (s *Session) Search(ctx context.Context, req *pb.SearchRequest) (*pb.SearchResponse, error) {
	return nil, ErrUnavailable
}

// Watch calls fn, from one goroutine, whenever the account has moved past what
// was last told, starting from since. It returns when ctx ends or the account
// is gone. Breaks are mended inside without missing or repeating a state. Before
// fn is called the session's token has been raised to the event's index.
func (s *Session) Watch(ctx context.Context, since uint64, fn func(*pb.WatchResponse)) error {
	return ErrUnavailable
}
