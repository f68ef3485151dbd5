package session

import (
	"errors"
	"fmt"
	"strconv"

	"github.com/quorumail/quorumail/node/client"
	pb "github.com/quorumail/quorumail/proto/quorumail/v1"
)

func uitoa(n uint64) string { return strconv.FormatUint(n, 10) }

// errClient says that the client has broken its connection, so that there is no
// one to answer.
var errClient = errors.New("client is gone")

// fail answers a command that storage could not do (RFC 5530, 3).
func (c *Conn) fail(what string, err error) error {
	switch {
	case c.w.Err() != nil:
		return fmt.Errorf("%w: %w", errClient, c.w.Err())
	case errors.Is(err, client.ErrNoMailbox):
		return c.refused(&pb.Result{Code: pb.Code_CODE_NO_MAILBOX})
	case errors.Is(err, client.ErrNoPermission):
		return c.refused(&pb.Result{Code: pb.Code_CODE_NO_PERMISSION})
	case errors.Is(err, client.ErrNoAccount):
		return c.bye("", "the account is gone")
	case client.Retryable(err):
		c.log.Warn("storage is unavailable", "command", what, "error", err)
		return c.no("UNAVAILABLE", "storage cannot be reached now; try again later")
	}
	c.log.Error("command failed", "command", what, "error", err)
	return c.no("SERVERBUG", what+" failed")
}

// refusals are the response codes for the state machine's refusals.
var refusals = map[pb.Code]string{
	pb.Code_CODE_INVALID:        "CANNOT",
	pb.Code_CODE_NO_MAILBOX:     "NONEXISTENT",
	pb.Code_CODE_MAILBOX_EXISTS: "ALREADYEXISTS",
	pb.Code_CODE_INVALID_NAME:   "CANNOT",
	pb.Code_CODE_LIMIT:          "LIMIT",
	pb.Code_CODE_OVER_QUOTA:     "OVERQUOTA",
	pb.Code_CODE_UIDS_EXHAUSTED: "LIMIT",
	pb.Code_CODE_USE_ATTR:       "USEATTR",
	pb.Code_CODE_NO_BODY:        "UNAVAILABLE",
	pb.Code_CODE_NO_MESSAGE:     "EXPUNGEISSUED",
	pb.Code_CODE_NO_PERMISSION:  "NOPERM",
}

// refused answers a command that the state machine has refused.
func (c *Conn) refused(res *pb.Result) error {
	return c.no(refusals[res.GetCode()], refusalText(res))
}

// refusalText is what people are told. Of a mailbox that one may not know of it is
// the same, by whatever way it is found that it is none (RFC 4314, 6).
func refusalText(res *pb.Result) string {
	switch res.GetCode() {
	case pb.Code_CODE_NO_MAILBOX:
		return "no such mailbox"
	case pb.Code_CODE_NO_PERMISSION:
		return "you lack a right that this needs"
	}
	return res.GetDetail()
}
