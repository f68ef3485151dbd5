package traffic

import (
	"unicode/utf8"
)

// checkSyntax judges the form of an untagged response that is data, literals
// included: quoted strings end and escape only what may be escaped, parentheses
// balance, single spaces separate (RFC 9051, 9 and 4.3).
func checkSyntax(line []byte, text8 bool) error {
	const maxDepth = 400
	depth := 0
	prev := byte(' ')
	for i := 1; i < len(line); i++ {
		b := line[i]
		switch {
		case b == '"':
			end := quotedEnd(line, i+1, text8)
			if end < 0 {
				return violation(line, "a quoted string that is well formed (RFC 9051, 4.3): at %d", i)
			}
			i = end
		case b == '(':
			if depth++; depth > maxDepth {
				return violation(line, "parentheses at most %d deep", maxDepth)
			}
		case b == ')':
			if depth--; depth < 0 || prev == ' ' {
				return violation(line, "parentheses that balance, without space before the closing one: at %d", i)
			}
		case b == ' ':
			if i > 1 && (prev == ' ' || prev == '(') {
				return violation(line, "one space between items, none after a parenthesis: at %d", i)
			}
		case b == '{':
			if next, ok := skipLiteral(line, i); ok {
				i = next - 1
			}
		case b < ' ' || b == 0x7f:
			return violation(line, "no control characters outside literals: at %d", i)
		case b >= utf8.RuneSelf:
			return violation(line, "octets above 127 only in quoted strings and literals: at %d", i)
		}
		prev = b
	}
	if depth != 0 {
		return violation(line, "parentheses that balance: %d are open at the end", depth)
	}
	if prev == ' ' {
		return violation(line, "no space at the end (RFC 9051, 9)")
	}
	return nil
}

// ordinary are the octets that a quoted string may have as they are, whatever else is
// in it and before it: most of what is read in a listing.
var ordinary = func() (set [256]bool) {
	for c := 1; c < utf8.RuneSelf; c++ {
		set[c] = c != '"' && c != '\\' && c != '\r' && c != '\n'
	}
	return set
}()

// quotedEnd returns the place of the quote that ends the string whose content
// begins at i; -1 if the string is malformed.
func quotedEnd(line []byte, i int, text8 bool) int {
	start := i
	for ; i < len(line); i++ {
		b := line[i]
		if ordinary[b] {
			continue
		}
		switch {
		case b == '"':
			if text8 && !utf8.Valid(line[start:i]) {
				return -1
			}
			return i
		case b == '\\':
			if i++; i == len(line) || line[i] != '"' && line[i] != '\\' {
				return -1
			}
		case b == 0 || b == '\r' || b == '\n' || b >= utf8.RuneSelf && !text8:
			return -1
		}
	}
	return -1
}

// skipLiteral returns where the literal announced at i ends.
func skipLiteral(line []byte, i int) (next int, ok bool) {
	size := 0
	for i++; i < len(line) && '0' <= line[i] && line[i] <= '9'; i++ {
		if size = size*10 + int(line[i]-'0'); size > len(line) {
			return 0, false
		}
	}
	if i+2 >= len(line) || line[i] != '}' || line[i+1] != '\r' || line[i+2] != '\n' {
		return 0, false
	}
	next = i + 3 + size
	return next, next <= len(line)
}
