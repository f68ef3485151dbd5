package message

import (
	"bytes"
	"strings"

	pb "github.com/quorumail/quorumail/proto/quorumail/v1"
)

// node is a part while it is open.
type node struct {
	part     *pb.BodyPart
	inHeader bool
	header   []byte  // while in it
	boundary []byte  // of a multipart
	epilogue bool    // its closing delimiter has been seen
	digest   bool    // it is in a multipart/digest
	message  bool    // its body is a message: the next node on the stack
	holder   *node   // of the root of such a message: the part it is in
	opened   mark    // start of the header
	start    mark    // of the body
	sample   *sample // takes the body's first octets for the preview
}

// next acts on a delimiter of a multipart: another part begins, or none.
func (s *scanner) next(n *node) {
	if s.last || s.parts >= maxParts {
		n.epilogue = true
		return
	}
	s.open(n, nil)
}

// body begins a part's body, after the empty line that ended its header.
func (s *scanner) body(n *node) {
	n.inHeader = false
	n.start = mark{s.offset, s.lines}
	p := n.part
	p.HeaderSize = s.offset - p.GetHeaderOffset()
	p.BodyOffset = s.offset
	if n == s.root {
		s.headerEnd = s.offset
	}
	s.describe(n)
	full := len(s.stack) >= maxDepth || s.parts >= maxParts
	switch {
	case p.GetType() == "MULTIPART" && len(n.boundary) == 0:
		// Nothing can tell its parts: to a reader it is a text.
		p.Type, p.Subtype = "TEXT", "PLAIN"
	case (p.GetType() == "MULTIPART" || n.message) && full:
		n.boundary, n.message = nil, false
		p.Type, p.Subtype = "APPLICATION", "OCTET-STREAM"
	case n.message:
		s.open(nil, n)
	}
	s.takeSample(n)
}

// finish ends a part at a place, or after its header if that is later, and
// returns where it ended.
func (s *scanner) finish(n *node, end mark) mark {
	p := n.part
	if n.inHeader {
		// There is no empty line, and so no body.
		if end.offset < n.opened.offset {
			end = n.opened
		}
		p.HeaderSize = end.offset - p.GetHeaderOffset()
		p.BodyOffset = end.offset
		n.start = end
		s.describe(n)
		if p.GetType() == "MULTIPART" && len(n.boundary) == 0 {
			p.Type, p.Subtype = "TEXT", "PLAIN"
		}
	}
	if end.offset < n.start.offset {
		end = n.start
	}
	p.Size = end.offset - p.GetBodyOffset()
	if t := p.GetType(); t == "TEXT" || t == "MESSAGE" {
		p.Lines = end.lines - n.start.lines
	}
	if len(p.GetParts()) == 0 && (p.GetType() == "MULTIPART" || n.message) {
		// BODYSTRUCTURE knows no multipart without parts and no message without a
		// body (RFC 9051, 9, "body-type-mpart"): an empty text stands in.
		p.Parts = []*pb.BodyPart{{
			Type: "TEXT", Subtype: "PLAIN", Encoding: "7BIT", HeaderOffset: end.offset, BodyOffset: end.offset,
		}}
		if n.message {
			p.Envelope = &pb.Envelope{}
		}
	}
	return end
}

// keep returns a copy of octets for the content record; nil once that has grown
// too large.
func (s *scanner) keep(b []byte) []byte {
	const overhead = 8 // of the field that has it
	if b == nil || len(b)+overhead > s.budget {
		return nil
	}
	s.budget -= len(b) + overhead
	return append([]byte{}, b...)
}

// describe fills in what a part's header says of it (RFC 2045), and the envelope
// of the message whose header it is.
func (s *scanner) describe(n *node) {
	fields := parseHeader(n.header)
	p := n.part
	value, params := contentType(first(fields, "content-type"))
	switch {
	case value != "":
		p.Type, p.Subtype, _ = strings.Cut(value, "/")
	case n.digest:
		p.Type, p.Subtype = "MESSAGE", "RFC822" // RFC 2046, 5.1.5
	default:
		p.Type, p.Subtype = "TEXT", "PLAIN" // RFC 2045, 5.2
		params = []*pb.Param{{Name: []byte("CHARSET"), Value: []byte("us-ascii")}}
	}
	if p.Type == "MULTIPART" {
		b := param(params, "BOUNDARY")
		if b == nil {
			b = param(params, "BOUNDARY*")
		}
		if b = bytes.TrimRight(b, " \t"); len(b) <= maxBoundary {
			n.boundary = b
		}
	}
	p.Params = s.keepParams(params)
	if p.Encoding = encoding(first(fields, "content-transfer-encoding")); p.Encoding == "" {
		p.Encoding = "7BIT"
	}
	if isMessage := p.Type == "MESSAGE" && (p.Subtype == "RFC822" || p.Subtype == "GLOBAL"); isMessage {
		// Only what is readable as it is holds a message (RFC 2046, 5.2.1; RFC 6532,
		// 3.7 allows other encodings, which would hide the parts inside).
		n.message = p.Encoding == "7BIT" || p.Encoding == "8BIT" || p.Encoding == "BINARY"
		if !n.message {
			p.Type, p.Subtype = "APPLICATION", "OCTET-STREAM"
		}
	}
	p.Id = s.keep(first(fields, "content-id"))
	p.Description = s.keep(first(fields, "content-description"))
	p.Md5 = s.keep(first(fields, "content-md5"))
	p.Location = s.keep(first(fields, "content-location"))
	if word, params := valueAndParams(first(fields, "content-disposition")); len(word) > 0 {
		if p.Disposition = s.keep(word); p.Disposition != nil {
			p.DispositionParams = s.keepParams(params)
		}
	}
	for _, tag := range languages(first(fields, "content-language")) {
		if tag = s.keep(tag); tag != nil {
			p.Language = append(p.Language, tag)
		}
	}
	switch {
	case n.holder != nil:
		n.holder.part.Envelope = s.envelope(fields)
	case n == s.root:
		s.top = s.envelope(fields)
		s.refs, s.properRefs = s.references(fields)
	}
	n.header = nil
}

func (s *scanner) keepParams(params []*pb.Param) []*pb.Param {
	var kept []*pb.Param
	for _, p := range params {
		if len(p.Name)+len(p.Value)+16 > s.budget {
			break
		}
		kept = append(kept, &pb.Param{Name: s.keep(p.Name), Value: s.keep(p.Value)})
	}
	return kept
}
