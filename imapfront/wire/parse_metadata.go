package wire

import (
	"fmt"
	"math"
	"strings"

	"github.com/quorumail/quorumail/proto/imapnum"
)

// SetMetadata is RFC 5464, 4.3. An empty mailbox means the server.
type SetMetadata struct {
	Mailbox string
	Entries []MetadataEntry
}

// GetMetadata is RFC 5464, 4.2. An empty mailbox means the server. The names are
// as the client spells them, and well-formed.
type GetMetadata struct {
	Mailbox string
	Names   []string
	// Depth is how many levels below each name are wanted: 0, 1 or AllDepths.
	Depth uint32
	// MaxSize is the most octets of a value; nil: no bound.
	MaxSize *uint64
}

// AllDepths is "DEPTH infinity".
const AllDepths = math.MaxUint32

// MetadataEntry is an annotation: its name, and its value, nil for NIL.
type MetadataEntry struct {
	Name  string
	Value []byte
}

func (SetMetadata) command() {}
func (GetMetadata) command() {}

// maxMetadataNames bounds the names of a command: each is looked for in each
// mailbox that a LIST tells.
const maxMetadataNames = 100

func (p *parser) setMetadata() Command {
	s := SetMetadata{Mailbox: p.mailbox0()}
	p.sp()
	p.list(func() {
		e := MetadataEntry{Name: p.entryName(false)}
		p.sp()
		e.Value = p.metadataValue()
		s.Entries = append(s.Entries, e)
	})
	return s
}

// entryName reads the name of an annotation; with level, one that only has
// annotations below it will do.
func (p *parser) entryName(level bool) string {
	name := p.astring()
	if p.err != nil {
		return ""
	}
	_, ok := imapnum.MetadataName(name)
	if level {
		_, ok = imapnum.MetadataPath(name)
	}
	switch {
	case !ok:
		p.fail("not the name of an annotation")
	case len(name) > imapnum.MaxMetadataName:
		p.err = &SyntaxError{Code: "LIMIT", Text: "the name of an annotation is too long", No: true}
	}
	return name
}

// metadataValue reads a value: NIL, a string or a literal8.
func (p *parser) metadataValue() []byte {
	var value []byte
	switch p.peek() {
	case '~':
		p.char('~')
		value = p.octets(imapnum.MaxMetadataValue, maxMetadataCode)
	case '{':
		value = p.octets(imapnum.MaxMetadataValue, maxMetadataCode)
		p.noNUL(value)
	case '"':
		value = []byte(p.quoted())
	default:
		if !p.word("NIL") {
			p.fail("want NIL or a string")
		}
		return nil
	}
	if p.err == nil && len(value) > imapnum.MaxMetadataValue {
		p.err = &SyntaxError{Code: maxMetadataCode, Text: "the value is too large", No: true}
	}
	return value
}

var maxMetadataCode = fmt.Sprintf("METADATA MAXSIZE %d", imapnum.MaxMetadataValue)

// getMetadata parses GETMETADATA. The options stand before the mailbox in the
// grammar (RFC 5464, 5) and after it in the examples (4.2.1, 4.2.2).
func (p *parser) getMetadata() Command {
	g := GetMetadata{}
	options := p.peek() == '('
	if options {
		p.metadataOptions(&g)
		p.sp()
	}
	g.Mailbox = p.mailbox0()
	p.sp()
	if !options && p.peek() == '(' && (p.ahead(1, "MAXSIZE") || p.ahead(1, "DEPTH")) {
		p.metadataOptions(&g)
		p.sp()
	}
	// With a depth, a name stands for what is below it.
	g.Names = p.entryNames(g.Depth > 0)
	return g
}

func (p *parser) metadataOptions(g *GetMetadata) {
	depth := false
	p.list(func() {
		switch name := p.atom(); {
		case name == "MAXSIZE" && g.MaxSize == nil:
			p.sp()
			n := uint64(p.number())
			g.MaxSize = &n
		case name == "DEPTH" && !depth:
			depth = true
			p.sp()
			switch strings.ToUpper(p.take(isAtomChar)) {
			case "0":
			case "1":
				g.Depth = 1
			case "INFINITY":
				g.Depth = AllDepths
			default:
				p.fail("want 0, 1 or infinity")
			}
		default:
			p.fail("unknown or repeated option")
		}
	})
}

// entryNames reads one name, or several in parentheses.
func (p *parser) entryNames(level bool) []string {
	if p.peek() != '(' {
		return []string{p.entryName(level)}
	}
	var names []string
	p.list(func() {
		if len(names) >= maxMetadataNames {
			p.fail("too many entries")
		}
		names = append(names, p.entryName(level))
	})
	return names
}
