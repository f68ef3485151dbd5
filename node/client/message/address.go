package message

import (
	"bytes"
	"strings"

	pb "github.com/quorumail/quorumail/proto/quorumail/v1"
)

// parseAddresses parses an address list (RFC 5322, 3.4 and 4.4) into ENVELOPE's
// addresses (RFC 9051, 7.5.2). It understands groups, comments, quoted strings,
// source routes and the old habit of a name in a comment, and makes something of
// anything else. Encoded words stay as they are written, which a parser that
// decodes names, as go-message's, cannot give. A host that is missing is empty:
// NIL would make it a group.
func parseAddresses(v []byte) []*pb.Address {
	p := &addressParser{b: v}
	for p.i < len(p.b) && len(p.list) <= maxAddresses {
		p.address()
	}
	p.endGroup()
	return p.list
}

type addressParser struct {
	b     []byte
	i     int
	list  []*pb.Address
	group bool
}

// atom is a piece of an address: a run of octets without meaning of their own, a
// quoted string, or an at sign.
type atom struct {
	text   []byte
	spaced bool // white space or a comment before it
	quoted bool
}

func (a atom) isAt() bool { return !a.quoted && len(a.text) == 1 && a.text[0] == '@' }

const addressSpecials = " \t\r\n(\"<>,;:@"

// address parses up to the end of an address or of a group's name, or past a
// group's end.
func (p *addressParser) address() {
	var atoms []atom
	var comment []byte
	spaced, at := false, false
	for p.i < len(p.b) {
		c := p.b[p.i]
		switch c {
		case ' ', '\t', '\r', '\n':
			p.i++
			spaced = true
			continue
		case '(':
			if text := p.comment(); comment == nil {
				comment = text
			}
			spaced = true
			continue
		case '<':
			p.i++
			route, local, host := p.angle()
			p.add(phrase(atoms, comment), local, host)
			p.list[len(p.list)-1].Route = route
			p.skip()
			return
		case ',':
			p.i++
			p.bare(atoms, comment)
			return
		case ';':
			p.i++
			p.bare(atoms, comment)
			p.endGroup()
			return
		case ':':
			p.i++
			if !p.group && !at {
				name := phrase(atoms, nil)
				p.group = true
				p.list = append(p.list, &pb.Address{Mailbox: append([]byte{}, name...)})
				return
			}
			atoms = append(atoms, atom{[]byte{':'}, spaced, false})
		case '"':
			atoms = append(atoms, atom{p.quoted(), spaced, true})
		case '@':
			p.i++
			at = true
			atoms = append(atoms, atom{[]byte{'@'}, spaced, false})
		case '>': // of nothing
			p.i++
			continue
		default:
			start := p.i
			for p.i < len(p.b) && strings.IndexByte(addressSpecials, p.b[p.i]) < 0 {
				p.i++
			}
			atoms = append(atoms, atom{p.b[start:p.i], spaced, false})
		}
		spaced = false
	}
	p.bare(atoms, comment)
}

func (p *addressParser) endGroup() {
	if p.group {
		p.list = append(p.list, &pb.Address{})
		p.group = false
	}
}

// bare adds an address without angle brackets, "local@host (name)", if there is
// anything of one.
func (p *addressParser) bare(atoms []atom, comment []byte) {
	if len(atoms) == 0 {
		return
	}
	var local, host []byte
	at := false
	for _, a := range atoms {
		switch {
		case a.isAt() && !at:
			at = true
		case at:
			host = append(host, a.text...)
		default:
			if a.spaced && len(local) > 0 {
				local = append(local, ' ')
			}
			local = append(local, a.text...)
		}
	}
	p.add(comment, local, host)
}

func (p *addressParser) add(name, local, host []byte) {
	p.list = append(p.list, &pb.Address{
		Name: name, Mailbox: append([]byte{}, local...), Host: append([]byte{}, host...),
	})
}

// phrase joins a display name; a comment stands in for none.
func phrase(atoms []atom, comment []byte) []byte {
	if len(atoms) == 0 {
		return comment
	}
	text := []byte{}
	for i, a := range atoms {
		if i > 0 && (a.spaced || a.quoted || atoms[i-1].quoted) {
			text = append(text, ' ')
		}
		text = append(text, a.text...)
	}
	return text
}

// angle parses what is in angle brackets, with the source route that may stand
// before the address (RFC 5322, 4.4).
func (p *addressParser) angle() (route, local, host []byte) {
	at := false
	for p.i < len(p.b) {
		c := p.b[p.i]
		switch {
		case c == '>':
			p.i++
			return route, local, host
		case c == '"':
			local, host = put(local, host, at, p.quoted()...)
			continue
		case c == '(':
			p.comment()
			continue
		case c == '@' && !at:
			at = true
		case c == ':' && at && len(local) == 0: // <@route:local@host>
			route = append([]byte{'@'}, host...)
			at, host = false, nil
		case c == ' ' || c == '\t' || c == '\r' || c == '\n':
		default:
			local, host = put(local, host, at, c)
		}
		p.i++
	}
	return route, local, host
}

// put adds octets to the part of an address that is being read.
func put(local, host []byte, at bool, text ...byte) ([]byte, []byte) {
	if at {
		return local, append(host, text...)
	}
	return append(local, text...), host
}

// skip passes over what follows an address, to the next.
func (p *addressParser) skip() {
	for p.i < len(p.b) {
		switch p.b[p.i] {
		case ',':
			p.i++
			return
		case ';':
			p.i++
			p.endGroup()
			return
		case '(':
			p.comment()
		case '"':
			p.quoted()
		default:
			p.i++
		}
	}
}

// quoted reads a quoted string, without its quotes and backslashes.
func (p *addressParser) quoted() []byte {
	text := []byte{}
	for p.i++; p.i < len(p.b); p.i++ {
		switch c := p.b[p.i]; {
		case c == '"':
			p.i++
			return text
		case c == '\\' && p.i+1 < len(p.b):
			p.i++
			text = append(text, p.b[p.i])
		default:
			text = append(text, c)
		}
	}
	return text
}

// comment reads a comment, without its outer parentheses and backslashes.
func (p *addressParser) comment() []byte {
	text := []byte{}
	depth := 0
	for ; p.i < len(p.b); p.i++ {
		c := p.b[p.i]
		switch {
		case c == '(':
			if depth++; depth == 1 {
				continue
			}
		case c == ')':
			if depth--; depth == 0 {
				p.i++
				return bytes.TrimSpace(text)
			}
		case c == '\\' && p.i+1 < len(p.b):
			p.i++
			c = p.b[p.i]
		}
		text = append(text, c)
	}
	return bytes.TrimSpace(text)
}
