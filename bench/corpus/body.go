package corpus

import (
	"fmt"
	"html"
	"math/rand/v2"
	"strings"
)

// writer makes the parts of one message.
type writer struct {
	c     *Corpus
	r     *rand.Rand
	t     thread
	limit int // of the whole message
}

// body makes the content of a message. Of a hundred messages so many are plain,
// alternatives, with files, with pictures, forwarded, reports of failures.
func (w *writer) body() entity {
	switch kind := w.r.IntN(100); {
	case kind < 40:
		return w.text("plain", w.letter(minSize))
	case kind < 66:
		return w.alternative()
	case kind < 86:
		e := w.prose()
		parts := []entity{e}
		room := w.room() - e.size()
		for range 1 + w.r.IntN(3) {
			a := w.attachment(room)
			room -= a.size()
			parts = append(parts, a)
		}
		return w.multipart("mixed", parts...)
	case kind < 92:
		return w.related()
	case kind < 98:
		// Of the same corpus, so that what is forwarded may be there too.
		i := w.r.IntN(w.t.first + 1)
		return w.multipart("mixed", w.text("plain", w.letter(minSize)), forwarded(w.c.message(i, true)))
	}
	return w.report()
}

// room is how much of the limit is left for files: headers, delimiters and the
// texts beside them have the rest.
func (w *writer) room() int { return w.limit - 8<<10 }

// prose is the text beside which files are attached.
func (w *writer) prose() entity {
	if w.r.IntN(2) == 0 {
		return w.alternative()
	}
	return w.text("plain", w.letter(minSize))
}

// letter makes a text of at least so many octets: a greeting, paragraphs, a
// quotation in answers, a signature.
func (w *writer) letter(least int) string {
	l := w.t.language
	var sb strings.Builder
	sb.WriteString(l.greeting + "\r\n\r\n")
	for n := 1 + w.r.IntN(4); n > 0 || sb.Len() < least; n-- {
		w.paragraph(&sb)
	}
	if w.t.at > 0 {
		fmt.Fprintf(&sb, "%s:\r\n", w.t.answered().name)
		for range 1 + w.r.IntN(5) {
			sb.WriteString("> " + pick(w.r, l.sentences) + "\r\n")
		}
		sb.WriteString("\r\n")
	}
	sb.WriteString("-- \r\n" + w.t.author().name + "\r\n")
	return sb.String()
}

// paragraph writes sentences in lines of at most about 72 columns.
func (w *writer) paragraph(sb *strings.Builder) {
	column := 0
	for range 2 + w.r.IntN(6) {
		for _, word := range strings.Fields(pick(w.r, w.t.language.sentences)) {
			width := len([]rune(word))
			switch {
			case column > 0 && column+width >= 72:
				sb.WriteString("\r\n")
				column = 0
			case column > 0:
				sb.WriteByte(' ')
				column++
			}
			sb.WriteString(word)
			column += width
		}
	}
	sb.WriteString("\r\n\r\n")
}

// alternative makes a text and the same as HTML.
func (w *writer) alternative() entity {
	letter := w.letter(minSize / 2)
	return w.multipart("alternative", w.text("plain", letter), w.text("html", webPage(letter, "")))
}

// webPage makes HTML of a letter.
func webPage(letter, picture string) string {
	var sb strings.Builder
	sb.WriteString("<!DOCTYPE html>\r\n<html><head><meta charset=\"utf-8\">\r\n<style>p { margin: 1em 0; } .q { color: #555; }</style></head>\r\n<body>\r\n")
	for _, p := range strings.Split(strings.TrimSpace(letter), "\r\n\r\n") {
		sb.WriteString("<p>" + strings.ReplaceAll(html.EscapeString(p), "\r\n", "<br>\r\n") + "</p>\r\n")
	}
	if picture != "" {
		sb.WriteString("<p><img src=\"cid:" + picture + "\" alt=\"\"></p>\r\n")
	}
	sb.WriteString("</body></html>\r\n")
	return sb.String()
}

// related makes HTML with a picture in it (RFC 2387).
func (w *writer) related() entity {
	id := fmt.Sprintf("%x@picture.example.net", w.r.Uint32())
	letter := w.letter(minSize / 2)
	page := w.text("html", webPage(letter, id))
	picture := w.file(fileKinds[pngFile], min(w.room()-page.size(), 8<<10<<w.r.IntN(5)))
	picture.fields = append(picture.fields, "Content-ID: <"+id+">")
	for i, f := range picture.fields {
		picture.fields[i] = strings.Replace(f, "Content-Disposition: attachment", "Content-Disposition: inline", 1)
	}
	return w.multipart("alternative", w.text("plain", letter), w.multipart("related", page, picture))
}

// report says that a message could not be delivered (RFC 3462, RFC 3464).
func (w *writer) report() entity {
	status := entity{
		fields: []string{"Content-Type: message/delivery-status"},
		body: []byte("Reporting-MTA: dns; mx.example.org\r\n\r\nFinal-Recipient: rfc822; " + w.t.author().address +
			"\r\nAction: failed\r\nStatus: 5.1.1\r\nDiagnostic-Code: smtp; 550 5.1.1 no such user here\r\n"),
	}
	e := w.multipart("report", w.text("plain", w.letter(minSize)), status, forwarded(w.c.message(w.r.IntN(w.t.first+1), true)))
	e.fields[0] += "; report-type=delivery-status"
	return e
}
