package message

import (
	"bytes"
	"encoding/base64"
	"io"
	"strings"
	"unicode/utf8"

	"github.com/emersion/go-message/charset"
	"golang.org/x/text/encoding/charmap"
	"golang.org/x/text/transform"

	pb "github.com/quorumail/quorumail/proto/quorumail/v1"
)

// Text returns the text of a part as valid UTF-8: its transfer encoding undone
// and its charset converted. r reads the part's body. What a charset does not
// explain is taken for Windows-1252, the Latin-1 of practice, in which nearly every
// octet means something. Errors are those of r.
func Text(r io.Reader, p *pb.BodyPart) io.Reader {
	decoded, _ := Decode(r, p.GetEncoding())
	return toUTF8(decoded, string(param(p.GetParams(), "CHARSET")))
}

// toUTF8 converts a text. Conversion itself makes no errors, but U+FFFD.
func toUTF8(r io.Reader, name string) io.Reader {
	name = strings.ToLower(strings.TrimSpace(name))
	if name, _, _ = strings.Cut(name, "*"); isUTF8(name) {
		return transform.NewReader(r, orLatin1{})
	}
	source := &source{r: r}
	converted, err := charset.Reader(name, source)
	if err != nil {
		return transform.NewReader(r, orLatin1{})
	}
	source.converted = converted
	return source.text()
}

// source remembers how the octets of a text ended, so that what a converter
// finds wrong with them ends the text without an error.
type source struct {
	r         io.Reader
	err       error
	converted io.Reader
}

// Read implements io.Reader for the converter.
func (s *source) Read(p []byte) (int, error) {
	n, err := s.r.Read(p)
	if err != nil {
		s.err = err
	}
	return n, err
}

// text returns the reader of what has been converted.
func (s *source) text() io.Reader { return (*convertedText)(s) }

type convertedText source

func (t *convertedText) Read(p []byte) (int, error) {
	n, err := t.converted.Read(p)
	if err != nil && (t.err == nil || t.err == io.EOF) {
		err = io.EOF
	}
	return n, err
}

// isUTF8 reports whether a charset is UTF-8 or less than that.
func isUTF8(name string) bool {
	switch name {
	case "", "us-ascii", "ascii", "utf-8", "utf8", "unknown-8bit", "unknown", "default":
		return true
	}
	return false
}

// orLatin1 passes on UTF-8 and takes each octet that is none for a character of
// Windows-1252.
type orLatin1 struct{ transform.NopResetter }

// Transform implements transform.Transformer.
func (orLatin1) Transform(dst, src []byte, atEOF bool) (nDst, nSrc int, err error) {
	for nSrc < len(src) {
		c := src[nSrc]
		if c < utf8.RuneSelf {
			if nDst == len(dst) {
				return nDst, nSrc, transform.ErrShortDst
			}
			dst[nDst] = c
			nDst++
			nSrc++
			continue
		}
		if !atEOF && !utf8.FullRune(src[nSrc:]) {
			return nDst, nSrc, transform.ErrShortSrc
		}
		r, n := utf8.DecodeRune(src[nSrc:])
		if r == utf8.RuneError && n == 1 {
			r = charmap.Windows1252.DecodeByte(c)
		}
		if nDst+utf8.UTFMax > len(dst) {
			return nDst, nSrc, transform.ErrShortDst
		}
		nDst += utf8.EncodeRune(dst[nDst:], r)
		nSrc += n
	}
	return nDst, nSrc, nil
}

// HeaderText returns a header value as valid UTF-8, its encoded words decoded
// (RFC 2047). What cannot be decoded stays as it is. Words of one charset that
// follow each other are joined before they are converted: some mailers cut
// characters in two.
func HeaderText(v []byte) string {
	if !bytes.Contains(v, []byte("=?")) {
		return validText(v)
	}
	var sb strings.Builder
	var run []byte // of encoded words, decoded
	var runCharset string
	flush := func() {
		if len(run) > 0 {
			sb.WriteString(convert(run, runCharset))
		}
		run = run[:0]
	}
	plain := 0 // where the text begins that has not been written
	for i := 0; i < len(v); {
		next := bytes.Index(v[i:], []byte("=?"))
		if next < 0 {
			break
		}
		start := i + next
		name, text, end, ok := encodedWord(v, start)
		if !ok {
			i = start + 2
			continue
		}
		if between := v[plain:start]; len(run) == 0 || len(bytes.TrimSpace(between)) > 0 {
			flush()
			sb.WriteString(validText(between))
		}
		if name != runCharset {
			flush()
			runCharset = name
		}
		run = append(run, text...)
		i, plain = end, end
	}
	flush()
	sb.WriteString(validText(v[plain:]))
	return sb.String()
}

// maxEncodedWord bounds an encoded word. RFC 2047, 2 allows 75 octets; mailers
// differ.
const maxEncodedWord = 16 << 10

// encodedWord parses the encoded word that starts at i: "=?charset?encoding?text?=".
func encodedWord(v []byte, i int) (name string, text []byte, end int, ok bool) {
	window := v[i+2 : min(len(v), i+2+maxEncodedWord)]
	cs, rest, ok1 := bytes.Cut(window, []byte{'?'})
	enc, rest, ok2 := bytes.Cut(rest, []byte{'?'})
	raw, after, ok3 := bytes.Cut(rest, []byte("?="))
	if !ok1 || !ok2 || !ok3 || len(cs) == 0 || len(cs) > 100 || len(enc) != 1 || bytes.ContainsAny(cs, " \t=") {
		return "", nil, 0, false
	}
	switch enc[0] {
	case 'q', 'Q':
		text = decodeQ(raw)
	case 'b', 'B':
		text = (&base64Step{}).decode(make([]byte, 0, base64.StdEncoding.DecodedLen(len(raw))+3), raw, true)
	default:
		return "", nil, 0, false
	}
	// The language (RFC 2231, 5) is left out.
	name, _, _ = strings.Cut(strings.ToLower(string(cs)), "*")
	return name, text, i + 2 + len(window) - len(after), true
}

// decodeQ decodes the "Q" encoding (RFC 2047, 4.2).
func decodeQ(raw []byte) []byte {
	text := make([]byte, 0, len(raw))
	for i := 0; i < len(raw); i++ {
		switch c := raw[i]; {
		case c == '_':
			text = append(text, ' ')
		case c == '=' && i+2 < len(raw) && isHex(raw[i+1]) && isHex(raw[i+2]):
			text = append(text, hex(raw[i+1])<<4|hex(raw[i+2]))
			i += 2
		default:
			text = append(text, c)
		}
	}
	return text
}

func convert(text []byte, name string) string {
	// It reads from memory, and conversion makes no errors.
	converted, _ := io.ReadAll(toUTF8(bytes.NewReader(text), name))
	return string(converted)
}

// validText takes octets without a charset for UTF-8 (RFC 6532) or what was
// usual before.
func validText(v []byte) string {
	if utf8.Valid(v) {
		return string(v)
	}
	return convert(v, "")
}
