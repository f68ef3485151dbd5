package message

import (
	"bytes"

	pb "github.com/quorumail/quorumail/proto/quorumail/v1"
)

// Bounds of what is described of one message. What lies beyond them is opaque: it
// belongs to the part that it is in, which then is an application/octet-stream.
const (
	maxDepth    = 100       // parts inside parts
	maxParts    = 1000      // of the message
	maxHeader   = 256 << 10 // octets of one header whose fields are looked at
	maxDescribe = 256 << 10 // octets of all that the content record repeats
	maxBoundary = 1000
	// maxHeld is how much of a line may have to be held back until it is known
	// whether it is a delimiter.
	maxHeld = maxBoundary + 4
)

// scanner finds the MIME tree of a message that is fed to it in pieces; what it
// finds does not depend on where the pieces end. Offsets are those of the
// message. It holds the header that is being read, a bounded part of a line, and
// samples for the preview.
type scanner struct {
	root       *node
	top        *pb.Envelope // of the message itself
	refs       []string
	properRefs int
	stack      []*node // open parts, outermost first
	parts      int
	budget     int // octets that may yet be repeated in the content record

	offset uint64 // of the next octet
	lines  uint64 // line ends before it
	line   lineState
	held   []byte // the line so far, while it is undecided
	cr     bool   // the last octet was a CR, in the same line
	match  int    // of a delimiter: the place of its multipart on the stack
	last   bool   // of a delimiter: it closes the multipart
	// before is the end of the line before, without its line end, and how many line
	// ends precede that place: where a part ends that a delimiter follows.
	before mark

	headerEnd   uint64 // of the root; 0 while not known
	plain, html sample
}

// mark is a place in the message.
type mark struct{ offset, lines uint64 }

// lineState is what is known of the line that is being read.
type lineState uint8

const (
	undecided lineState = iota
	ordinary
	blank
	delimiter
)

func newScanner() *scanner {
	s := &scanner{budget: maxDescribe}
	s.root = s.open(nil, nil)
	return s
}

// write looks at the next octets of the message.
func (s *scanner) write(p []byte) {
	for len(p) > 0 {
		piece, ends := p, false
		if i := bytes.IndexByte(p, '\n'); i >= 0 {
			piece, ends = p[:i+1], true
		}
		s.piece(piece, ends)
		p = p[len(piece):]
	}
}

// piece looks at the next octets of a line.
func (s *scanner) piece(p []byte, ends bool) {
	rest := p
	if s.line == undecided {
		line := p
		rest = nil
		if len(s.held) > 0 || !ends {
			n := min(len(p), maxHeld-len(s.held))
			s.held = append(s.held, p[:n]...)
			line, rest = s.held, p[n:]
		}
		if ends || !mayBeSpecial(line) || len(line) >= maxHeld {
			s.decide(line)
			if s.line == ordinary {
				s.content(line)
			}
			s.held = s.held[:0]
		}
	}
	if s.line == ordinary {
		s.content(rest)
	}
	s.offset += uint64(len(p))
	if !ends {
		s.cr = p[len(p)-1] == '\r'
		return
	}
	eol := uint64(1)
	if len(p) > 1 && p[len(p)-2] == '\r' || len(p) == 1 && s.cr {
		eol = 2
	}
	s.endLine(eol)
}

// mayBeSpecial reports whether a line that begins so can be a delimiter or the
// end of a header.
func mayBeSpecial(line []byte) bool {
	return line[0] == '-' || len(line) == 1 && line[0] == '\r'
}

// decide finds out what a line is from its beginning.
func (s *scanner) decide(line []byte) {
	s.line = ordinary
	switch {
	case len(line) == 1 && line[0] == '\n' || len(line) == 2 && line[0] == '\r' && line[1] == '\n':
		s.line = blank
	case len(line) > 2 && line[0] == '-' && line[1] == '-':
		s.delimiter(line[2:])
	}
}

// delimiter looks whether a line is a delimiter of an open multipart. The line
// need only begin with it (RFC 2046, 5.1.1); if several do, the longest is meant,
// and of equal ones the innermost. A multipart that has been closed is not
// opened again by its own delimiter.
func (s *scanner) delimiter(text []byte) {
	longest := 0
	for i := len(s.stack) - 1; i >= 0; i-- {
		n := s.stack[i]
		if len(n.boundary) > longest && !n.epilogue && bytes.HasPrefix(text, n.boundary) {
			longest = len(n.boundary)
			s.line, s.match = delimiter, i
			s.last = bytes.HasPrefix(text[longest:], []byte("--"))
		}
	}
}

// content takes octets of an ordinary line.
func (s *scanner) content(p []byte) {
	n := s.stack[len(s.stack)-1]
	switch {
	case n.inHeader:
		n.header = append(n.header, p[:min(len(p), maxHeader-len(n.header))]...)
	case n.sample != nil:
		n.sample.add(p)
	}
}

// endLine is told that a line ended with a line end of so many octets.
func (s *scanner) endLine(eol uint64) {
	if s.line == delimiter {
		s.closeAbove(s.match, s.before)
	}
	s.before = mark{s.offset - eol, s.lines}
	s.lines++
	switch s.line {
	case blank:
		if n := s.stack[len(s.stack)-1]; n.inHeader {
			s.body(n)
		} else {
			s.content([]byte("\r\n"[2-eol:]))
		}
	case delimiter:
		s.next(s.stack[s.match])
	}
	s.line, s.cr = undecided, false
}

// end is told that the message has no more octets.
func (s *scanner) end() {
	if s.line == undecided && len(s.held) > 0 {
		s.decide(s.held)
		if s.line == ordinary {
			s.content(s.held)
		}
	}
	if s.line == delimiter {
		s.closeAbove(s.match, s.before)
		s.next(s.stack[s.match])
	}
	s.closeAbove(-1, mark{s.offset, s.lines})
	if s.headerEnd == 0 {
		s.headerEnd = s.offset
	}
}

// closeAbove ends the parts above a place of the stack. Where the innermost must
// end later, since its header does, so must those around it.
func (s *scanner) closeAbove(i int, end mark) {
	for len(s.stack) > i+1 {
		n := s.stack[len(s.stack)-1]
		s.stack = s.stack[:len(s.stack)-1]
		end = s.finish(n, end)
	}
}

// open begins a part at the current place, in a multipart or as the message that
// a part holds.
func (s *scanner) open(parent, holder *node) *node {
	n := &node{part: &pb.BodyPart{HeaderOffset: s.offset}, inHeader: true, opened: mark{s.offset, s.lines}, holder: holder}
	if holder != nil {
		parent = holder
	}
	if parent != nil {
		parent.part.Parts = append(parent.part.Parts, n.part)
		n.digest = holder == nil && parent.part.GetSubtype() == "DIGEST"
	}
	s.parts++
	s.stack = append(s.stack, n)
	return n
}
