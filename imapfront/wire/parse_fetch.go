package wire

import "strings"

// fetch parses FETCH (RFC 9051, 6.4.5) with its modifiers (RFC 7162, 3.1.4.1 and
// 3.2.6; RFC 9394, 4).
func (p *parser) fetch(uid bool) Command {
	f := Fetch{UID: uid, Set: p.numSet()}
	p.sp()
	if p.peek() == '(' {
		p.list(func() { f.Items = append(f.Items, p.fetchItem()) })
	} else {
		f.Items = p.fetchMacro()
	}
	if p.more() && p.try(' ') {
		p.list(func() {
			switch name := p.atom(); {
			case name == "CHANGEDSINCE" && f.ChangedSince == nil:
				p.sp()
				// RFC 7162, 7 wants one above 0. Thunderbird says 0 of a mailbox whose
				// HIGHESTMODSEQ it has not kept, and gives the mailbox up if refused.
				n := p.modSeq()
				f.ChangedSince = &n
			case name == "PARTIAL" && f.Partial == PartialRange{}:
				p.sp()
				f.Partial = p.partialRange()
			case name == "VANISHED" && !f.Vanished:
				f.Vanished = true
			default:
				p.fail("unknown or repeated modifier")
			}
		})
	}
	// RFC 7162, 3.2.6: only with UID FETCH, and only with CHANGEDSINCE.
	if f.Vanished && (!uid || f.ChangedSince == nil || *f.ChangedSince == 0) {
		p.fail("VANISHED needs UID FETCH and CHANGEDSINCE above 0")
	}
	return f
}

// fetchMacro parses one item or a macro, which may only stand alone.
func (p *parser) fetchMacro() []FetchItem {
	var names []string
	switch {
	case p.word("ALL"):
		names = []string{"FLAGS", "INTERNALDATE", "RFC822.SIZE", "ENVELOPE"}
	case p.word("FAST"):
		names = []string{"FLAGS", "INTERNALDATE", "RFC822.SIZE"}
	case p.word("FULL"):
		names = []string{"FLAGS", "INTERNALDATE", "RFC822.SIZE", "ENVELOPE", "BODY"}
	default:
		return []FetchItem{p.fetchItem()}
	}
	items := make([]FetchItem, len(names))
	for i, n := range names {
		items[i].Name = n
	}
	return items
}

// fetchItem parses a fetch-att.
func (p *parser) fetchItem() FetchItem {
	name := strings.ToUpper(p.take(func(c byte) bool { return isAtomChar(c) && c != '[' && c != '<' }))
	switch name {
	case "FLAGS", "INTERNALDATE", "RFC822.SIZE", "ENVELOPE", "BODYSTRUCTURE", "UID", "MODSEQ", "EMAILID", "THREADID", "SAVEDATE":
		return FetchItem{Name: name}
	case "PREVIEW":
		// RFC 8970, 4.1: LAZY allows an answer of NIL; ours is always at hand. What
		// else is in parentheses may be a modifier of the whole FETCH.
		if p.peek() == ' ' && p.ahead(2, "LAZY") {
			p.sp()
			p.list(func() {
				if p.atom() != "LAZY" {
					p.fail("unknown modifier of PREVIEW")
				}
			})
		}
		return FetchItem{Name: name}
	case "RFC822":
		return FetchItem{Name: "SECTION", Section: &Section{Label: name}}
	case "RFC822.HEADER":
		return FetchItem{Name: "SECTION", Section: &Section{Label: name, Peek: true, Specifier: "HEADER"}}
	case "RFC822.TEXT":
		return FetchItem{Name: "SECTION", Section: &Section{Label: name, Specifier: "TEXT"}}
	case "BODY":
		if p.peek() != '[' {
			return FetchItem{Name: name}
		}
		return FetchItem{Name: "SECTION", Section: p.section("BODY", false)}
	case "BODY.PEEK":
		return FetchItem{Name: "SECTION", Section: p.section("BODY", true)}
	case "BINARY", "BINARY.PEEK":
		return FetchItem{Name: "BINARY", Section: p.binary(name == "BINARY.PEEK", true)}
	case "BINARY.SIZE":
		return FetchItem{Name: name, Section: p.binary(true, false)}
	}
	p.fail("unknown data item")
	return FetchItem{}
}

// section parses "[" section-spec "]" [partial].
func (p *parser) section(label string, peek bool) *Section {
	s := &Section{Label: label, Peek: peek}
	p.char('[')
	s.Part = p.partNumbers()
	if p.peek() != ']' {
		s.Specifier = strings.ToUpper(p.take(func(c byte) bool { return isAtomChar(c) && c != '[' }))
		switch s.Specifier {
		case "HEADER", "TEXT":
		case "MIME":
			if len(s.Part) == 0 {
				p.fail("MIME needs a part")
			}
		case "HEADER.FIELDS", "HEADER.FIELDS.NOT":
			p.sp()
			p.list(func() { s.Fields = append(s.Fields, p.astring()) })
		default:
			p.fail("unknown section")
		}
	}
	p.char(']')
	s.Partial = p.partial()
	return s
}

// maxPartDepth bounds the numbers of a part; no message's structure is described
// so deeply.
const maxPartDepth = 200

// partNumbers parses section-part, and the dot after it if a word follows.
func (p *parser) partNumbers() []uint32 {
	var part []uint32
	for isDigit(p.peek()) {
		part = append(part, p.nzNumber())
		if len(part) > maxPartDepth {
			p.fail("parts nested too deeply")
		}
		if p.peek() == ']' {
			break
		}
		p.char('.')
		if p.peek() == ']' {
			p.fail("want a part number or a word")
		}
	}
	return part
}

func (p *parser) binary(peek, partial bool) *Section {
	s := &Section{Label: "BINARY", Peek: peek}
	p.char('[')
	for p.err == nil && isDigit(p.peek()) {
		s.Part = append(s.Part, p.nzNumber())
		if len(s.Part) > maxPartDepth {
			p.fail("parts nested too deeply")
		}
		if !p.try('.') {
			break
		}
		if !isDigit(p.peek()) {
			p.fail("want a part number")
		}
	}
	p.char(']')
	if partial {
		s.Partial = p.partial()
	}
	return s
}

// partial parses "<" number64 "." nz-number64 ">".
func (p *parser) partial() *Partial {
	if !p.try('<') {
		return nil
	}
	part := &Partial{Offset: p.number64()}
	p.char('.')
	p.nonZero()
	part.Length = p.number64()
	p.char('>')
	return part
}
