package service

import (
	"context"

	"github.com/quorumail/quorumail/proto/imapnum"
	pb "github.com/quorumail/quorumail/proto/quorumail/v1"
	"github.com/quorumail/quorumail/raftfsm"
)

// GetAccount implements StoreService.
func (s *storeServer) GetAccount(ctx context.Context, req *pb.GetAccountRequest) (*pb.GetAccountResponse, error) {
	if err := ownerOnly(req.GetRoute()); err != nil {
		return nil, err
	}
	_, v, err := s.read(ctx, req.GetRoute(), req.GetLevel())
	if err != nil {
		return nil, err
	}
	defer v.Close()
	a, err := v.Account(req.GetRoute().GetAccount())
	if err != nil {
		return nil, readError("account", err)
	}
	c, err := a.Credentials()
	if err != nil {
		return nil, readError("credentials", err)
	}
	index, _ := v.Applied()
	return &pb.GetAccountResponse{AppliedIndex: index, Credentials: c, ModSeq: uint64(a.ModSeq()), Quota: a.Quota()}, nil
}

// ListMailboxes implements StoreService.
func (s *storeServer) ListMailboxes(ctx context.Context, req *pb.ListMailboxesRequest) (*pb.ListMailboxesResponse, error) {
	_, v, err := s.read(ctx, req.GetRoute(), req.GetLevel())
	if err != nil {
		return nil, err
	}
	defer v.Close()
	a, err := v.Account(req.GetRoute().GetAccount())
	if err != nil {
		return nil, readError("account", err)
	}
	boxes, subscriptions, err := a.Mailboxes()
	if err != nil {
		return nil, readError("mailboxes", err)
	}
	index, _ := v.Applied()
	resp := &pb.ListMailboxesResponse{AppliedIndex: index, ModSeq: uint64(a.ModSeq())}
	if foreign(req.GetRoute()) {
		resp.Mailboxes, err = visible(a, req.GetRoute(), boxes)
		return resp, err
	}
	for _, info := range boxes {
		info.Rights = uint32(imapnum.AllRights)
	}
	resp.Mailboxes, resp.Subscriptions = boxes, subscriptions
	if resp.SharedBy, err = a.SharedBy(); err != nil {
		return nil, readError("who shares mailboxes", err)
	}
	return resp, nil
}

// OpenMailbox implements StoreService.
func (s *storeServer) OpenMailbox(req *pb.OpenMailboxRequest, stream pb.StoreService_OpenMailboxServer) error {
	since, err := sinceOf(req.GetSince())
	if err != nil {
		return err
	}
	_, v, err := s.read(stream.Context(), req.GetRoute(), req.GetLevel())
	if err != nil {
		return err
	}
	defer v.Close()
	m, err := mailbox(v, req.GetRoute(), req.GetMailboxId(), req.GetName())
	if err != nil {
		return err
	}
	if err := allow(m, req.GetRoute(), imapnum.RightRead); err != nil {
		return err
	}
	uids, err := m.UIDs()
	if err != nil {
		return readError("uids", err)
	}
	unseen, err := m.FirstUnseen()
	if err != nil {
		return readError("first unseen", err)
	}
	index, _ := v.Applied()
	err = stream.Send(&pb.OpenMailboxResponse{Opened: &pb.OpenedMailbox{
		AppliedIndex: index, Info: m.Info(), Uids: packed(uids), FirstUnseen: uint32(unseen),
	}})
	if err != nil || req.GetSince() == nil {
		return err
	}
	return changes(m, since, func(b *pb.ChangeBatch) error {
		return stream.Send(&pb.OpenMailboxResponse{Changes: b})
	})
}

// Changes implements StoreService.
func (s *storeServer) Changes(req *pb.ChangesRequest, stream pb.StoreService_ChangesServer) error {
	since, err := sinceOf(req.GetSince())
	if err != nil {
		return err
	}
	_, v, err := s.read(stream.Context(), req.GetRoute(), req.GetLevel())
	if err != nil {
		return err
	}
	defer v.Close()
	m, err := mailbox(v, req.GetRoute(), req.GetMailboxId(), "")
	if err != nil {
		return err
	}
	if err := allow(m, req.GetRoute(), imapnum.RightRead); err != nil {
		return err
	}
	index, _ := v.Applied()
	if err := stream.Send(&pb.ChangesResponse{AppliedIndex: index, Info: m.Info()}); err != nil {
		return err
	}
	return changes(m, since, func(b *pb.ChangeBatch) error {
		return stream.Send(&pb.ChangesResponse{AppliedIndex: index, Changes: b})
	})
}

// changeBatch is how many changed messages go into one response.
const changeBatch = 1000

// changes sends what changed, in batches; nothing if nothing did.
func changes(m *raftfsm.Mailbox, since raftfsm.Since, send func(*pb.ChangeBatch) error) error {
	batch := &pb.ChangeBatch{}
	vanished, err := m.Changes(since, func(st *pb.MessageState) error {
		batch.Changed = append(batch.Changed, st)
		if len(batch.Changed) < changeBatch {
			return nil
		}
		full := batch
		batch = &pb.ChangeBatch{}
		return send(full)
	})
	if err != nil {
		return readError("changes", err)
	}
	if !vanished.Empty() {
		batch.Vanished = packed(vanished)
	}
	if len(batch.GetChanged()) == 0 && batch.GetVanished() == nil {
		return nil
	}
	return send(batch)
}

// mailbox finds a mailbox by id or, without one, by name.
func mailbox(v *raftfsm.View, r *pb.Route, id uint64, name string) (*raftfsm.Mailbox, error) {
	a, err := v.Account(r.GetAccount())
	if err != nil {
		return nil, readError("account", err)
	}
	var m *raftfsm.Mailbox
	if id != 0 {
		m, err = a.MailboxByID(imapnum.MailboxID(id))
	} else {
		m, err = a.MailboxByName(name)
	}
	if err != nil {
		return nil, readError("mailbox", err)
	}
	return m, nil
}

func sinceOf(p *pb.Since) (raftfsm.Since, error) {
	since := raftfsm.Since{
		ModSeq:    imapnum.ModSeq(p.GetModSeq()),
		NoChanged: p.GetNoChanged(), NoVanished: p.GetNoVanished(),
	}
	// A number above every modseq would overflow where one is added to it.
	since.ModSeq = min(since.ModSeq, imapnum.MaxModSeq)
	if p.GetKnown() != nil {
		known, err := unpacked(p.GetKnown())
		if err != nil {
			return since, err
		}
		since.Known = &known
	}
	return since, nil
}

func packed(s imapnum.Set) *pb.UidSet { return &pb.UidSet{Packed: s.Pack()} }

func unpacked(p *pb.UidSet) (imapnum.Set, error) {
	set, err := imapnum.Unpack(p.GetPacked())
	if err != nil {
		return set, invalid(err.Error())
	}
	return set, nil
}
