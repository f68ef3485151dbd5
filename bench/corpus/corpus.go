// Package corpus makes realistic mail: for --demo, for load and for tests.
//
// A corpus is a function of its seed: message i is the same octets every time.
// Messages come in threads, with References and Re: subjects; they are plain,
// alternative, with attachments, or forward another message; their headers and
// bodies are in several languages, charsets and transfer encodings. Each is valid
// RFC 5322 and MIME.
package corpus

import (
	"bytes"
	"encoding/base64"
	"fmt"
	"math/rand/v2"
	"mime"
	"mime/quotedprintable"
	"strings"
	"time"

	"golang.org/x/text/encoding/charmap"
)

// Corpus makes messages. It is safe for concurrent use.
type Corpus struct {
	seed uint64
	// MaxAttachment bounds attachments, in octets before encoding; default 700
	// KiB. Set before the first message.
	MaxAttachment int
}

// New returns the corpus of a seed.
func New(seed uint64) *Corpus { return &Corpus{seed: seed, MaxAttachment: 700 << 10} }

// threadLength is how many messages a thread has at most: message i belongs to
// thread i/threadLength.
const threadLength = 5

// start is the date of the first message.
var start = time.Date(2024, 1, 8, 8, 30, 0, 0, time.UTC)

// Message returns message i, from 0.
func (c *Corpus) Message(i int) []byte {
	return c.message(i, 0)
}

// Date returns when message i was sent.
func (c *Corpus) Date(i int) time.Time {
	r := c.rand(i, 1)
	return start.Add(time.Duration(i)*97*time.Minute + time.Duration(r.IntN(3600))*time.Second)
}

func (c *Corpus) rand(i, stream int) *rand.Rand {
	return rand.New(rand.NewPCG(c.seed, uint64(i)<<8|uint64(stream)))
}

// thread is what the messages of a thread have in common.
type thread struct {
	language *language
	subject  string
	people   [3]person
	list     string
}

func (c *Corpus) thread(n int) thread {
	r := c.rand(n, 2)
	l := &languages[r.IntN(len(languages))]
	t := thread{language: l, subject: pick(r, l.subjects)}
	for i := range t.people {
		t.people[i] = pick(r, l.people)
	}
	if r.IntN(4) == 0 {
		t.list = pick(r, []string{"announce", "team", "dev", "users"})
	}
	return t
}

func pick[T any](r *rand.Rand, list []T) T { return list[r.IntN(len(list))] }

func (c *Corpus) id(i int) string { return fmt.Sprintf("%x.%d@mail.example.net", c.seed, i) }

// message makes message i; depth is how deep it is forwarded.
func (c *Corpus) message(i, depth int) []byte {
	r := c.rand(i, 3)
	t := c.thread(i / threadLength)
	k := i % threadLength
	from := t.people[k%len(t.people)]
	subject := t.subject
	if k > 0 {
		subject = "Re: " + subject
	}
	date := c.Date(i).In(time.FixedZone("", (r.IntN(25)-12)*3600))

	var b bytes.Buffer
	header := func(name, value string) { fmt.Fprintf(&b, "%s: %s\r\n", name, value) }
	header("Received", fmt.Sprintf("from relay%d.example.net (relay%d.example.net [192.0.2.%d])\r\n\tby mx.example.org with ESMTPS id %08x;\r\n\t%s",
		r.IntN(9), r.IntN(9), 1+r.IntN(250), r.Uint32(), date.Add(3*time.Second).Format(time.RFC1123Z)))
	header("Date", date.Format(time.RFC1123Z))
	header("From", from.String())
	header("To", "Alice <alice@example.org>")
	if r.IntN(3) == 0 {
		header("Cc", t.people[(k+1)%len(t.people)].String())
	}
	header("Subject", encodeWords(t.language, subject))
	header("Message-ID", "<"+c.id(i)+">")
	if k > 0 {
		header("In-Reply-To", "<"+c.id(i-1)+">")
		refs := make([]string, 0, k)
		for j := i - k; j < i; j++ {
			refs = append(refs, "<"+c.id(j)+">")
		}
		header("References", strings.Join(refs, "\r\n\t"))
	}
	if t.list != "" {
		header("List-Id", fmt.Sprintf("<%s.lists.example.org>", t.list))
	}
	header("MIME-Version", "1.0")
	c.body(&b, r, t, i, depth)
	return b.Bytes()
}

