package witness

import (
	"errors"
	"fmt"
	"net/mail"
	"strconv"
	"strings"

	"github.com/quorumail/quorumail/bench/check"
	"github.com/quorumail/quorumail/bench/traffic"
)

// maxDepth bounds nested lists in a response.
const maxDepth = 50

// value is one piece of a response: an atom or number, a string, or a list.
type value struct {
	text   string  // of an atom or string
	quoted bool    // a quoted string or a literal
	isList bool    // what stood in parentheses
	list   []value // nil for the empty list
}

// number returns the value as a number.
func (v value) number(bits int) (uint64, error) {
	if v.quoted || v.isList {
		return 0, fmt.Errorf("%q is not a number", v.text)
	}
	return strconv.ParseUint(v.text, 10, bits)
}

// fetched is a FETCH response, as far as was asked for.
type fetched struct {
	uid       uint32
	modSeq    uint64
	flags     []string // as in check.Message
	hasFlags  bool
	messageID string
}

// parseFetch reads "12 FETCH (…)"; ok is false if the line is something else.
func parseFetch(line string) (f fetched, ok bool, err error) {
	_, rest, _ := strings.Cut(line, " ")
	name, rest, _ := strings.Cut(rest, " ")
	if !strings.EqualFold(name, "FETCH") {
		return f, false, nil
	}
	vs, err := parseValues(rest)
	if err != nil {
		return f, true, fmt.Errorf("FETCH: %w", err)
	}
	if len(vs) != 1 || !vs[0].isList || len(vs[0].list)%2 != 0 {
		return f, true, fmt.Errorf("FETCH: not pairs in a list: %.200s", line)
	}
	for pairs := vs[0].list; len(pairs) > 0 && err == nil; pairs = pairs[2:] {
		err = f.take(strings.ToUpper(pairs[0].text), pairs[1])
	}
	if err != nil {
		err = fmt.Errorf("FETCH: %w", err)
	}
	return f, true, err
}

// take takes one item of a FETCH response.
func (f *fetched) take(name string, v value) error {
	switch name {
	case "UID":
		n, err := v.number(32)
		f.uid = uint32(n)
		return err
	case "MODSEQ":
		if len(v.list) != 1 {
			return fmt.Errorf("MODSEQ %v (RFC 7162, 7)", v)
		}
		var err error
		f.modSeq, err = v.list[0].number(63)
		return err
	case "FLAGS":
		var flags []string
		for _, flag := range v.list {
			flags = append(flags, flag.text)
		}
		f.flags, f.hasFlags = check.NormalFlags(flags), true
	case "BODY[HEADER.FIELDS (MESSAGE-ID)]":
		m, err := mail.ReadMessage(strings.NewReader(v.text))
		if err != nil {
			return fmt.Errorf("header %q: %w", v.text, err)
		}
		f.messageID = m.Header.Get("Message-ID")
	}
	return nil
}

// parseVanished reads "VANISHED …"; ok is false if the line is something else.
func parseVanished(line string) (ranges []check.Range, ok bool, err error) {
	rest, ok := cutPrefixFold(line, "VANISHED ")
	if !ok {
		return nil, false, nil
	}
	rest, _ = cutPrefixFold(rest, "(EARLIER) ")
	set, err := traffic.ParseSet(rest)
	for _, r := range set.Ranges() {
		ranges = append(ranges, check.Range{First: uint32(r.First), Last: uint32(r.Last)})
	}
	return ranges, true, err
}

// codeNumber reads "OK [NAME 12] …"; ok is false if the line is something else.
func codeNumber(line, name string) (n uint64, ok bool) {
	rest, ok := cutPrefixFold(line, "OK ["+name+" ")
	if !ok {
		return 0, false
	}
	digits, _, ok := strings.Cut(rest, "]")
	n, err := strconv.ParseUint(digits, 10, 63)
	return n, ok && err == nil
}

func cutPrefixFold(s, prefix string) (rest string, ok bool) {
	if len(s) < len(prefix) || !strings.EqualFold(s[:len(prefix)], prefix) {
		return s, false
	}
	return s[len(prefix):], true
}

// parseValues reads the pieces of a line. Literals stand in it as they came:
// {5} CRLF hello.
func parseValues(line string) ([]value, error) {
	p := &parser{rest: line}
	vs, err := p.sequence(0)
	if err == nil && p.rest != "" {
		err = errors.New("a parenthesis too many")
	}
	return vs, err
}

type parser struct{ rest string }

// sequence reads pieces up to a closing parenthesis, which it leaves, or the end.
func (p *parser) sequence(depth int) (vs []value, err error) {
	if depth > maxDepth {
		return nil, errors.New("lists nested too deep")
	}
	for p.rest != "" && p.rest[0] != ')' {
		var v value
		switch p.rest[0] {
		case ' ':
			p.rest = p.rest[1:]
			continue
		case '(':
			v, err = p.listValue(depth)
		case '"':
			v, err = p.quotedValue()
		case '{':
			v, err = p.literalValue()
		default:
			v = p.atom()
		}
		if err != nil {
			return nil, err
		}
		vs = append(vs, v)
	}
	return vs, nil
}

func (p *parser) listValue(depth int) (value, error) {
	p.rest = p.rest[1:]
	list, err := p.sequence(depth + 1)
	if err == nil && p.rest == "" {
		err = errors.New("a list does not end")
	}
	if err != nil {
		return value{}, err
	}
	p.rest = p.rest[1:]
	return value{isList: true, list: list}, nil
}

func (p *parser) quotedValue() (value, error) {
	var sb strings.Builder
	for i := 1; i < len(p.rest); i++ {
		switch c := p.rest[i]; {
		case c == '"':
			p.rest = p.rest[i+1:]
			return value{text: sb.String(), quoted: true}, nil
		case c == '\\' && i+1 < len(p.rest):
			i++
			fallthrough
		default:
			sb.WriteByte(p.rest[i])
		}
	}
	return value{}, errors.New("a quoted string does not end")
}

func (p *parser) literalValue() (value, error) {
	digits, rest, ok := strings.Cut(p.rest[1:], "}\r\n")
	n, err := strconv.ParseUint(digits, 10, 32)
	if !ok || err != nil || n > uint64(len(rest)) {
		return value{}, fmt.Errorf("literal {%.20s", digits)
	}
	p.rest = rest[n:]
	return value{text: rest[:n], quoted: true}, nil
}

// atom reads up to a space or parenthesis. Brackets belong to it, with all that
// is in them: BODY[HEADER.FIELDS (DATE)].
func (p *parser) atom() value {
	depth := 0
	for i := 0; i < len(p.rest); i++ {
		switch c := p.rest[i]; {
		case c == '[':
			depth++
		case c == ']':
			depth--
		case depth == 0 && (c == ' ' || c == '(' || c == ')'):
			v := value{text: p.rest[:i]}
			p.rest = p.rest[i:]
			return v
		}
	}
	v := value{text: p.rest}
	p.rest = ""
	return v
}
