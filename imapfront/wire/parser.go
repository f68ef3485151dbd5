package wire

import (
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/quorumail/quorumail/proto/imapnum"
)

// parser reads the elements of the grammar from a Reader's line. A method named
// after an element reads it; the first mistake sticks, and from then on nothing
// is read. Handlers look at err once, at the end.
type parser struct {
	r     *Reader
	err   error
	depth int
}

// maxDepth bounds nesting, of search keys above all.
const maxDepth = 50

func (p *parser) fail(text string) {
	if p.err == nil {
		p.err = &SyntaxError{Text: text}
	}
}

// rest returns how many octets of the line are left; 0 after a mistake.
func (p *parser) rest() int {
	if p.err != nil {
		return 0
	}
	return len(p.r.line) - p.r.at
}

// peek returns the next octet, 0 at the end of the line.
func (p *parser) peek() byte {
	if p.rest() == 0 {
		return 0
	}
	return p.r.line[p.r.at]
}

// take reads the octets that is accepts.
func (p *parser) take(is func(byte) bool) string {
	start := p.r.at
	for p.rest() > 0 && is(p.r.line[p.r.at]) {
		p.r.at++
	}
	return string(p.r.line[start:p.r.at])
}

func (p *parser) char(c byte) {
	if p.peek() != c || p.rest() == 0 {
		p.fail("want " + strconv.QuoteRune(rune(c)))
		return
	}
	p.r.at++
}

// try reads c if it is next.
func (p *parser) try(c byte) bool {
	if p.rest() > 0 && p.peek() == c {
		p.r.at++
		return true
	}
	return false
}

func (p *parser) sp() {
	if !p.try(' ') {
		p.fail("want a space")
	}
}

// more reports whether anything follows.
func (p *parser) more() bool { return p.rest() > 0 }

// end wants the end of the command.
func (p *parser) end() {
	if p.rest() > 0 {
		p.fail("unexpected text after the command")
	}
}

// word reads an upper-case word, in any case, if it is next and whole.
func (p *parser) word(w string) bool {
	if !p.ahead(0, w) {
		return false
	}
	p.r.at += len(w)
	return true
}

// ahead reports whether a word, in any case, stands whole skip octets ahead.
func (p *parser) ahead(skip int, w string) bool {
	n := skip + len(w)
	if p.rest() < n || p.rest() > n && isAtomChar(p.r.line[p.r.at+n]) {
		return false
	}
	for i, c := range p.r.line[p.r.at+skip : p.r.at+n] {
		if upper(c) != w[i] {
			return false
		}
	}
	return true
}

func upper(c byte) byte {
	if c >= 'a' && c <= 'z' {
		return c - 'a' + 'A'
	}
	return c
}

func isTagChar(c byte) bool { return c != '+' && isAstringChar(c) }

func isAstringChar(c byte) bool { return isAtomChar(c) || c == ']' }

// isAtomChar is ATOM-CHAR of RFC 9051, 9.
func isAtomChar(c byte) bool {
	switch c {
	case '(', ')', '{', '%', '*', '"', '\\', ']':
		return false
	}
	return c > ' ' && c < 0x7f
}

func isListChar(c byte) bool { return isAstringChar(c) || c == '%' || c == '*' }

func isDigit(c byte) bool { return c >= '0' && c <= '9' }

// atom reads an atom in upper case.
func (p *parser) atom() string {
	s := p.take(isAtomChar)
	if s == "" {
		p.fail("want an atom")
	}
	return strings.ToUpper(s)
}

func (p *parser) tag() string {
	s := p.take(isTagChar)
	if s == "" || len(s) > maxTag || p.peek() != ' ' && p.rest() > 0 {
		p.fail("want a tag")
		return "*"
	}
	return s
}

// commandName reads the name of a command, "UID" with the name after it.
func (p *parser) commandName() string {
	if p.rest() == 0 {
		p.fail("want a command after the tag")
		return ""
	}
	p.sp()
	name := p.atom()
	if name == "UID" {
		p.sp()
		name = "UID " + p.atom()
	}
	return name
}

// quoted reads a quoted string (RFC 9051, 4.3). It may hold UTF-8, and nothing
// else beyond ASCII (RFC 6855, 3).
func (p *parser) quoted() string {
	p.char('"')
	var sb strings.Builder
	for p.err == nil {
		if p.rest() == 0 {
			p.fail("unterminated quoted string")
			break
		}
		c := p.r.line[p.r.at]
		p.r.at++
		switch {
		case c == '"':
			return p.valid(sb.String())
		case c == '\\':
			if e := p.peek(); e != '"' && e != '\\' {
				p.fail("bad escape in a quoted string")
				return ""
			}
			sb.WriteByte(p.r.line[p.r.at])
			p.r.at++
		case c == 0 || c == '\r':
			p.fail("control character in a quoted string")
		default:
			sb.WriteByte(c)
		}
	}
	return ""
}

// valid refuses what is not UTF-8.
func (p *parser) valid(s string) string {
	if !utf8.ValidString(s) {
		p.fail("not UTF-8")
	}
	return s
}

