package wire

import (
	"encoding/base64"
	"errors"
	"strings"
	"unicode/utf16"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"
)

var errMailboxName = errors.New("not a mailbox name in modified UTF-7")

// mutf7 is the alphabet of RFC 3501, 5.1.3: "," for "/", no padding.
var mutf7 = base64.NewEncoding("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+,").WithPadding(base64.NoPadding).Strict()

// decodeMailbox decodes a mailbox name as the session spells them, puts it into
// NFC and INBOX into upper case.
func (r *Reader) decodeMailbox(s string) (string, error) {
	if !r.utf8 && strings.IndexByte(s, '&') >= 0 {
		var err error
		if s, err = DecodeMailbox(s); err != nil {
			return "", err
		}
	}
	if !utf8.ValidString(s) {
		return "", errors.New("mailbox name is not UTF-8")
	}
	name := CanonicalMailbox(s)
	if name != s {
		if r.supplied == nil {
			r.supplied = make(map[string]string)
		}
		r.supplied[name] = s
	}
	return name, nil
}

// Supplied returns how the client has spelled a mailbox name in the last command,
// if not as CanonicalMailbox does; else "" (RFC 9051, 6.3.9.7).
func (r *Reader) Supplied(name string) string { return r.supplied[name] }

// CanonicalMailbox puts a name into NFC and INBOX, alone or as the first
// component, into upper case (RFC 9051, 5.1).
func CanonicalMailbox(s string) string {
	s = norm.NFC.String(s)
	if head, _, _ := strings.Cut(s, "/"); strings.EqualFold(head, "INBOX") {
		s = "INBOX" + s[len("INBOX"):]
	}
	return s
}

// DecodeMailbox decodes a name in modified UTF-7 (RFC 3501, 5.1.3). Octets above
// ASCII are left as they are. It refuses what has more than one meaning or none:
// encoded ASCII, halves of surrogate pairs, bits left over, shifts that need not
// be there: each name has one form.
func DecodeMailbox(s string) (string, error) {
	var sb strings.Builder
	encoded := false // what comes before was
	for {
		head, rest, found := strings.Cut(s, "&")
		sb.WriteString(head)
		if !found {
			return sb.String(), nil
		}
		code, rest, found := strings.Cut(rest, "-")
		if !found {
			return "", errMailboxName
		}
		s = rest
		if encoded && head == "" && code != "" {
			return "", errMailboxName
		}
		if encoded = code != ""; !encoded {
			sb.WriteByte('&')
			continue
		}
		raw, err := mutf7.DecodeString(code) // which passes over line ends
		if err != nil || len(raw)%2 != 0 || strings.ContainsAny(code, "\r\n") {
			return "", errMailboxName
		}
		for len(raw) > 0 {
			c := rune(raw[0])<<8 | rune(raw[1])
			raw = raw[2:]
			if utf16.IsSurrogate(c) {
				if len(raw) < 2 {
					return "", errMailboxName
				}
				c = utf16.DecodeRune(c, rune(raw[0])<<8|rune(raw[1]))
				raw = raw[2:]
				if c == utf8.RuneError {
					return "", errMailboxName
				}
			}
			if c >= ' ' && c < 0x7f {
				return "", errMailboxName // ASCII represents itself
			}
			sb.WriteRune(c)
		}
	}
}

// EncodeMailbox encodes a name in modified UTF-7.
func EncodeMailbox(s string) string {
	var sb strings.Builder
	var pending []rune
	flush := func() {
		if len(pending) == 0 {
			return
		}
		units := utf16.Encode(pending)
		raw := make([]byte, 0, 2*len(units))
		for _, u := range units {
			raw = append(raw, byte(u>>8), byte(u))
		}
		sb.WriteString("&" + mutf7.EncodeToString(raw) + "-")
		pending = pending[:0]
	}
	for _, c := range s {
		switch {
		case c == '&':
			flush()
			sb.WriteString("&-")
		case c >= ' ' && c < 0x7f:
			flush()
			sb.WriteRune(c)
		default:
			pending = append(pending, c)
		}
	}
	flush()
	return sb.String()
}

// MatchPattern reports whether a mailbox name is of a LIST pattern: "*" stands
// for anything, "%" for anything without a separator (RFC 9051, 6.3.9). INBOX,
// alone or as the first component of the name, is compared without regard to
// case. The cost is at most the product of both lengths.
func MatchPattern(pattern, name string) bool {
	matches, _ := runPattern(pattern, name)
	return matches
}

// PatternReaches reports whether a name that begins with prefix can be of a LIST
// pattern.
func PatternReaches(pattern, prefix string) bool {
	_, reaches := runPattern(pattern, prefix)
	return reaches
}

// runPattern reports whether a name matches a pattern, and whether one that begins
// so can.
func runPattern(pattern, name string) (matches, reaches bool) {
	fold := 0 // octets of the name whose case means nothing
	if head, _, _ := strings.Cut(name, "/"); head == "INBOX" {
		fold = len(head)
	}
	// states[i]: the first i octets of the pattern match what has been read.
	var short [2][64]bool
	states, next := short[0][:], short[1][:]
	if len(pattern) < len(states) {
		states, next = states[:len(pattern)+1], next[:len(pattern)+1]
	} else {
		states, next = make([]bool, len(pattern)+1), make([]bool, len(pattern)+1)
	}
	states[0] = true
	skipWildcards(pattern, states)
	for j := 0; j < len(name); j++ {
		clear(next)
		any := false
		for i, on := range states[:len(pattern)] {
			if !on {
				continue
			}
			switch c := pattern[i]; {
			case c == '*' || c == '%' && name[j] != '/':
				next[i], any = true, true
			case c == '%':
			case c == name[j] || j < fold && upper(c) == name[j]:
				next[i+1], any = true, true
			}
		}
		if !any {
			return false, false
		}
		states, next = next, states
		skipWildcards(pattern, states)
	}
	return states[len(pattern)], true
}

// skipWildcards adds the states that are reached by wildcards that stand for
// nothing.
func skipWildcards(pattern string, states []bool) {
	for i := 0; i < len(pattern); i++ {
		if states[i] && (pattern[i] == '*' || pattern[i] == '%') {
			states[i+1] = true
		}
	}
}
