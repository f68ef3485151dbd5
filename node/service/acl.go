package service

import (
	"context"

	"google.golang.org/grpc/codes"

	"github.com/quorumail/quorumail/proto/imapnum"
	pb "github.com/quorumail/quorumail/proto/quorumail/v1"
	"github.com/quorumail/quorumail/raftfsm"
)

// ownerOnly refuses a request that only the account's owner can make. Nothing
// tells another actor that the account exists.
func ownerOnly(r *pb.Route) error {
	if foreign(r) {
		return noMailbox()
	}
	return nil
}

// foreign reports whether a request is for another than the account's owner.
func foreign(r *pb.Route) bool { return r.GetActor() != "" && r.GetActor() != r.GetAccount() }

// allow checks that a request's actor has all rights of need on a mailbox, and
// notes those that it has in the mailbox's record. An actor that may not look the
// mailbox up is told that there is none (RFC 4314, 6).
func allow(m *raftfsm.Mailbox, r *pb.Route, need imapnum.Rights) error {
	have, err := m.Rights(r.GetActor())
	if err != nil {
		return readError("rights", err)
	}
	m.Info().Rights = uint32(have)
	return denied(have, need)
}

// denied is the answer to an actor that has some rights and needs others; nil if
// it has those.
func denied(have, need imapnum.Rights) error {
	switch {
	case have.Has(need):
		return nil
	case have.Has(imapnum.RightLookup):
		return failure(codes.PermissionDenied, &pb.ErrorDetail{Kind: pb.ErrorDetail_KIND_NO_PERMISSION}, "no permission")
	}
	return noMailbox()
}

// visible leaves of an account's mailboxes those that another actor may look up,
// and of each what its rights allow to tell. Special uses are the owner's.
func visible(a *raftfsm.Account, r *pb.Route, boxes []*pb.MailboxInfo) ([]*pb.MailboxInfo, error) {
	var list []*pb.MailboxInfo
	for _, info := range boxes {
		have, err := a.RightsOn(imapnum.MailboxID(info.GetId()), r.GetActor())
		if err != nil {
			return nil, readError("rights", err)
		}
		if have.Has(imapnum.RightLookup) {
			list = append(list, told(info, have))
		}
	}
	return list, nil
}

// told is what a mailbox's record tells another actor.
func told(info *pb.MailboxInfo, have imapnum.Rights) *pb.MailboxInfo {
	if !have.Has(imapnum.RightRead) {
		info = &pb.MailboxInfo{Id: info.GetId(), Name: info.GetName()}
	}
	info.Rights, info.SpecialUse, info.Subscribed = uint32(have), "", false
	return info
}

// myRights are those of which one is enough to be told which one has (RFC 4314,
// 4).
const myRights = imapnum.RightLookup | imapnum.RightRead | imapnum.RightInsert | imapnum.RightCreate | imapnum.RightDelete | imapnum.RightAdmin

// GetAcl implements StoreService.
//
//lint:ignore ST1003 the name is that of the generated interface
func (s *storeServer) GetAcl(ctx context.Context, req *pb.GetAclRequest) (*pb.GetAclResponse, error) {
	_, v, err := s.read(ctx, req.GetRoute(), req.GetLevel())
	if err != nil {
		return nil, err
	}
	defer v.Close()
	m, err := mailbox(v, req.GetRoute(), 0, req.GetMailbox())
	if err != nil {
		return nil, err
	}
	have, err := m.Rights(req.GetRoute().GetActor())
	if err != nil {
		return nil, readError("rights", err)
	}
	if have&myRights == 0 {
		return nil, noMailbox()
	}
	index, _ := v.Applied()
	resp := &pb.GetAclResponse{AppliedIndex: index, Info: m.Info()}
	if foreign(req.GetRoute()) {
		resp.Info = told(m.Info(), have)
	}
	resp.Info.Rights = uint32(have)
	if have.Has(imapnum.RightAdmin) {
		if resp.Acl, err = m.ACL(); err != nil {
			return nil, readError("access control list", err)
		}
	}
	return resp, nil
}
