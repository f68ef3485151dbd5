// Package section finds the octets that a FETCH section names: BODY[…] and its
// kin (RFC 9051, 6.4.5.1) over a message's MIME tree, header fields by name, and
// the decoded content of BINARY (RFC 3516). It is pure: structures and octets
// in, places and octets out.
//
// A literal is announced with its size before its octets. So sizes come first:
// [Find] knows them from the structure; what [FieldFilter] and [Binary] make of
// octets is known only when they have been through it once, to be counted or to
// be kept: see [Meter].
package section

import (
	"strings"

	"github.com/quorumail/quorumail/imapfront/wire"
	pb "github.com/quorumail/quorumail/proto/quorumail/v1"
)

// Range is a run of octets of a message.
type Range struct{ Offset, Length uint64 }

// Cut returns the part of r that a partial fetch asks for: empty if it starts
// past the end.
func (r Range) Cut(p *wire.Partial) Range {
	if p == nil {
		return r
	}
	if p.Offset >= r.Length {
		return Range{Offset: r.Offset + r.Length}
	}
	return Range{Offset: r.Offset + p.Offset, Length: min(p.Length, r.Length-p.Offset)}
}

// isMessage reports whether a part holds a message.
func isMessage(p *pb.BodyPart) bool { return p.GetType() == "MESSAGE" && len(p.GetParts()) == 1 }

// Part returns the part that numbers name (RFC 9051, 6.4.5.1), nil if there is
// none. Every message has a part 1: its body, if it is no multipart.
func Part(root *pb.BodyPart, numbers []uint32) *pb.BodyPart {
	cur := root
	fresh := true // cur is a message's root, whose own body is its part 1
	for _, n := range numbers {
		if !fresh && isMessage(cur) {
			cur, fresh = cur.GetParts()[0], true
		}
		switch {
		case cur.GetType() == "MULTIPART":
			if n == 0 || uint64(n) > uint64(len(cur.GetParts())) {
				return nil
			}
			cur, fresh = cur.GetParts()[n-1], false
		case fresh && n == 1:
			fresh = false
		default:
			return nil
		}
	}
	return cur
}

// Find returns where the octets of a section are, before fields are picked and
// partials cut. ok is false if the message has no such section: the answer is
// NIL then. The range lies within the message, whatever its description says.
func Find(e *pb.Email, s *wire.Section) (r Range, ok bool) {
	root := e.GetStructure()
	if len(s.Part) == 0 {
		switch s.Specifier {
		case "":
			return Range{0, e.GetSize()}, true
		case "TEXT":
			return within(e, root.GetBodyOffset(), e.GetSize()), true
		}
		return within(e, 0, root.GetHeaderSize()), true
	}
	p := Part(root, s.Part)
	if p == nil {
		return Range{}, false
	}
	switch s.Specifier {
	case "":
		return body(e, p), true
	case "MIME":
		return header(e, p), true
	}
	// HEADER and TEXT are of a message: a part that is none has neither.
	if !isMessage(p) {
		return Range{}, false
	}
	inner := p.GetParts()[0]
	if s.Specifier != "TEXT" {
		return header(e, inner), true
	}
	whole, text := body(e, p), body(e, inner)
	return Range{text.Offset, max(whole.Offset+whole.Length, text.Offset) - text.Offset}, true
}

func body(e *pb.Email, p *pb.BodyPart) Range { return within(e, p.GetBodyOffset(), p.GetSize()) }
func header(e *pb.Email, p *pb.BodyPart) Range {
	return within(e, p.GetHeaderOffset(), p.GetHeaderSize())
}

// within is a range cut to what the message has.
func within(e *pb.Email, offset, length uint64) Range {
	offset = min(offset, e.GetSize())
	return Range{offset, min(length, e.GetSize()-offset)}
}

// HeaderOnly reports whether a section lies within the message's own header.
func HeaderOnly(s *wire.Section) bool {
	return len(s.Part) == 0 && strings.HasPrefix(s.Specifier, "HEADER")
}
