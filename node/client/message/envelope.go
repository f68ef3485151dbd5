package message

import (
	"bytes"

	pb "github.com/quorumail/quorumail/proto/quorumail/v1"
)

// maxAddresses bounds the addresses of one field.
const maxAddresses = 2000

// envelope takes the ENVELOPE from a header (RFC 9051, 7.5.2).
func envelope(fields []field) *pb.Envelope {
	e := &pb.Envelope{
		Date: first(fields, "date"), Subject: first(fields, "subject"),
		InReplyTo: first(fields, "in-reply-to"), MessageId: first(fields, "message-id"),
		From: addresses(first(fields, "from")), Sender: addresses(first(fields, "sender")),
		ReplyTo: addresses(first(fields, "reply-to")),
		To:      addressFields(fields, "to"), Cc: addressFields(fields, "cc"), Bcc: addressFields(fields, "bcc"),
	}
	if len(e.Sender) == 0 {
		e.Sender = e.From
	}
	if len(e.ReplyTo) == 0 {
		e.ReplyTo = e.From
	}
	return e
}

// addressFields joins the fields of a name: more than one is against RFC 5322,
// 3.6, but what they name are recipients all the same.
func addressFields(fields []field, name string) []*pb.Address {
	var list []*pb.Address
	for _, f := range fields {
		if f.name == name && len(list) < maxAddresses {
			list = append(list, addresses(f.value)...)
		}
	}
	return list[:min(len(list), maxAddresses)]
}

// addresses parses an address list (RFC 5322, 3.4) as leniently as mail needs.
// Encoded words stay as they are written.
func addresses(v []byte) []*pb.Address {
	p := &addressParser{b: v}
	for p.i < len(p.b) && len(p.list) < maxAddresses {
		p.address()
	}
	if p.group {
		p.list = append(p.list, &pb.Address{})
	}
	return p.list
}

type addressParser struct {
	b     []byte
	i     int
	list  []*pb.Address
	group bool
}

// word is a piece of an address's text.
type word struct {
	text   []byte
	spaced bool // white space before it
	quoted bool
}

// address parses up to the next comma, or a group's start or end.
func (p *addressParser) address() {
	var words []word
	var comment []byte
	spaced := false
	for p.i < len(p.b) {
		switch c := p.b[p.i]; c {
		case ' ', '\t', '\r', '\n':
			spaced = true
			p.i++
			continue
		case '(':
			if text := p.comment(); comment == nil {
				comment = text
			}
			spaced = true
			continue
		case '"':
			words = append(words, word{p.quoted(), spaced, true})
		case '<':
			p.i++
			local, host := p.angle()
			p.add(phrase(words, comment), local, host)
			p.toComma()
			return
		case ',':
			p.i++
			p.bare(words, comment)
			return
		case ';':
			p.i++
			p.bare(words, comment)
			if p.group {
				p.list = append(p.list, &pb.Address{})
				p.group = false
			}
			return
		case ':':
			if !p.group && !hasAt(words) {
				p.i++
				p.group = true
				name := phrase(words, nil)
				if name == nil {
					name = []byte{}
				}
				p.list = append(p.list, &pb.Address{Mailbox: name})
				return
			}
			fallthrough
		default:
			start := p.i
			for p.i++; p.i < len(p.b) && bytes.IndexByte([]byte(" \t\r\n(\"<,;:@"), p.b[p.i]) < 0 && c != '@'; p.i++ {
			}
			words = append(words, word{p.b[start:p.i], spaced, false})
		}
		spaced = false
	}
	p.bare(words, comment)
}

func hasAt(words []word) bool {
	for _, w := range words {
		if !w.quoted && len(w.text) == 1 && w.text[0] == '@' {
			return true
		}
	}
	return false
}

// bare adds an address without angle brackets: "local@host (name)".
func (p *addressParser) bare(words []word, comment []byte) {
	if len(words) == 0 {
		return
	}
	var local, host []byte
	at := false
	for _, w := range words {
		switch {
		case !w.quoted && len(w.text) == 1 && w.text[0] == '@' && !at:
			at = true
		case at:
			host = append(host, w.text...)
		default:
			if w.spaced && len(local) > 0 {
				local = append(local, ' ')
			}
			local = append(local, w.text...)
		}
	}
	if !at {
		host = []byte{} // not NIL: that would make it a group
	}
	p.add(comment, local, host)
}

func (p *addressParser) add(name, local, host []byte) {
	if local == nil {
		local = []byte{}
	}
	if host == nil {
		host = []byte{}
	}
	p.list = append(p.list, &pb.Address{Name: name, Mailbox: local, Host: host})
}

// phrase joins the words of a display name; the comment stands in for none.
func phrase(words []word, comment []byte) []byte {
	if len(words) == 0 {
		return comment
	}
	text := []byte{}
	for i, w := range words {
		if i > 0 && (w.spaced || w.quoted || words[i-1].quoted) {
			text = append(text, ' ')
		}
		text = append(text, w.text...)
	}
	return text
}

// angle parses what is in angle brackets, the source route dropped.
func (p *addressParser) angle() (local, host []byte) {
	at := false
	for p.i < len(p.b) {
		switch c := p.b[p.i]; c {
		case '>':
			p.i++
			return local, host
		case '"':
			local = append(local, p.quoted()...)
			continue
		case '(':
			p.comment()
			continue
		case '@':
			at = true
		case ':':
			if at && len(local) == 0 { // <@route:local@host>
				at, host = false, nil
			} else if at {
				host = append(host, c)
			} else {
				local = append(local, c)
			}
		case ' ', '\t', '\r', '\n':
		default:
			if at {
				host = append(host, c)
			} else {
				local = append(local, c)
			}
		}
		p.i++
	}
	return local, host
}

// toComma passes over what follows an address.
func (p *addressParser) toComma() {
	for p.i < len(p.b) {
		switch p.b[p.i] {
		case ',':
			p.i++
			return
		case ';':
			if p.group {
				p.list = append(p.list, &pb.Address{})
				p.group = false
			}
			p.i++
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

// quoted reads a quoted string without its quotes and escapes.
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

// comment reads a comment without its parentheses.
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

// references returns the Message-IDs that a message names as its ancestors,
// oldest first (RFC 5322, 3.6.4).
func references(fields []field) []string {
	var ids []string
	seen := make(map[string]bool)
	for _, name := range []string{"references", "in-reply-to"} {
		v := first(fields, name)
		for len(v) > 0 && len(ids) < 200 {
			open := bytes.IndexByte(v, '<')
			if open < 0 {
				break
			}
			end := bytes.IndexByte(v[open:], '>')
			if end < 0 {
				break
			}
			id := string(bytes.ToValidUTF8(v[open+1:open+end], []byte("?")))
			v = v[open+end+1:]
			if id != "" && len(id) <= 1000 && !seen[id] {
				seen[id] = true
				ids = append(ids, id)
			}
		}
	}
	return ids
}
