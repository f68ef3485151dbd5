package message

import (
	"bytes"
	"encoding/base64"
	"html"
	"io"
	"mime"
	"mime/quotedprintable"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/emersion/go-message/charset"

	pb "github.com/quorumail/quorumail/proto/quorumail/v1"
)

// Decode undoes a Content-Transfer-Encoding, in upper case; known is false for
// one that is not known, whose octets are returned as they are. Mistakes in the
// encoding do not end the text: what can be decoded is.
func Decode(r io.Reader, encoding string) (decoded io.Reader, known bool) {
	switch encoding {
	case "", "7BIT", "8BIT", "BINARY":
		return r, true
	case "BASE64":
		return base64.NewDecoder(base64.StdEncoding, &base64Filter{r: r}), true
	case "QUOTED-PRINTABLE":
		return quotedprintable.NewReader(r), true
	}
	return r, false
}

// base64Filter drops what is not of the alphabet, as RFC 2045, 6.8 asks, and
// completes the last group.
type base64Filter struct {
	r    io.Reader
	n    int // octets of the alphabet so far
	done bool
	tail string
}

func (f *base64Filter) Read(p []byte) (int, error) {
	for {
		if f.done {
			if f.tail == "" {
				return 0, io.EOF
			}
			n := copy(p, f.tail)
			f.tail = f.tail[n:]
			return n, nil
		}
		n, err := f.r.Read(p)
		out := 0
		for _, c := range p[:n] {
			if c == '=' {
				f.finish()
				break
			}
			if c >= 'A' && c <= 'Z' || c >= 'a' && c <= 'z' || c >= '0' && c <= '9' || c == '+' || c == '/' {
				p[out] = c
				out++
				f.n++
			}
		}
		if err == io.EOF && !f.done {
			f.finish()
			err = nil
		}
		if out > 0 || err != nil {
			return out, err
		}
	}
}

func (f *base64Filter) finish() {
	f.done = true
	switch f.n % 4 {
	case 1:
		f.tail = "A==" // one character holds no octet: decoded to a zero
	case 2:
		f.tail = "=="
	case 3:
		f.tail = "="
	}
}

// Text returns the text of a part as UTF-8: its transfer encoding undone and its
// charset converted. An unknown charset is taken for Latin-1, in which every
// octet means something.
func Text(r io.Reader, p *pb.BodyPart) io.Reader {
	decoded, _ := Decode(r, p.GetEncoding())
	name := strings.ToLower(string(param(p.GetParams(), "CHARSET")))
	if name == "" || name == "us-ascii" || name == "utf-8" || name == "utf8" {
		return decoded
	}
	converted, err := charset.Reader(name, decoded)
	if err != nil {
		converted, err = charset.Reader("iso-8859-1", decoded)
	}
	if err != nil {
		return decoded
	}
	return converted
}

var words = mime.WordDecoder{CharsetReader: charset.Reader}

// HeaderText returns a header value as UTF-8, its encoded words decoded (RFC
// 2047). What cannot be decoded stays.
func HeaderText(v []byte) string {
	s := string(v)
	if strings.Contains(s, "=?") {
		if d, err := words.DecodeHeader(s); err == nil {
			s = d
		}
	}
	if utf8.ValidString(s) {
		return s
	}
	r := make([]rune, 0, len(s))
	for i := 0; i < len(s); i++ {
		r = append(r, rune(s[i])) // Latin-1: every octet means something
	}
	return string(r)
}

// Fields calls fn with the name, in lower case, and the value of each field of a
// header.
func Fields(header []byte, fn func(name string, value []byte)) {
	for _, f := range parseHeader(header) {
		if f.name != "" {
			fn(f.name, f.value)
		}
	}
}

// previewLength is in characters (RFC 8970, 3.1: at most 256, 200 recommended).
const previewLength = 200

// preview makes the preview of what has been kept of a text part.
func (s *scanner) preview() string {
	if s.sampleOf == nil {
		return ""
	}
	raw, _ := io.ReadAll(io.LimitReader(Text(bytes.NewReader(s.sample), s.sampleOf.part), 4*sampleSize)) // what was decoded counts
	text := strings.ToValidUTF8(string(raw), "")
	if s.sampleIsHTML {
		text = stripTags(text)
	}
	var sb strings.Builder
	n, space := 0, false
	for _, c := range text {
		if unicode.IsSpace(c) || unicode.IsControl(c) {
			space = n > 0
			continue
		}
		if n+1 >= previewLength {
			break
		}
		if space {
			sb.WriteByte(' ')
			n++
			space = false
		}
		sb.WriteRune(c)
		n++
	}
	return sb.String()
}

// stripTags leaves the text of HTML, near enough for a preview.
func stripTags(s string) string {
	var sb strings.Builder
	for len(s) > 0 {
		open := strings.IndexByte(s, '<')
		if open < 0 {
			sb.WriteString(s)
			break
		}
		sb.WriteString(s[:open] + " ")
		s = s[open:]
		skip := ">"
		for tag, end := range map[string]string{"<style": "</style>", "<script": "</script>", "<!--": "-->"} {
			if len(s) >= len(tag) && strings.EqualFold(s[:len(tag)], tag) {
				skip = end
			}
		}
		end := indexFold(s, skip)
		if end < 0 {
			break
		}
		s = s[end+len(skip):]
	}
	return html.UnescapeString(sb.String())
}

// indexFold is strings.Index without regard to the case of ASCII letters.
func indexFold(s, sub string) int {
	for i := 0; i+len(sub) <= len(s); i++ {
		if strings.EqualFold(s[i:i+len(sub)], sub) {
			return i
		}
	}
	return -1
}
