package search

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/quorumail/quorumail/proto/imapnum"
	pb "github.com/quorumail/quorumail/proto/quorumail/v1"
)

// Mailbox is what is searched: the state of one mailbox at one applied index.
// A raftfsm.Mailbox and its raftfsm.Account have these methods between them.
// They are called from the goroutine of Run alone, Email and Chunks also from
// within the function given to Messages.
type Mailbox interface {
	// Info returns the mailbox's record; of it the keyword table is used.
	Info() *pb.MailboxInfo
	// UIDs returns the UIDs of all messages.
	UIDs() (imapnum.Set, error)
	// Flagged returns the UIDs of the messages that have all flags of f.
	Flagged(f imapnum.SystemFlags) (imapnum.Set, error)
	// Messages calls fn with the record of each message of a set, ascending, until
	// it returns false or an error. Email is not filled in.
	Messages(set imapnum.Set, fn func(*pb.FetchedMessage) (bool, error)) error
	// Email returns a content record.
	Email(id uint64) (*pb.Email, error)
	// Chunks calls fn, in order, with the chunks of a body that hold octets of
	// [offset, offset+length), until it returns false or an error. The chunk's data
	// need only be good during the call.
	Chunks(bodyID []byte, offset, length uint64, fn func(*pb.BodyChunk) (bool, error)) error
}

// Result is what matches. The MODSEQs are those that RFC 7162, 3.1.5 and RFC
// 4731, 3.2 ask for; they cost a look at every match, so they are 0 unless the
// key has a MODSEQ criterion, as these RFCs have it.
type Result struct {
	UIDs imapnum.Set
	// HighestModSeq is the highest of all matches, FirstModSeq and LastModSeq are
	// those of the lowest and the highest UID.
	HighestModSeq, FirstModSeq, LastModSeq imapnum.ModSeq
	// PartModSeq is the highest of those that a Part names.
	PartModSeq imapnum.ModSeq
}

// ErrKey says that a search key is malformed or beyond what is accepted.
var ErrKey = errors.New("malformed search key")

// Run returns the messages that match key. now is what ages are relative to
// (RFC 5032). It returns an error that wraps ErrKey, that of ctx, or one of mb.
// To search a part of the mailbox, join the key with one of UIDs. part is the one of
// the matches of which PartModSeq is told.
func Run(ctx context.Context, key *pb.SearchKey, mb Mailbox, now time.Time, part Part) (Result, error) {
	q := &query{ctx: ctx, mb: mb, now: now}
	root, err := q.compile(key, 0)
	if err != nil {
		return Result{}, err
	}
	if q.all, err = mb.UIDs(); err != nil {
		return Result{}, fmt.Errorf("search: %w", err)
	}
	sure, possible, err := q.bounds(root)
	if err != nil {
		return Result{}, fmt.Errorf("search: %w", err)
	}
	res, err := q.matches(root, sure, possible, part)
	if err != nil {
		return Result{}, fmt.Errorf("search: %w", err)
	}
	return res, nil
}

// look adds to res which messages of a set match.
func (q *query) look(root *node, set imapnum.Set, res *Result) error {
	var found imapnum.SetBuilder
	err := q.mb.Messages(set, func(rec *pb.FetchedMessage) (bool, error) {
		if err := q.ctx.Err(); err != nil {
			return false, err
		}
		match, err := q.decide(root, rec)
		if err != nil {
			return false, fmt.Errorf("uid %d: %w", rec.GetState().GetUid(), err)
		}
		if match {
			found.Add(imapnum.UID(rec.GetState().GetUid()))
			if q.wantModSeq {
				res.count(imapnum.ModSeq(rec.GetState().GetModSeq()))
			}
		}
		return true, nil
	})
	res.UIDs = res.UIDs.Union(found.Set())
	return err
}

// count takes in the MODSEQ of the next match.
func (r *Result) count(m imapnum.ModSeq) {
	if r.FirstModSeq == 0 {
		r.FirstModSeq = m
	}
	r.LastModSeq = m
	r.HighestModSeq = max(r.HighestModSeq, m)
}

// query is one search under way.
type query struct {
	ctx        context.Context
	mb         Mailbox
	now        time.Time
	all        imapnum.Set // UIDs of the mailbox
	nodes      int         // of the tree
	text       int         // octets of all its strings
	longest    int         // folded octets of its longest string
	wantModSeq bool
	body       body
}
