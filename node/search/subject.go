package search

import "strings"

// maxSubject bounds the subject that is looked at: more is no subject.
const maxSubject = 2000

// baseSubject returns what RFC 5256, 2.1 leaves of a subject whose encoded words
// are decoded, and whether the message is a reply or forward by it (RFC 5256, 3).
func baseSubject(s string) (base string, reply bool) {
	s = singleSpaced(s[:min(len(s), maxSubject)]) // (1)
	for {
		var trailer bool
		if s, trailer = withoutTrailers(s); trailer { // (2)
			reply = true
		}
		for more := true; more; { // (5)
			rest, refwd, ok := withoutLeader(s)
			switch {
			case ok: // (3)
				s, reply = rest, reply || refwd
			default: // (4)
				rest, ok = withoutBlob(s)
				if ok = ok && rest != ""; ok {
					s = rest
				}
			}
			more = ok
		}
		if len(s) < len("[fwd:]") || !strings.EqualFold(s[:5], "[fwd:") || s[len(s)-1] != ']' { // (6)
			return s, reply
		}
		s, reply = s[5:len(s)-1], true
	}
}

// singleSpaced turns all runs of white space into one space.
func singleSpaced(s string) string {
	var sb strings.Builder
	space := false
	for i := 0; i < len(s); i++ {
		switch c := s[i]; c {
		case ' ', '\t', '\r', '\n':
			space = true
		default:
			if space {
				sb.WriteByte(' ')
				space = false
			}
			sb.WriteByte(c)
		}
	}
	if space {
		sb.WriteByte(' ')
	}
	return sb.String()
}

// withoutTrailers removes each subj-trailer from the end; fwd says that "(fwd)"
// was among them.
func withoutTrailers(s string) (rest string, fwd bool) {
	for {
		trimmed := strings.TrimRight(s, " ")
		if n := len(trimmed) - len("(fwd)"); n >= 0 && strings.EqualFold(trimmed[n:], "(fwd)") {
			s, fwd = trimmed[:n], true
			continue
		}
		return trimmed, fwd
	}
}

// withoutLeader removes a subj-leader: white space, or blobs and "re:", "fw:" or
// "fwd:".
func withoutLeader(s string) (rest string, refwd, ok bool) {
	if trimmed := strings.TrimLeft(s, " "); len(trimmed) < len(s) {
		return trimmed, false, true
	}
	rest = s
	for blob := true; blob; {
		rest, blob = withoutBlob(rest)
	}
	switch {
	case hasPrefixFold(rest, "re"):
		rest = rest[2:]
	case hasPrefixFold(rest, "fwd"):
		rest = rest[3:]
	case hasPrefixFold(rest, "fw"):
		rest = rest[2:]
	default:
		return s, false, false
	}
	rest = strings.TrimLeft(rest, " ")
	rest, _ = withoutBlob(rest)
	if rest, ok = strings.CutPrefix(rest, ":"); !ok {
		return s, false, false
	}
	return rest, true, true
}

func hasPrefixFold(s, prefix string) bool {
	return len(s) >= len(prefix) && strings.EqualFold(s[:len(prefix)], prefix)
}

// withoutBlob removes a subj-blob, "[…]" and the white space behind it.
func withoutBlob(s string) (rest string, ok bool) {
	if s == "" || s[0] != '[' {
		return s, false
	}
	end := strings.IndexAny(s[1:], "[]") + 1
	if end == 0 || s[end] != ']' {
		return s, false
	}
	return strings.TrimLeft(s[end+1:], " "), true
}
