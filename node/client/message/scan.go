package message

import (
	"bytes"

	pb "github.com/quorumail/quorumail/proto/quorumail/v1"
)

// Bounds of what is described of one message. What lies beyond is opaque: it
// belongs to the part that it is in.
const (
	maxDepth    = 50
	maxParts    = 1000
	maxHeader   = 256 << 10 // octets of one header whose fields are looked at
	maxLine     = 8 << 10   // a longer line is looked at in pieces
	maxBoundary = 200
	sampleSize  = 8 << 10 // octets of a text part kept for the preview
)

// scanner finds the MIME tree of a message that is fed to it in pieces. Offsets
// are those of the message.
type scanner struct {
	root  *node
	stack []*node // open parts, outermost first
	parts int

	offset  uint64 // of the octets not yet looked at
	lines   uint64 // line ends before offset
	partial []byte // an unfinished line before offset+len
	inLine  bool   // the line has begun in an earlier piece
	// lineEnd is where the line end before the current line starts, and how many
	// line ends are before that place.
	lineEnd      uint64
	linesAtEnd   uint64
	headerEnd    uint64 // of the root; 0 while not known
	sample       []byte
	sampleOf     *node
	sampleIsHTML bool
}

// node is an open part.
type node struct {
	part     *pb.BodyPart
	inHeader bool
	header   []byte
	boundary []byte // of a multipart whose parts are being read
	epilogue bool   // its closing delimiter has been seen
	digest   bool
	message  bool   // its body is a message: the next node on the stack is it
	isRoot   bool   // of a message, so that its header has an envelope
	lines    uint64 // line ends before its body
	holder   *node  // of a message's root: the part it is the body of
}

func newScanner() *scanner {
	s := &scanner{}
	s.root = s.open(nil, 0, true)
	return s
}

// open begins a part at an offset, under a parent that takes it as a child.
func (s *scanner) open(parent *node, offset uint64, isRoot bool) *node {
	n := &node{part: &pb.BodyPart{HeaderOffset: offset}, inHeader: true, isRoot: isRoot}
	if parent != nil {
		parent.part.Parts = append(parent.part.Parts, n.part)
		if isRoot {
			n.holder = parent
		}
	}
	s.parts++
	s.stack = append(s.stack, n)
	return n
}

// write looks at the next octets of the message.
func (s *scanner) write(p []byte) {
	for len(p) > 0 {
		i := bytes.IndexByte(p, '\n')
		if i < 0 {
			s.partial = append(s.partial, p...)
			if len(s.partial) >= maxLine {
				s.piece(s.partial, false)
				s.partial = s.partial[:0]
			}
			return
		}
		line := p[:i+1]
		if len(s.partial) > 0 {
			s.partial = append(s.partial, line...)
			line = s.partial
		}
		s.piece(line, true)
		s.partial = s.partial[:0]
		p = p[i+1:]
	}
}

// piece looks at a line, or a part of one that is very long.
func (s *scanner) piece(line []byte, ends bool) {
	whole := ends && !s.inLine
	top := s.stack[len(s.stack)-1]
	if !s.inLine && line[0] == '-' && s.delimiter(line) {
		s.advance(line, ends)
		return
	}
	switch {
	case top.inHeader && whole && isBlank(line):
		s.advance(line, ends)
		s.body(top)
		return
	case top.inHeader:
		if len(top.header)+len(line) <= maxHeader {
			top.header = append(top.header, line...)
		}
	case s.sampleOf == top && len(s.sample) < sampleSize:
		s.sample = append(s.sample, line[:min(len(line), sampleSize-len(s.sample))]...)
	}
	s.advance(line, ends)
}

// advance moves past a line or a piece of one.
func (s *scanner) advance(line []byte, ends bool) {
	if ends {
		s.linesAtEnd = s.lines
		s.lines++
		eol := uint64(1)
		if len(line) > 1 && line[len(line)-2] == '\r' {
			eol = 2
		}
		s.lineEnd = s.offset + uint64(len(line)) - eol
	}
	s.offset += uint64(len(line))
	s.inLine = !ends
}

func isBlank(line []byte) bool {
	return len(line) == 1 || len(line) == 2 && line[0] == '\r'
}

