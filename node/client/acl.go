package client

import (
	"context"

	pb "github.com/quorumail/quorumail/proto/quorumail/v1"
)

// GetAcl reads what the session's actor may do with a mailbox, linearizably, and,
// if it may see it, the access control list. An actor that may not know of the
// mailbox gets ErrNoMailbox.
func (s *Session) GetAcl(ctx context.Context, mailbox string) (*pb.GetAclResponse, error) {
	return unary(ctx, s, "get acl", atLeader, func(a *attempt) (*pb.GetAclResponse, error) {
		return a.store.GetAcl(a.ctx, &pb.GetAclRequest{Route: a.route, Level: a.level(s, true), Mailbox: mailbox})
	})
}