// body writes the rest of the header and the body.
func (c *Corpus) body(b *bytes.Buffer, r *rand.Rand, t thread, i, depth int) {
	text := c.text(r, t, i)
	switch kind := r.IntN(100); {
	case kind < 45:
		writeText(b, r, t.language, "plain", text)
	case kind < 75:
		c.alternative(b, r, t, text)
	case kind < 94 || i < threadLength || depth > 1:
		c.mixed(b, r, func(b *bytes.Buffer) { c.attachment(b, r) }, t, text)
	default:
		c.mixed(b, r, func(b *bytes.Buffer) {
			b.WriteString("Content-Type: message/rfc822\r\nContent-Disposition: attachment; filename=\"forwarded.eml\"\r\n\r\n")
			b.Write(c.message(i%threadLength, depth+1))
		}, t, text)
	}
}

// text makes a few paragraphs, with a quotation in replies.
func (c *Corpus) text(r *rand.Rand, t thread, i int) string {
	var sb strings.Builder
	sb.WriteString(t.language.greeting + "\r\n\r\n")
	for range 1 + r.IntN(4) {
		line := 0
		for range 2 + r.IntN(6) {
			for _, word := range strings.Fields(pick(r, t.language.sentences)) {
				if line+len(word) > 70 {
					sb.WriteString("\r\n")
					line = 0
				} else if line > 0 {
					sb.WriteByte(' ')
				}
				sb.WriteString(word)
				line += len(word) + 1
			}
		}
		sb.WriteString("\r\n\r\n")
	}
	if i%threadLength > 0 {
		for range 1 + r.IntN(4) {
			sb.WriteString("> " + pick(r, t.language.sentences) + "\r\n")
		}
		sb.WriteString("\r\n")
	}
	sb.WriteString("-- \r\n" + t.people[i%threadLength%len(t.people)].name + "\r\n")
	return sb.String()
}

func (c *Corpus) boundary(r *rand.Rand) string { return fmt.Sprintf("=_%016x", r.Uint64()) }

func (c *Corpus) alternative(b *bytes.Buffer, r *rand.Rand, t thread, text string) {
	cut := c.boundary(r)
	fmt.Fprintf(b, "Content-Type: multipart/alternative; boundary=\"%s\"\r\n\r\n--%s\r\n", cut, cut)
	writeText(b, r, t.language, "plain", text)
	html := "<html><body><p>" + strings.NewReplacer("&", "&amp;", "<", "&lt;", "\r\n\r\n", "</p>\r\n<p>").Replace(text) + "</p></body></html>\r\n"
	fmt.Fprintf(b, "\r\n--%s\r\n", cut)
	writeText(b, r, t.language, "html", html)
	fmt.Fprintf(b, "\r\n--%s--\r\n", cut)
}

func (c *Corpus) mixed(b *bytes.Buffer, r *rand.Rand, second func(*bytes.Buffer), t thread, text string) {
	cut := c.boundary(r)
	fmt.Fprintf(b, "Content-Type: multipart/mixed; boundary=\"%s\"\r\n\r\nThis is a message in several parts.\r\n--%s\r\n", cut, cut)
	if r.IntN(2) == 0 {
		c.alternative(b, r, t, text)
	} else {
		writeText(b, r, t.language, "plain", text)
	}
	fmt.Fprintf(b, "\r\n--%s\r\n", cut)
	second(b)
	fmt.Fprintf(b, "\r\n--%s--\r\n", cut)
}

