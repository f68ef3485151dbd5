package wire

// maxPatterns bounds the octets of all patterns of a LIST, with the reference
// before each: every mailbox is compared with all of them.
const maxPatterns = 8192

// listCommand parses LIST (RFC 9051, 6.3.9; RFC 5258; RFC 5819) and LSUB (RFC
// 3501, 6.3.9).
func (p *parser) listCommand(lsub bool) Command {
	l := List{LSUB: lsub}
	if !lsub && p.peek() == '(' {
		l.Extended = true
		p.listSelect(&l)
		p.sp()
	}
	l.Reference = p.mailbox0()
	p.sp()
	if !lsub && p.peek() == '(' {
		l.Extended = true
		p.list(func() { l.Patterns = append(l.Patterns, p.listMailbox()) })
	} else {
		l.Patterns = []string{p.listMailbox()}
	}
	octets := len(l.Reference) * len(l.Patterns)
	for _, pattern := range l.Patterns {
		octets += len(pattern)
	}
	if octets > maxPatterns {
		p.fail("patterns too long")
	}
	if lsub || !p.more() || !p.try(' ') {
		return l
	}
	l.Extended = true
	if p.atom() != "RETURN" {
		p.fail("want RETURN")
	}
	p.sp()
	p.list0(func() {
		switch p.atom() {
		case "SUBSCRIBED":
			l.Return.Subscribed = true
		case "CHILDREN":
			l.Return.Children = true
		case "SPECIAL-USE":
			l.Return.SpecialUse = true
		case "STATUS":
			p.sp()
			l.Return.Status = p.statusItems()
		case "MYRIGHTS": // RFC 8440
			l.Return.MyRights = true
		case "METADATA": // RFC 9590
			p.sp()
			l.Return.Metadata = p.entryNames(false)
		default:
			p.fail("unknown return option")
		}
	})
	return l
}

// listSelect parses the selection options. RECURSIVEMATCH needs one that can stand
// by itself, which SPECIAL-USE is not, nor REMOTE: both are independent options
// (RFC 5258, 6; RFC 6154, 6).
func (p *parser) listSelect(l *List) {
	p.list0(func() {
		switch p.atom() {
		case "SUBSCRIBED":
			l.Select.Subscribed = true
		case "REMOTE":
			l.Select.Remote = true
		case "RECURSIVEMATCH":
			l.Select.RecursiveMatch = true
		case "SPECIAL-USE":
			l.Select.SpecialUse = true
		default:
			p.fail("unknown selection option")
		}
	})
	if l.Select.RecursiveMatch && !l.Select.Subscribed {
		p.fail("RECURSIVEMATCH needs SUBSCRIBED")
	}
}

// mailbox0 reads a mailbox name that may be empty.
func (p *parser) mailbox0() string {
	if p.peek() == '"' || p.peek() == '{' {
		s := p.str()
		if s == "" {
			return ""
		}
		return p.decoded(s)
	}
	return p.mailbox()
}

// listMailbox reads a pattern: list-mailbox of RFC 9051, 9.
func (p *parser) listMailbox() string {
	if c := p.peek(); c == '"' || c == '{' {
		s := p.str()
		if s == "" {
			return ""
		}
		return p.pattern(s)
	}
	s := p.take(isListChar)
	if s == "" {
		p.fail("want a pattern")
	}
	return p.pattern(s)
}

// noPattern is of no name.
const noPattern = "\x00"

// pattern decodes a pattern. One that cannot be decoded is well-formed, but of no
// name: it is silently ignored (RFC 9051, 6.3.9).
func (p *parser) pattern(s string) string {
	name, err := p.r.decodeMailbox(s)
	if err != nil {
		return noPattern
	}
	return name
}
