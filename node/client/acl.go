package client

import (
	"context"
	"errors"

	pb "github.com/quorumail/quorumail/proto/quorumail/v1"
)

// GetAcl reads what the session's actor may do with a mailbox, linearizably, and,
// if it may see it, the access control list. An actor that may not know of the
// mailbox gets ErrNoMailbox.
//
//lint:ignore ST1003 the name is that of the generated interface
func (s *Session) GetAcl(ctx context.Context, mailbox string) (*pb.GetAclResponse, error) {
	return unary(ctx, s, "get acl", atLeader, func(a *attempt) (*pb.GetAclResponse, error) {
		return a.store.GetAcl(a.ctx, &pb.GetAclRequest{Route: a.route, Level: a.level(s, true), Mailbox: mailbox})
	})
}

// masked is an error as the session's actor may be told of it. An account that
// does not exist is one in which there is nothing that the actor may know of:
// whether it exists is not for others to find out (RFC 4314, 6).
func (s *Session) masked(err error) error {
	if s.actor != "" && errors.Is(err, ErrNoAccount) {
		return ErrNoMailbox
	}
	return err
}

// maskedResult does the same for a command.
func (s *Session) maskedResult(e *pb.Entry, res *pb.Result) *pb.Result {
	if s.actor == "" || res.GetCode() != pb.Code_CODE_NO_ACCOUNT {
		return res
	}
	if e.GetCreateMailbox() != nil {
		return &pb.Result{Code: pb.Code_CODE_NO_PERMISSION}
	}
	return &pb.Result{Code: pb.Code_CODE_NO_MAILBOX}
}