// attachment writes a part that looks like a file: mostly small, seldom large.
func (c *Corpus) attachment(b *bytes.Buffer, r *rand.Rand) {
	kinds := []struct{ typ, name, magic string }{
		{"application/pdf", "invoice.pdf", "%PDF-1.7\n"},
		{"image/png", "picture.png", "\x89PNG\r\n\x1a\n"},
		{"text/csv", "table.csv", "id;name;amount\n"},
		{"application/zip", "archive.zip", "PK\x03\x04"},
	}
	kind := pick(r, kinds)
	limit := min(c.MaxAttachment, 1<<(10+r.IntN(11)))
	data := make([]byte, max(limit/2+r.IntN(limit/2+1), len(kind.magic)))
	for i := 0; i < len(data); i += 8 {
		v := r.Uint64()
		for j := i; j < min(i+8, len(data)); j++ {
			data[j] = byte(v >> (8 * (j - i)))
		}
	}
	copy(data, kind.magic)
	fmt.Fprintf(b, "Content-Type: %s; name=\"%s\"\r\nContent-Disposition: attachment; filename=\"%s\"\r\nContent-Transfer-Encoding: base64\r\n\r\n", kind.typ, kind.name, kind.name)
	writeBase64(b, data)
}

func writeBase64(b *bytes.Buffer, data []byte) {
	for len(data) > 0 {
		n := min(57, len(data))
		b.WriteString(base64.StdEncoding.EncodeToString(data[:n]) + "\r\n")
		data = data[n:]
	}
}

// writeText writes a text part in one of the ways in which people's programs do.
func writeText(b *bytes.Buffer, r *rand.Rand, l *language, subtype, text string) {
	charset, octets := "utf-8", []byte(text)
	if l.charmap != nil && r.IntN(2) == 0 {
		if enc, err := l.charmap.NewEncoder().Bytes(octets); err == nil {
			charset, octets = l.charset, enc
		}
	}
	head := fmt.Sprintf("Content-Type: text/%s; charset=%s\r\nContent-Transfer-Encoding: ", subtype, charset)
	switch {
	case isASCII(octets):
		b.WriteString(head + "7bit\r\n\r\n")
		b.Write(octets)
	case r.IntN(3) == 0:
		b.WriteString(head + "base64\r\n\r\n")
		writeBase64(b, octets)
	case r.IntN(2) == 0:
		b.WriteString(head + "8bit\r\n\r\n")
		b.Write(octets)
	default:
		b.WriteString(head + "quoted-printable\r\n\r\n")
		w := quotedprintable.NewWriter(b)
		_, _ = w.Write(octets) // into memory
		_ = w.Close()
		b.WriteString("\r\n")
	}
}

func isASCII(b []byte) bool {
	for _, c := range b {
		if c >= 0x80 {
			return false
		}
	}
	return true
}

func encodeWords(l *language, s string) string {
	if isASCII([]byte(s)) {
		return s
	}
	if l.charmap != nil {
		if enc, err := l.charmap.NewEncoder().String(s); err == nil {
			return "=?" + l.charset + "?B?" + base64.StdEncoding.EncodeToString([]byte(enc)) + "?="
		}
	}
	return strings.ReplaceAll(mime.QEncoding.Encode("utf-8", s), "?= =?", "?=\r\n =?")
}

// person is who writes.
type person struct{ name, address string }

func (p person) String() string {
	if isASCII([]byte(p.name)) {
		return fmt.Sprintf("%q <%s>", p.name, p.address)
	}
	return mime.BEncoding.Encode("utf-8", p.name) + " <" + p.address + ">"
}

// language is what people who speak it write.
type language struct {
	charset   string
	charmap   *charmap.Charmap
	greeting  string
	subjects  []string
	people    []person
	sentences []string
}
