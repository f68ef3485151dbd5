package corpus

import (
	"encoding/base64"
	"fmt"
	"strings"
	"time"
	"unicode/utf8"
)

// header makes the fields of message i but those of its content.
func (w *writer) header(i int, eightBit bool) []string {
	r, t := w.r, &w.t
	date := w.c.Date(i)
	var fields []string
	add := func(name, value string) { fields = append(fields, name+": "+value) }
	for hop := range 1 + r.IntN(3) {
		at := date.Add(time.Duration(4-hop) * time.Second)
		add("Received", fmt.Sprintf("from relay%d.example.net (relay%d.example.net [192.0.2.%d])\r\n\tby mx%d.example.org with ESMTPS id %08x;\r\n\t%s",
			hop, hop, 1+r.IntN(250), hop, r.Uint32(), at.Format(time.RFC1123Z)))
	}
	add("Date", date.Format(time.RFC1123Z))
	add("From", t.author().String())
	to := []person{me}
	if t.list != "" {
		to = []person{{"", t.list + "@lists.example.org"}}
	}
	if t.at > 0 && r.IntN(2) == 0 {
		to = append(to, t.answered())
	}
	add("To", addresses(to))
	if cc := t.others(r); len(cc) > 0 {
		add("Cc", addresses(cc))
	}
	subject := t.subject
	if t.at > 0 {
		subject = t.language.reply + subject
	}
	add("Subject", t.language.encodeWords(subject))
	add("Message-ID", "<"+w.c.id(i)+">")
	if t.at > 0 {
		add("In-Reply-To", "<"+w.c.id(i-1)+">")
		refs := make([]string, 0, t.at)
		for j := t.first; j < i; j++ {
			refs = append(refs, "<"+w.c.id(j)+">")
		}
		add("References", strings.Join(refs, "\r\n\t"))
	}
	if t.list != "" {
		add("List-Id", fmt.Sprintf("The %s list <%s.lists.example.org>", t.list, t.list))
		add("List-Unsubscribe", fmt.Sprintf("<mailto:%s-leave@lists.example.org>", t.list))
		add("Precedence", "list")
	}
	if r.IntN(2) == 0 {
		add("User-Agent", pick(r, []string{"Pigeon/4.2 (Linux)", "Carrier/11.0.1", "Postbote 2026.3"}))
	}
	if r.IntN(3) == 0 {
		add("X-Spam-Status", fmt.Sprintf("No, score=-%d.%d required=5.0 tests=ALL_TRUSTED,\r\n\tHTML_MESSAGE autolearn=ham", r.IntN(4), r.IntN(10)))
	}
	add("MIME-Version", "1.0")
	return fields
}

func addresses(list []person) string {
	s := make([]string, len(list))
	for i, p := range list {
		s[i] = p.String()
	}
	return strings.Join(s, ",\r\n\t")
}

// String returns the person as an address of a header (RFC 5322, 3.4).
func (p person) String() string {
	switch {
	case p.name == "":
		return p.address
	case !isASCII(p.name):
		return encodedWords("utf-8", p.name, nil) + " <" + p.address + ">"
	case strings.ContainsAny(p.name, ".,()"):
		return `"` + p.name + `" <` + p.address + ">"
	}
	return p.name + " <" + p.address + ">"
}

// encodeWords writes a text as a header's value (RFC 2047).
func (l *language) encodeWords(s string) string {
	if isASCII(s) {
		return s
	}
	if l.encoding != nil && l.wordsIn {
		if enc := l.encoding.NewEncoder(); canEncode(l, s) {
			return encodedWords(l.charset, s, func(part string) string {
				octets, _ := enc.String(part) // it can, as a whole
				return octets
			})
		}
	}
	return encodedWords("utf-8", s, nil)
}

func canEncode(l *language, s string) bool {
	_, err := l.encoding.NewEncoder().String(s)
	return err == nil
}

// encodedWords cuts a text into encoded words of at most 75 octets, between
// characters, one a line.
func encodedWords(charset, s string, convert func(string) string) string {
	const most = 39 // octets of the text in UTF-8, which others are no longer than
	var words []string
	for s != "" {
		n := min(most, len(s))
		for n < len(s) && !utf8.RuneStart(s[n]) {
			n--
		}
		part := s[:n]
		s = s[n:]
		if convert != nil {
			part = convert(part)
		}
		words = append(words, "=?"+charset+"?B?"+base64.StdEncoding.EncodeToString([]byte(part))+"?=")
	}
	return strings.Join(words, "\r\n ")
}

func isASCII(s string) bool {
	for i := range len(s) {
		if s[i] >= utf8.RuneSelf {
			return false
		}
	}
	return true
}