// str reads a string: quoted or a literal.
func (p *parser) str() string {
	switch p.peek() {
	case '"':
		return p.quoted()
	case '{':
		return p.literal()
	}
	p.fail("want a string")
	return ""
}

// astring reads an atom or a string.
func (p *parser) astring() string {
	if c := p.peek(); c == '"' || c == '{' {
		return p.str()
	}
	s := p.take(isAstringChar)
	if s == "" {
		p.fail("want a string or an atom")
	}
	return s
}

// nstring reads a string or NIL; ok is false for NIL.
func (p *parser) nstring() (s string, ok bool) {
	if p.word("NIL") {
		return "", false
	}
	return p.str(), true
}

// number64 reads a number below 2^63.
func (p *parser) number64() uint64 {
	digits := p.take(isDigit)
	n, err := strconv.ParseUint(digits, 10, 63)
	if err != nil {
		p.fail("want a number")
	}
	return n
}

// number reads a number below 2^32.
func (p *parser) number() uint32 {
	n := p.number64()
	if n > 1<<32-1 {
		p.fail("number too large")
	}
	return uint32(n)
}

// nzNumber reads a number that begins with another digit than 0.
func (p *parser) nzNumber() uint32 {
	p.nonZero()
	return p.number()
}

func (p *parser) nonZero() {
	if p.peek() == '0' {
		p.fail("want a number above 0, without leading zeros")
	}
}

// modSeq reads a mod-sequence-valzer (RFC 7162, 7).
func (p *parser) modSeq() uint64 { return p.number64() }

// nzModSeq reads a mod-sequence-value (RFC 7162, 7).
func (p *parser) nzModSeq() uint64 {
	n := p.number64()
	if n == 0 {
		p.fail("want a mod-sequence above 0")
	}
	return n
}

// maxItems bounds what a list may have: each item can cost more than its octets.
const maxItems = 1000

// list reads "(" item *(SP item) ")".
func (p *parser) list(item func()) {
	p.char('(')
	for n := 1; p.err == nil; n++ {
		if n > maxItems {
			p.fail("too many items in a list")
		}
		item()
		if p.try(')') {
			return
		}
		p.sp()
	}
}

// list0 reads "(" [item *(SP item)] ")".
func (p *parser) list0(item func()) {
	if p.rest() > 1 && p.peek() == '(' && p.r.line[p.r.at+1] == ')' {
		p.r.at += 2
		return
	}
	p.list(item)
}

// mailbox reads a mailbox name and decodes it.
func (p *parser) mailbox() string { return p.decoded(p.astring()) }

// decoded decodes a name as the session spells them. One that cannot be decoded
// is well-formed, and yet no name: that is NO.
func (p *parser) decoded(s string) string {
	name, err := p.r.decodeMailbox(s)
	if err != nil && p.err == nil {
		p.err = &SyntaxError{Code: "CANNOT", Text: err.Error(), No: true}
	}
	return name
}

// keyword reads a flag-keyword.
func (p *parser) keyword() string {
	s := p.take(isAtomChar)
	if s == "" {
		p.fail("want a keyword")
	}
	return s
}

// flag reads a flag or keyword.
func (p *parser) flag() string {
	if p.try('\\') {
		if p.try('*') {
			p.fail("\\* is not a flag")
		}
		name := p.take(isAtomChar)
		bit, ok := imapnum.ParseSystemFlag(`\` + name)
		if !ok {
			p.fail("a flag that cannot be stored")
			return ""
		}
		return bit.Names()[0]
	}
	return p.keyword()
}

func (p *parser) flagList() []string {
	flags := []string{}
	p.list0(func() { flags = append(flags, p.flag()) })
	return flags
}

// dateTime reads a date-time (RFC 9051, 9) in its quotes.
func (p *parser) dateTime() time.Time {
	s := p.quoted()
	if p.err != nil {
		return time.Time{}
	}
	t, err := time.Parse("_2-Jan-2006 15:04:05 -0700", s)
	if err != nil || len(s) != len("02-Jan-2006 15:04:05 -0700") || t.Year() < 1 {
		p.fail("malformed date-time")
	}
	return t
}

// date reads a date, in quotes or not, as midnight UTC.
func (p *parser) date() time.Time {
	var s string
	if p.peek() == '"' {
		s = p.quoted()
	} else {
		s = p.take(isAtomChar)
	}
	t, err := time.Parse("2-Jan-2006", s)
	if err != nil {
		p.fail("malformed date")
	}
	return t
}

// numSet reads a sequence-set (RFC 9051, 9), which may be or end in "$" (RFC
// 5182, 4).
func (p *parser) numSet() (set NumSet) {
	for p.err == nil {
		if p.try('$') {
			set.Saved = true
			break
		}
		r := NumRange{Start: p.seqNumber()}
		r.Stop = r.Start
		if p.try(':') {
			r.Stop = p.seqNumber()
		}
		set.Ranges = append(set.Ranges, r)
		if !p.try(',') {
			break
		}
	}
	return set
}

// seqNumber reads a nz-number or "*", which is 0.
func (p *parser) seqNumber() uint32 {
	if p.try('*') {
		return 0
	}
	return p.nzNumber()
}
