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
var mutf7 = base64.NewEncoding("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+,").WithPadding(base64.NoPadding)

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
	return CanonicalMailbox(s), nil
}

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
// ASCII are left as they are.
func DecodeMailbox(s string) (string, error) {
	var sb strings.Builder
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
		if code == "" {
			sb.WriteByte('&')
			continue
		}
		raw, err := mutf7.DecodeString(code)
		if err != nil || len(raw)%2 != 0 {
			return "", errMailboxName
		}
		units := make([]uint16, len(raw)/2)
		for i := range units {
			units[i] = uint16(raw[2*i])<<8 | uint16(raw[2*i+1])
		}
		for _, c := range utf16.Decode(units) {
			if c == utf8.RuneError || c >= ' ' && c < 0x7f {
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
// for anything, "%" for anything without a separator (RFC 9051, 6.3.9). INBOX
// as the first component is compared without regard to case. The cost is at most
// the product of both lengths.
func MatchPattern(pattern, name string) bool {
	if len(pattern) >= 5 && strings.EqualFold(pattern[:5], "INBOX") {
		pattern = "INBOX" + pattern[5:]
	}
	// states[i]: the first i octets of the pattern match what has been read.
	states := make([]bool, len(pattern)+1)
	states[0] = true
	spread := func() {
		for i := 0; i < len(pattern); i++ {
			if states[i] && (pattern[i] == '*' || pattern[i] == '%') {
				states[i+1] = true
			}
		}
	}
	spread()
	next := make([]bool, len(pattern)+1)
	for j := 0; j < len(name); j++ {
		clear(next)
		for i, on := range states[:len(pattern)] {
			if !on {
				continue
			}
			switch c := pattern[i]; {
			case c == '*' || c == '%' && name[j] != '/':
				next[i] = true
			case c == name[j] && c != '%':
				next[i+1] = true
			}
		}
		states, next = next, states
		spread()
	}
	return states[len(pattern)]
}