// delimiter looks whether a line is a delimiter of an open multipart, from the
// innermost out (RFC 2046, 5.1.1), and if so acts on it.
func (s *scanner) delimiter(line []byte) bool {
	if len(line) < 3 || line[1] != '-' {
		return false
	}
	text := bytes.TrimRight(line[2:], " \t\r\n")
	for i := len(s.stack) - 1; i >= 0; i-- {
		n := s.stack[i]
		if n.boundary == nil || n.epilogue {
			continue
		}
		rest, ok := bytes.CutPrefix(text, n.boundary)
		if !ok || len(rest) > 0 && !bytes.Equal(rest, []byte("--")) {
			continue
		}
		s.closeAbove(i)
		if len(rest) > 0 || s.parts >= maxParts {
			n.epilogue = true
			return true
		}
		child := s.open(n, s.offset+uint64(len(line)), false)
		child.digest = n.digest
		return true
	}
	return false
}

// closeAbove ends the parts above a place of the stack. The line end before the
// delimiter belongs to the delimiter.
func (s *scanner) closeAbove(i int) {
	for len(s.stack) > i+1 {
		n := s.stack[len(s.stack)-1]
		s.stack = s.stack[:len(s.stack)-1]
		s.finish(n, s.lineEnd, s.linesAtEnd)
	}
}

// finish ends a part at an offset before which there are so many line ends.
func (s *scanner) finish(n *node, end, lines uint64) {
	if n.inHeader {
		// The header had no end: there is no body.
		end = max(end, n.part.GetHeaderOffset())
		n.part.HeaderSize = end - n.part.GetHeaderOffset()
		n.part.BodyOffset = end
		n.inHeader = false
		s.describe(n)
		if n.isRoot && n.holder != nil {
			n.holder.part.Envelope = envelope(parseHeader(n.header))
		}
		n.header = nil
		return
	}
	end = max(end, n.part.GetBodyOffset())
	n.part.Size = end - n.part.GetBodyOffset()
	if t := n.part.GetType(); t == "TEXT" || t == "MESSAGE" {
		n.part.Lines = max(lines, n.lines) - n.lines
	}
}

// body begins a part's body after the empty line that ended its header.
func (s *scanner) body(n *node) {
	n.inHeader = false
	n.part.HeaderSize = s.offset - n.part.GetHeaderOffset()
	n.part.BodyOffset = s.offset
	n.lines = s.lines
	if n == s.root {
		s.headerEnd = s.offset
	}
	s.describe(n)
	if n.isRoot && n.holder != nil {
		n.holder.part.Envelope = envelope(parseHeader(n.header))
	}
	if n != s.root {
		n.header = nil
	}
	switch {
	case n.part.GetType() == "MULTIPART":
		b := param(n.part.GetParams(), "BOUNDARY")
		if len(b) == 0 || len(b) > maxBoundary || len(s.stack) >= maxDepth {
			// Nothing can tell its parts: it is text that claims to be more.
			n.part.Type, n.part.Subtype = "TEXT", "PLAIN"
			return
		}
		n.boundary = bytes.TrimRight(b, " \t")
		n.digest = n.part.GetSubtype() == "DIGEST"
	case n.message && len(s.stack) < maxDepth && s.parts < maxParts:
		s.open(n, s.offset, true)
	case n.message:
		n.message = false
		n.part.Type, n.part.Subtype = "APPLICATION", "OCTET-STREAM"
	case n.part.GetType() == "TEXT":
		html := n.part.GetSubtype() == "HTML"
		if s.sampleOf == nil || s.sampleIsHTML && !html {
			s.sampleOf, s.sampleIsHTML, s.sample = n, html, nil
		}
	}
}

// end is told that the message has no more octets.
func (s *scanner) end() {
	if len(s.partial) > 0 {
		last := s.partial
		s.partial = nil
		if len(last) > 2 && last[0] == '-' && !s.inLine && s.delimiter(last) {
			s.advance(last, false)
		} else {
			s.tail(last)
		}
	}
	for len(s.stack) > 0 {
		n := s.stack[len(s.stack)-1]
		s.stack = s.stack[:len(s.stack)-1]
		if n.inHeader && n.part.GetHeaderOffset() > s.offset {
			n.part.HeaderOffset = s.offset
		}
		s.finish(n, s.offset, s.lines)
	}
	if s.headerEnd == 0 {
		s.headerEnd = s.offset
	}
}

// tail takes a last line that has no end.
func (s *scanner) tail(line []byte) {
	top := s.stack[len(s.stack)-1]
	if top.inHeader && len(top.header)+len(line) <= maxHeader {
		top.header = append(top.header, line...)
	}
	if s.sampleOf == top && len(s.sample) < sampleSize {
		s.sample = append(s.sample, line[:min(len(line), sampleSize-len(s.sample))]...)
	}
	s.advance(line, false)
}
