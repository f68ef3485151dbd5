package corpus

import (
	"bytes"
	"encoding/base64"
	"fmt"
	"mime/quotedprintable"
)

// entity is a MIME entity: a header and what is under it.
type entity struct {
	fields   []string // without the last line end of each
	body     []byte
	eightBit bool // octets above 127 are in it
}

func (e entity) write(b *bytes.Buffer) {
	for _, f := range e.fields {
		b.WriteString(f + "\r\n")
	}
	b.WriteString("\r\n")
	b.Write(e.body)
}

// size is about how large it is when written.
func (e entity) size() int {
	n := len(e.body)
	for _, f := range e.fields {
		n += len(f) + 2
	}
	return n
}

// text makes a text part, in one of the ways in which people's programs do.
func (w *writer) text(subtype, text string) entity {
	charset, octets := "utf-8", []byte(text)
	if l := w.t.language; l.encoding != nil && w.r.IntN(2) == 0 {
		if enc, err := l.encoding.NewEncoder().Bytes(octets); err == nil {
			charset, octets = l.charset, enc
		}
	}
	var b bytes.Buffer
	encoding := "7bit"
	switch how := w.r.IntN(6); {
	case isASCII(string(octets)):
		b.Write(octets)
		if charset == "utf-8" {
			charset = "us-ascii"
		}
	case how < 2:
		encoding = "base64"
		writeBase64(&b, octets)
	case how < 4:
		encoding = "quoted-printable"
		q := quotedprintable.NewWriter(&b)
		_, _ = q.Write(octets) // into memory
		_ = q.Close()
	default:
		encoding = "8bit"
		b.Write(octets)
	}
	return entity{
		fields: []string{
			fmt.Sprintf("Content-Type: text/%s; charset=%s", subtype, charset), "Content-Transfer-Encoding: " + encoding,
		},
		body: b.Bytes(), eightBit: encoding == "8bit",
	}
}

func writeBase64(b *bytes.Buffer, data []byte) {
	for len(data) > 0 {
		n := min(57, len(data))
		b.WriteString(base64.StdEncoding.EncodeToString(data[:n]) + "\r\n")
		data = data[n:]
	}
}

// multipart joins parts. One that has 8-bit parts must say so (RFC 2045, 6.4).
func (w *writer) multipart(subtype string, parts ...entity) entity {
	cut := fmt.Sprintf("=_%016x", w.r.Uint64())
	var b bytes.Buffer
	if subtype == "mixed" {
		b.WriteString("This is a message in several parts.\r\n")
	}
	e := entity{}
	for _, p := range parts {
		fmt.Fprintf(&b, "\r\n--%s\r\n", cut)
		p.write(&b)
		e.eightBit = e.eightBit || p.eightBit
	}
	fmt.Fprintf(&b, "\r\n--%s--\r\n", cut)
	e.fields = []string{fmt.Sprintf("Content-Type: multipart/%s; boundary=\"%s\"", subtype, cut)}
	if e.eightBit {
		e.fields = append(e.fields, "Content-Transfer-Encoding: 8bit")
	}
	e.body = b.Bytes()
	return e
}

// forwarded wraps a message in a part.
func forwarded(m entity) entity {
	var b bytes.Buffer
	m.write(&b)
	e := entity{
		fields: []string{"Content-Type: message/rfc822", "Content-Disposition: attachment; filename=\"forwarded.eml\""},
		body:   b.Bytes(), eightBit: m.eightBit,
	}
	if e.eightBit {
		e.fields = append(e.fields, "Content-Transfer-Encoding: 8bit")
	}
	return e
}
