package wire

import (
	"errors"
	"strconv"
	"strings"
	"unicode/utf8"
)

// MessageURL is what a relative IMAP URL of a message or a part of one refers to
// (RFC 5092, 6 and 7).
type MessageURL struct {
	Mailbox     string
	UIDValidity uint32 // 0: not given
	UID         uint32
	Section     *Section // with what is cut from it
}

var errURL = errors.New("not a relative IMAP URL of a message or a part of one")

// ParseMessageURL parses a URL that CATENATE may name: relative, since others are
// not of this session (RFC 4469, 3). selected is the selected mailbox, empty if
// there is none. A URL that begins with the UID is of that mailbox; else the name
// replaces the last component of that, unless the URL begins with "/".
func ParseMessageURL(url, selected string) (m MessageURL, err error) {
	name, rest, ok := cutParam(url, ";UID=")
	if !ok {
		return m, errURL
	}
	if m.Mailbox, m.UIDValidity, err = parseMailboxRef(name, selected); err != nil {
		return m, err
	}
	uid, rest, _ := strings.Cut(rest, "/")
	if m.UID, ok = nzNumber(uid); !ok {
		return m, errURL
	}
	m.Section = &Section{Label: "BODY", Peek: true}
	if section, found := cutPrefixFold(rest, ";SECTION="); found {
		section, rest = cutAtParam(section)
		if m.Section, err = parseSection(section); err != nil {
			return m, err
		}
	}
	if partial, found := cutPrefixFold(rest, ";PARTIAL="); found {
		if m.Section.Partial, ok = parsePartialRange(partial); !ok {
			return m, errURL
		}
		rest = ""
	}
	if rest != "" {
		return m, errURL
	}
	return m, nil
}

// parseMailboxRef parses what stands before ";UID=": a mailbox and maybe its
// UIDVALIDITY.
func parseMailboxRef(ref, selected string) (mailbox string, uidValidity uint32, err error) {
	ref, isDir := strings.CutSuffix(ref, "/")
	if name, validity, found := cutParam(ref, ";UIDVALIDITY="); found {
		var ok bool
		if uidValidity, ok = nzNumber(validity); !ok {
			return "", 0, errURL
		}
		ref = name
	}
	switch {
	case isDir:
	case ref == "" && selected != "":
		return selected, uidValidity, nil
	default:
		return "", 0, errURL
	}
	name, absolute := strings.CutPrefix(ref, "/")
	if name, err = unescape(name); err != nil {
		return "", 0, err
	}
	if !absolute && selected != "" {
		name = selected[:strings.LastIndexByte(selected, '/')+1] + name
	}
	for part := range strings.SplitSeq(name, "/") {
		if part == "" || part == "." || part == ".." {
			return "", 0, errURL // the last two would have to be resolved; the first is another server's
		}
	}
	return CanonicalMailbox(name), uidValidity, nil
}

// cutParam cuts a URL at a parameter, whose name has no case.
func cutParam(s, param string) (before, after string, found bool) {
	for i := 0; i+len(param) <= len(s); i++ {
		if s[i] == ';' && strings.EqualFold(s[i:i+len(param)], param) {
			return s[:i], s[i+len(param):], true
		}
	}
	return s, "", false
}

func cutPrefixFold(s, prefix string) (rest string, found bool) {
	if len(s) < len(prefix) || !strings.EqualFold(s[:len(prefix)], prefix) {
		return s, false
	}
	return s[len(prefix):], true
}

// cutAtParam cuts a section where a parameter follows it.
func cutAtParam(s string) (section, rest string) {
	if i := strings.Index(s, "/;"); i >= 0 {
		return s[:i], s[i+1:]
	}
	return s, ""
}

func nzNumber(s string) (uint32, bool) {
	n, err := strconv.ParseUint(s, 10, 32)
	return uint32(n), err == nil && n > 0 && isDigit(s[0])
}

// parsePartialRange parses number ["." nz-number]; without a length it goes to the
// end.
func parsePartialRange(s string) (*Partial, bool) {
	offset, length, found := strings.Cut(s, ".")
	p := &Partial{Length: 1<<63 - 1}
	var err error
	if p.Offset, err = strconv.ParseUint(offset, 10, 63); err != nil || !isDigit(offset[0]) {
		return nil, false
	}
	if found {
		if p.Length, err = strconv.ParseUint(length, 10, 63); err != nil || p.Length == 0 || !isDigit(length[0]) {
			return nil, false
		}
	}
	return p, true
}

// parseSection parses an enc-section, which is what stands in the brackets of
// FETCH BODY[…].
func parseSection(enc string) (*Section, error) {
	text, err := unescape(enc)
	if err != nil || strings.ContainsAny(text, "\r\n{") {
		return nil, errURL
	}
	r := &Reader{line: []byte("[" + text + "]")}
	p := &parser{r: r}
	s := p.section("BODY", true)
	if p.err != nil || p.rest() > 0 || s.Partial != nil {
		return nil, errURL
	}
	return s, nil
}

// unescape decodes 1*bchar (RFC 5092, 11): what is not allowed there is refused.
func unescape(s string) (string, error) {
	var sb strings.Builder
	for i := 0; i < len(s); i++ {
		c := s[i]
		switch {
		case c == '%':
			if i+2 >= len(s) {
				return "", errURL
			}
			n, err := strconv.ParseUint(s[i+1:i+3], 16, 8)
			if err != nil {
				return "", errURL
			}
			sb.WriteByte(byte(n))
			i += 2
		case c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z', isDigit(c), strings.IndexByte("-._~!$'()*+,&=:@/", c) >= 0:
			sb.WriteByte(c)
		default:
			return "", errURL
		}
	}
	if out := sb.String(); out != "" && utf8.ValidString(out) && strings.IndexByte(out, 0) < 0 {
		return out, nil
	}
	return "", errURL
}

// BadURL is the response code for a URL that cannot be resolved (RFC 4469, 4.1).
// What must not stand in a code is escaped.
func BadURL(url string) string {
	var sb strings.Builder
	sb.WriteString("BADURL ")
	for i := 0; i < len(url) && sb.Len() < 1000; i++ {
		if c := url[i]; c > ' ' && c < 0x7f && c != ']' {
			sb.WriteByte(c)
		} else {
			sb.WriteString("%" + strings.ToUpper(strconv.FormatUint(0x100|uint64(c), 16)[1:]))
		}
	}
	return sb.String()
}
