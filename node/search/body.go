package search

import (
	"bytes"
	"io"
	"strings"

	"github.com/quorumail/quorumail/node/client/message"
	pb "github.com/quorumail/quorumail/proto/quorumail/v1"
)

// maxHeader is how many octets of one header are looked at.
const maxHeader = 1 << 20

// body reads sections of one message's octets, one after the other. It holds
// one chunk: sections that share it, as the parts of most messages do, cost one
// look.
type body struct {
	q     *query
	id    []byte
	start uint64 // of raw in the message
	raw   []byte
	win   window
}

// open turns to another message.
func (b *body) open(q *query, e *pb.Email) {
	b.q, b.id, b.start, b.raw = q, e.GetBodyId(), 0, b.raw[:0]
}

// at returns octets from an offset on, as many as the chunk has; io.EOF if there
// are none.
func (b *body) at(offset uint64) ([]byte, error) {
	if offset >= b.start && offset < b.start+uint64(len(b.raw)) {
		return b.raw[offset-b.start:], nil
	}
	if err := b.q.ctx.Err(); err != nil {
		return nil, err
	}
	found := false
	err := b.q.mb.Chunks(b.id, offset, 1, func(c *pb.BodyChunk) (bool, error) {
		raw, err := message.Unpack(b.raw[:0], c)
		if err != nil {
			return false, err
		}
		b.start, b.raw = c.GetOffset(), raw
		found = offset >= b.start && offset < b.start+uint64(len(raw))
		return false, nil
	})
	if err != nil {
		return nil, err
	}
	if !found {
		return nil, io.EOF
	}
	return b.raw[offset-b.start:], nil
}

// section reads the octets [next, end).
type section struct {
	b         *body
	next, end uint64
}

func (b *body) section(offset, length uint64) *section {
	return &section{b, offset, offset + length}
}

func (s *section) Read(p []byte) (int, error) {
	if s.next >= s.end {
		return 0, io.EOF
	}
	raw, err := s.b.at(s.next)
	if err != nil {
		return 0, err
	}
	if left := s.end - s.next; uint64(len(raw)) > left {
		raw = raw[:left]
	}
	n := copy(p, raw)
	s.next += uint64(n)
	return n, nil
}

// field is a header field: "name: value", folded.
type field struct {
	name  string
	text  []byte
	value int // where the value starts in text
}

// header reads the header of a part. It never returns nil without an error.
func (b *body) header(p *pb.BodyPart) ([]field, error) {
	raw, err := io.ReadAll(b.section(p.GetHeaderOffset(), min(p.GetHeaderSize(), maxHeader)))
	if err != nil {
		return nil, err
	}
	fields := []field{}
	message.Fields(raw, func(name string, value []byte) {
		text := append(fold(nil, name), ": "...)
		fields = append(fields, field{name, fold(text, message.HeaderText(value)), len(text)})
	})
	return fields, nil
}

func inHeader(needle []byte, fields []field) bool {
	for _, f := range fields {
		if bytes.Contains(f.text, needle) {
			return true
		}
	}
	return false
}

// texts looks through the texts of a message, until the tree is decided.
func (q *query) texts(root *node, m *candidate) error {
	err := q.part(root, m, m.email.GetStructure(), true)
	m.done = true
	return err
}

// part looks through a part: its header, unless it is the message's own, which
// has been looked at, and its body or its parts.
func (q *query) part(root *node, m *candidate, p *pb.BodyPart, top bool) error {
	if p == nil {
		return nil
	}
	needles := open(root, m, nil)
	if len(needles) == 0 {
		return nil
	}
	if !top && p.GetHeaderSize() > 0 && has(needles, opText) {
		fields, err := q.body.header(p)
		if err != nil {
			return err
		}
		for _, n := range needles {
			if n.op == opText && inHeader(n.needle, fields) {
				n.hit = true
			}
		}
		if needles = open(root, m, needles[:0]); len(needles) == 0 {
			return nil
		}
	}
	for _, child := range p.GetParts() {
		if err := q.part(root, m, child, false); err != nil {
			return err
		}
	}
	// MESSAGE/DELIVERY-STATUS and the like are texts too.
	if len(p.GetParts()) > 0 || p.GetType() != "TEXT" && p.GetType() != "MESSAGE" {
		return nil
	}
	text := message.Text(q.body.section(p.GetBodyOffset(), p.GetSize()), p)
	return q.body.win.look(text, q.longest, needles, func() (bool, error) {
		return eval(root, m) != unknown, q.ctx.Err()
	})
}

func has(list []*node, o op) bool {
	for _, n := range list {
		if n.op == o {
			return true
		}
	}
	return false
}

// inEnvelope looks into the envelope's field of a name.
func inEnvelope(name string, needle []byte, e *pb.Envelope) bool {
	var list []*pb.Address
	switch name {
	case "subject":
		return bytes.Contains(fold(nil, message.HeaderText(e.GetSubject())), needle)
	case "from":
		list = e.GetFrom()
	case "to":
		list = e.GetTo()
	case "cc":
		list = e.GetCc()
	case "bcc":
		list = e.GetBcc()
	}
	if len(list) == 0 {
		return false
	}
	var sb strings.Builder
	for _, a := range list {
		sb.WriteString(message.HeaderText(a.GetName()))
		sb.WriteString(" <")
		sb.WriteString(message.HeaderText(a.GetMailbox()))
		sb.WriteByte('@')
		sb.WriteString(message.HeaderText(a.GetHost()))
		sb.WriteString(">, ")
	}
	return bytes.Contains(fold(nil, sb.String()), needle)
}
