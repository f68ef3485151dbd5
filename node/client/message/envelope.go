package message

import (
	"bytes"

	pb "github.com/quorumail/quorumail/proto/quorumail/v1"
)

const (
	// maxAddresses bounds the addresses of one field of an envelope.
	maxAddresses = 2000
	// maxReferences bounds the ancestors of a message, maxReference the octets of
	// each.
	maxReferences = 100
	maxReference  = 1000
)

// envelope takes the ENVELOPE from a header (RFC 9051, 7.5.2).
func (s *scanner) envelope(fields []field) *pb.Envelope {
	e := &pb.Envelope{
		Date: s.keep(first(fields, "date")), Subject: s.keep(first(fields, "subject")),
		MessageId: s.keep(first(fields, "message-id")), InReplyTo: s.keep(first(fields, "in-reply-to")),
		From: s.addresses(fields, "from"), Sender: s.addresses(fields, "sender"),
		ReplyTo: s.addresses(fields, "reply-to"),
		To:      s.addresses(fields, "to"), Cc: s.addresses(fields, "cc"), Bcc: s.addresses(fields, "bcc"),
	}
	if len(e.Sender) == 0 {
		e.Sender = e.From
	}
	if len(e.ReplyTo) == 0 {
		e.ReplyTo = e.From
	}
	return e
}

// addresses joins the fields of a name: more than one is against RFC 5322, 3.6,
// but what they name are addresses all the same.
func (s *scanner) addresses(fields []field, name string) []*pb.Address {
	var list []*pb.Address
	group := false
	for i := range fields {
		if fields[i].name != name {
			continue
		}
		for _, a := range parseAddresses(fields[i].value) {
			size := len(a.Name) + len(a.Route) + len(a.Mailbox) + len(a.Host) + 16
			if len(list) >= maxAddresses || size > s.budget {
				if group {
					list = append(list, &pb.Address{}) // what was begun is ended
				}
				return list
			}
			s.budget -= size
			group = a.Host == nil && a.Mailbox != nil || group && a.Host != nil
			list = append(list, a)
		}
	}
	return list
}

// references returns the Message-IDs that a message names as its ancestors,
// oldest first (RFC 5322, 3.6.4). Of too many, the middle is left out: the first
// and the last tell most of where a message belongs.
// proper is how many of them stand in the References field.
func (s *scanner) references(fields []field) (ids []string, proper int) {
	seen := make(map[string]bool)
	for _, name := range []string{"references", "in-reply-to"} {
		v := first(fields, name)
		for {
			_, rest, ok := bytes.Cut(v, []byte{'<'})
			id, rest, closed := bytes.Cut(rest, []byte{'>'})
			if !ok || !closed {
				break
			}
			v = rest
			text := string(bytes.ToValidUTF8(id, []byte("?")))
			if text != "" && len(text) <= maxReference && !seen[text] {
				seen[text] = true
				ids = append(ids, text)
			}
		}
		if name == "references" {
			proper = len(ids)
		}
	}
	if n := len(ids); n > maxReferences {
		ids = append(ids[:1], ids[n-maxReferences+1:]...)
		proper = max(min(proper, 1), proper-(n-maxReferences))
	}
	for i, id := range ids {
		if s.keep([]byte(id)) == nil {
			return ids[:i], min(proper, i)
		}
	}
	return ids, proper
}
