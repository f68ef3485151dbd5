package search

import (
	"bytes"
	"io"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"
)

// fold appends s to dst in the form in which texts are compared: compatibility
// decomposition, lower case. What i;unicode-casemap (RFC 5051) does with title
// case, it does with lower case: both make the same texts equal.
func fold(dst []byte, s string) []byte {
	dst, _ = lower(dst, norm.NFKD.AppendString(nil, s), true)
	return dst
}

// lower appends decomposed UTF-8 in lower case and returns what it leaves of p:
// the beginning of a character, unless final is set. Octets that are not UTF-8
// stay as they are.
func lower(dst, p []byte, final bool) (folded, rest []byte) {
	for len(p) > 0 {
		if c := p[0]; c < utf8.RuneSelf {
			if 'A' <= c && c <= 'Z' {
				c += 'a' - 'A'
			}
			dst = append(dst, c)
			p = p[1:]
			continue
		}
		if !final && !utf8.FullRune(p) {
			return dst, p
		}
		r, n := utf8.DecodeRune(p)
		if r == utf8.RuneError && n == 1 {
			dst = append(dst, p[0])
		} else {
			// By way of upper case: ς and σ, ſ and s are one.
			dst = utf8.AppendRune(dst, unicode.ToLower(unicode.ToUpper(r)))
		}
		p = p[n:]
	}
	return dst, nil
}

// windowSize is how much text is looked at in one piece, beside what may be the
// beginning of a match.
const windowSize = 32 << 10

// window finds needles in a text that passes through it.
type window struct {
	in, text []byte
}

// look reads a text to its end, or until no needle is left to be found.
func (w *window) look(r io.Reader, longest int, needles []*node, stop func() (bool, error)) error {
	if w.in == nil {
		w.in = make([]byte, windowSize)
	}
	folded := norm.NFKD.Reader(r)
	w.text = w.text[:0]
	split := 0 // octets of a character at the front of in
	for {
		n, err := folded.Read(w.in[split:])
		n += split
		done := err == io.EOF
		if err != nil && !done {
			return err
		}
		var rest []byte
		w.text, rest = lower(w.text, w.in[:n], done)
		split = copy(w.in, rest)
		if !done && len(w.text) < windowSize {
			continue
		}
		for _, n := range needles {
			if !n.hit && bytes.Contains(w.text, n.needle) {
				n.hit = true
			}
		}
		if end, err := stop(); done || end || err != nil {
			return err
		}
		if keep := longest - 1; len(w.text) > keep {
			w.text = w.text[:copy(w.text, w.text[len(w.text)-max(keep, 0):])]
		}
	}
}
