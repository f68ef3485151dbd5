// Package section finds the octets that a FETCH section names: BODY[…] and its
// kin (RFC 9051, 6.4.5.1) over a message's MIME tree, header fields by name, and
// the decoded content of BINARY (RFC 3516). It is pure: structures and octets
// in, places and octets out.
package section

import (
	"bytes"
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
			if int(n) > len(cur.GetParts()) {
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
// partials cut. ok is false if the message has no such section.
func Find(e *pb.Email, s *wire.Section) (r Range, ok bool) {
	root := e.GetStructure()
	if len(s.Part) == 0 {
		switch s.Specifier {
		case "":
			return Range{0, e.GetSize()}, true
		case "TEXT":
			return Range{root.GetBodyOffset(), e.GetSize() - root.GetBodyOffset()}, true
		}
		return Range{0, root.GetHeaderSize()}, true
	}
	p := Part(root, s.Part)
	if p == nil {
		return Range{}, false
	}
	switch s.Specifier {
	case "":
		return body(p), true
	case "MIME":
		return header(p), true
	}
	// HEADER and TEXT are of a message: a part that is none has neither.
	if !isMessage(p) {
		return Range{}, false
	}
	inner := p.GetParts()[0]
	if s.Specifier == "TEXT" {
		b := body(inner)
		end := p.GetBodyOffset() + p.GetSize()
		return Range{b.Offset, max(end, b.Offset) - b.Offset}, true
	}
	return header(inner), true
}

func body(p *pb.BodyPart) Range   { return Range{p.GetBodyOffset(), p.GetSize()} }
func header(p *pb.BodyPart) Range { return Range{p.GetHeaderOffset(), p.GetHeaderSize()} }

// Content returns where the body of the part of a BINARY section is and what it
// is encoded with. ok is false if there is no such part; of a multipart, and of
// the whole message, the encoding is "BINARY": they are handed out as they are.
func Content(e *pb.Email, numbers []uint32) (r Range, encoding string, ok bool) {
	if len(numbers) == 0 {
		return Range{0, e.GetSize()}, "BINARY", true
	}
	p := Part(e.GetStructure(), numbers)
	if p == nil {
		return Range{}, "", false
	}
	if p.GetType() == "MULTIPART" || p.GetType() == "MESSAGE" {
		return body(p), "BINARY", true
	}
	return body(p), p.GetEncoding(), true
}

// HeaderOnly reports whether a section lies within the message's own header.
func HeaderOnly(s *wire.Section) bool {
	return len(s.Part) == 0 && strings.HasPrefix(s.Specifier, "HEADER")
}

// Fields returns the lines of a header whose field names are among names or,
// with not, are not; in their order and as they are folded, with the empty line
// that ends a header.
func Fields(header []byte, names []string, not bool) []byte {
	wanted := make(map[string]bool, len(names))
	for _, n := range names {
		wanted[strings.ToLower(n)] = true
	}
	var out []byte
	keep := false
	for len(header) > 0 {
		line := header
		if i := bytes.IndexByte(header, '\n'); i >= 0 {
			line = header[:i+1]
		}
		header = header[len(line):]
		bare := bytes.TrimRight(line, "\r\n")
		if len(bare) == 0 {
			break
		}
		if bare[0] != ' ' && bare[0] != '\t' {
			name, _, found := bytes.Cut(bare, []byte{':'})
			keep = found && wanted[strings.ToLower(string(bytes.TrimRight(name, " \t")))] != not
		}
		if keep {
			out = append(append(out, bare...), '\r', '\n')
		}
	}
	return append(out, '\r', '\n')
}
