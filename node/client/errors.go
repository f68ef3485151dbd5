package client

import (
	"context"
	"errors"
	"fmt"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	pb "github.com/quorumail/quorumail/proto/quorumail/v1"
)

// Errors that callers tell apart, with errors.Is.
var (
	// ErrNoAccount: the account does not exist.
	ErrNoAccount = errors.New("no such account")
	// ErrNoMailbox: the mailbox does not exist.
	ErrNoMailbox = errors.New("no such mailbox")
	// ErrNoPermission: the session's actor may not do this with the mailbox.
	ErrNoPermission = errors.New("no permission")
	// ErrInvalid: the request is malformed or too large; trying again is in vain.
	ErrInvalid = errors.New("invalid request")
	// ErrUnavailable: the cluster gave no answer in time. Whether a mutation was
	// done is not known; its session's next mutation settles it: what has not been
	// done by then never will be.
	ErrUnavailable = errors.New("storage is unavailable")
	// ErrClosed: the client has been closed. It is an ErrUnavailable.
	ErrClosed = fmt.Errorf("client is closed: %w", ErrUnavailable)
)

// Retryable reports whether the same request may do better later. It is what
// separates NO [UNAVAILABLE] and LMTP 4xx from refusals for good.
func Retryable(err error) bool { return errors.Is(err, ErrUnavailable) }

var (
	// errStalled is the cause with which an attempt without progress is cancelled.
	errStalled = errors.New("no answer in time")
	// errMoved ends an attempt of a watch whose account is in another shard.
	errMoved = errors.New("account has moved")
)

// verdict says what an attempt's failure means for the next.
type verdict struct {
	// final is the error to return; nil: try again.
	final error
	// leader is who leads, if the replica said so.
	leader string
	// keep: the node asked is right, only not now.
	keep bool
	// readOnly: the node's disk is nearly full.
	readOnly bool
	// refresh: the node holds a newer map.
	refresh bool
	// suspect: the node did not answer at all.
	suspect bool
	// detailed: the answer came from a service, not from the wire.
	detailed bool
}

// judge classifies the error of an attempt made with a map of the given epoch.
func judge(err error, epoch uint64) verdict {
	st, ok := status.FromError(err)
	if !ok {
		if errors.Is(err, errStalled) {
			return verdict{suspect: true}
		}
		return verdict{final: err}
	}
	for _, d := range st.Details() {
		if d, ok := d.(*pb.ErrorDetail); ok {
			return judgeDetail(d, st.Message(), epoch)
		}
	}
	switch st.Code() {
	case codes.InvalidArgument, codes.ResourceExhausted, codes.OutOfRange,
		codes.Unauthenticated, codes.PermissionDenied:
		// The last two: a certificate that the cluster does not know. gRPC itself
		// says ResourceExhausted of messages above its limit.
		return verdict{final: fmt.Errorf("%w: %s", ErrInvalid, st.Message())}
	default:
		// Unavailable, a cancelled or timed out attempt, and whatever a breaking
		// connection turns into. Unimplemented too: something else has taken the
		// port of a node that is down.
		return verdict{suspect: true}
	}
}

func judgeDetail(d *pb.ErrorDetail, msg string, epoch uint64) verdict {
	v := verdict{detailed: true}
	switch d.GetKind() {
	case pb.ErrorDetail_KIND_NO_ACCOUNT:
		v.final = ErrNoAccount
	case pb.ErrorDetail_KIND_NO_MAILBOX:
		v.final = ErrNoMailbox
	case pb.ErrorDetail_KIND_NO_PERMISSION:
		v.final = ErrNoPermission
	case pb.ErrorDetail_KIND_INVALID, pb.ErrorDetail_KIND_OTHER_CLUSTER:
		v.final = fmt.Errorf("%w: %s", ErrInvalid, msg)
	case pb.ErrorDetail_KIND_NOT_LEADER:
		v.leader = d.GetLeader()
	case pb.ErrorDetail_KIND_WRONG_SHARD:
		v.refresh = d.GetEpoch() > epoch
	case pb.ErrorDetail_KIND_OVERLOADED:
		v.keep = true
	case pb.ErrorDetail_KIND_READ_ONLY:
		v.keep, v.readOnly = true, true
	case pb.ErrorDetail_KIND_NOT_READY:
		v.leader = d.GetLeader()
	default:
		// A kind of a newer release: as NOT_READY.
	}
	return v
}

// unavailable is the error of a request whose time has run out: because of ctx,
// after the last attempt failed with last, which may be nil.
func unavailable(ctx context.Context, op string, last error) error {
	if last == nil {
		return fmt.Errorf("%s: %w: %w", op, ErrUnavailable, context.Cause(ctx))
	}
	return fmt.Errorf("%s: %w: %w; last: %v", op, ErrUnavailable, context.Cause(ctx), last)
}

// refusal turns the result of a command that nothing can be wrong with, but the
// account's absence or the command itself, into an error.
func refusal(op string, res *pb.Result) error {
	switch res.GetCode() {
	case pb.Code_CODE_OK:
		return nil
	case pb.Code_CODE_NO_ACCOUNT:
		return ErrNoAccount
	case pb.Code_CODE_NO_MAILBOX:
		return ErrNoMailbox
	}
	return fmt.Errorf("%s: %w: %s %s", op, ErrInvalid, res.GetCode(), res.GetDetail())
}
