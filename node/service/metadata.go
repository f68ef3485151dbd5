package service

import (
	"bytes"
	"strings"

	"github.com/quorumail/quorumail/proto/imapnum"
	pb "github.com/quorumail/quorumail/proto/quorumail/v1"
	"github.com/quorumail/quorumail/raftfsm"
)

const (
	// metadataBatch is how many octets of annotations go into one response, and
	// one annotation more.
	metadataBatch = 1 << 20
	// maxMetadataEntries bounds the names of one request.
	maxMetadataEntries = 1000
)

// GetMetadata implements StoreService.
func (s *storeServer) GetMetadata(req *pb.GetMetadataRequest, stream pb.StoreService_GetMetadataServer) error {
	if len(req.GetEntries()) > maxMetadataEntries {
		return invalid("too many entries")
	}
	for _, name := range req.GetEntries() {
		if canon, ok := imapnum.MetadataPath(name); !ok || canon != name {
			return invalid("malformed entry name")
		}
	}
	_, v, err := s.read(stream.Context(), req.GetRoute(), req.GetLevel())
	if err != nil {
		return err
	}
	defer v.Close()
	a, err := v.Account(req.GetRoute().GetAccount())
	if err != nil {
		return readError("account", err)
	}
	modSeq, err := a.MetadataModSeq()
	if err != nil {
		return readError("annotations", err)
	}
	index, _ := v.Applied()
	r := &metadataReader{req: req, a: a, send: stream.Send}
	r.out = &pb.GetMetadataResponse{AppliedIndex: index, ModSeq: uint64(modSeq)}
	switch {
	case !req.GetAll():
		err = r.mailbox()
	case uint64(modSeq) > req.GetSinceModSeq():
		err = r.all()
	}
	if err != nil {
		return err
	}
	return stream.Send(r.out)
}

// metadataReader puts annotations into responses, and sends those that are full.
type metadataReader struct {
	req  *pb.GetMetadataRequest
	a    *raftfsm.Account
	send func(*pb.GetMetadataResponse) error
	out  *pb.GetMetadataResponse
	size int // of out's annotations
}

// mailbox reads those of one mailbox, or of the account itself.
func (r *metadataReader) mailbox() error {
	of := &pb.MailboxMetadata{}
	if name := r.req.GetMailbox(); name != "" {
		m, err := r.a.MailboxByName(name)
		if err != nil {
			return readError("mailbox", err)
		}
		if err := r.allow(m); err != nil {
			return err
		}
		of.Mailbox, of.MailboxId = m.Info().GetName(), m.Info().GetId()
	} else if err := ownerOnly(r.req.GetRoute()); err != nil {
		return err
	}
	names, depth := r.req.GetEntries(), r.req.GetDepth()
	if len(names) == 0 {
		names, depth = []string{"/private", "/shared"}, 1<<32-1
	}
	seen := make(map[string]bool) // names can be below one another
	for _, name := range names {
		err := r.a.Metadata(imapnum.MailboxID(of.MailboxId), r.req.GetRoute().GetActor(), name, depth, func(e *pb.MetadataEntry) (bool, error) {
			if seen[e.GetName()] {
				return true, nil
			}
			seen[e.GetName()] = true
			return true, r.add(of.Mailbox, of.MailboxId, e)
		})
		if err != nil {
			return readError("annotations", err)
		}
	}
	return nil
}

// all reads those of all mailboxes and of the account.
func (r *metadataReader) all() error {
	wanted := make(map[string]bool, len(r.req.GetEntries()))
	for _, name := range r.req.GetEntries() {
		wanted[name] = true
	}
	var id imapnum.MailboxID
	var mailbox string
	var hidden bool // from the actor
	err := r.a.AllMetadata(r.req.GetRoute().GetActor(), func(of imapnum.MailboxID, e *pb.MetadataEntry) (bool, error) {
		if len(wanted) > 0 && !r.wants(wanted, e.GetName()) {
			return true, nil
		}
		if of != id {
			m, err := r.a.MailboxByID(of)
			if err != nil {
				return false, err
			}
			have, err := m.Rights(r.req.GetRoute().GetActor())
			if err != nil {
				return false, err
			}
			id, mailbox, hidden = of, m.Info().GetName(), !have.MayAnnotate()
		}
		if hidden || of == 0 && foreign(r.req.GetRoute()) {
			return true, nil
		}
		return true, r.add(mailbox, uint64(id), e)
	})
	if err != nil {
		return readError("annotations", err)
	}
	return nil
}

// allow checks that the request's actor may read a mailbox's annotations.
func (r *metadataReader) allow(m *raftfsm.Mailbox) error {
	have, err := m.Rights(r.req.GetRoute().GetActor())
	switch {
	case err != nil:
		return readError("rights", err)
	case have.MayAnnotate():
		return nil
	}
	return denied(have, imapnum.AllRights)
}

// wants reports whether an annotation is one that was asked for, or so many
// levels below one.
func (r *metadataReader) wants(wanted map[string]bool, name string) bool {
	for depth := r.req.GetDepth(); ; depth-- {
		if wanted[name] {
			return true
		}
		at := strings.LastIndexByte(name, '/')
		if depth == 0 || at <= 0 {
			return false
		}
		name = name[:at]
	}
}

// add puts an annotation into the response.
func (r *metadataReader) add(mailbox string, id uint64, e *pb.MetadataEntry) error {
	if most := r.req.MaxSize; most != nil && uint64(len(e.GetValue())) > *most {
		r.out.Longest = max(r.out.GetLongest(), uint64(len(e.GetValue())))
		return nil
	}
	own := &pb.MetadataEntry{Name: e.GetName(), ModSeq: e.GetModSeq()}
	if !r.req.GetNamesOnly() {
		own.Value = bytes.Clone(e.GetValue())
	}
	if n := len(r.out.GetMailboxes()); n == 0 || r.out.Mailboxes[n-1].GetMailboxId() != id {
		r.out.Mailboxes = append(r.out.Mailboxes, &pb.MailboxMetadata{MailboxId: id, Mailbox: mailbox})
	}
	of := r.out.Mailboxes[len(r.out.Mailboxes)-1]
	of.Entries = append(of.Entries, own)
	if r.size += len(own.Name) + len(own.Value) + 16; r.size < metadataBatch {
		return nil
	}
	full := r.out
	r.out, r.size = &pb.GetMetadataResponse{}, 0
	return r.send(full)
}
