package message

import (
	"bytes"
	"html"
	"io"
	"strings"
	"unicode"

	pb "github.com/quorumail/quorumail/proto/quorumail/v1"
)

const (
	// previewLength is in characters (RFC 8970, 3.1: at most 256, 200 recommended).
	previewLength = 200
	// What is kept of the first text of each sort, as encoded. Much HTML begins
	// with long style sheets.
	plainSample = 8 << 10
	htmlSample  = 64 << 10
)

// sample is the beginning of a part's body.
type sample struct {
	part *pb.BodyPart
	text []byte
	size int // at most so much
}

func (s *sample) add(p []byte) { s.text = append(s.text, p[:min(len(p), s.size-len(s.text))]...) }

// takeSample makes the first plain and the first HTML text give a sample each.
func (s *scanner) takeSample(n *node) {
	p := n.part
	if p.GetType() != "TEXT" || bytes.EqualFold(p.GetDisposition(), []byte("attachment")) {
		return
	}
	switch {
	case p.GetSubtype() == "PLAIN" && s.plain.part == nil:
		s.plain = sample{part: p, size: plainSample}
		n.sample = &s.plain
	case p.GetSubtype() == "HTML" && s.html.part == nil:
		s.html = sample{part: p, size: htmlSample}
		n.sample = &s.html
	}
}

// preview makes the message's preview (RFC 8970): from HTML if there is no plain
// text, or none that says anything.
func (s *scanner) preview() string {
	if text := condense(s.plain.decoded()); text != "" {
		return text
	}
	return condense(stripTags(s.html.decoded()))
}

func (s *sample) decoded() string {
	if s.part == nil {
		return ""
	}
	// A sample decodes to a few times its size at most; reading it cannot fail.
	raw, _ := io.ReadAll(Text(bytes.NewReader(s.text), s.part))
	return string(raw)
}

// condense joins the words of a text with single spaces, and cuts it. Characters
// that cannot be seen are dropped: mailers fill previews with them.
func condense(text string) string {
	var sb strings.Builder
	n, space := 0, false
	for _, c := range text {
		switch {
		case unicode.IsSpace(c) || unicode.IsControl(c):
			space = n > 0
			continue
		case unicode.Is(unicode.Cf, c) || c == '\u034f' || c == unicode.ReplacementChar:
			continue
		}
		if space && n < previewLength {
			sb.WriteByte(' ')
			n++
		}
		if n >= previewLength {
			break
		}
		sb.WriteRune(c)
		n++
		space = false
	}
	return strings.TrimRight(sb.String(), " ")
}

// stripTags leaves the text of HTML, near enough for a preview.
func stripTags(s string) string {
	var sb strings.Builder
	for {
		text, rest, ok := strings.Cut(s, "<")
		sb.WriteString(text)
		if !ok {
			break
		}
		sb.WriteByte(' ')
		end := ">"
		for _, e := range [...]struct{ start, end string }{
			{"!--", "-->"}, {"style", "</style>"}, {"script", "</script>"}, {"title", "</title>"},
		} {
			if len(rest) >= len(e.start) && strings.EqualFold(rest[:len(e.start)], e.start) {
				end = e.end
			}
		}
		i := indexFold(rest, end)
		if i < 0 {
			break
		}
		s = rest[i+len(end):]
	}
	return html.UnescapeString(sb.String())
}

// indexFold is strings.Index without regard to the case of ASCII letters, for a
// sub that begins with no letter.
func indexFold(s, sub string) int {
	for from := 0; ; {
		i := strings.IndexByte(s[from:], sub[0])
		if i < 0 || from+i+len(sub) > len(s) {
			return -1
		}
		from += i
		if strings.EqualFold(s[from:from+len(sub)], sub) {
			return from
		}
		from++
	}
}
