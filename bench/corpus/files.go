package corpus

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"strings"
)

// fileKind is a sort of file that people attach. fill makes about n octets.
type fileKind struct {
	typ  string
	name string
	fill func(w *writer, n int) []byte
}

// pngFile is the place of pictures in fileKinds.
const pngFile = 1

var fileKinds = [...]fileKind{
	{"application/pdf", "invoice.pdf", (*writer).pdf},
	{"image/png", "picture.png", (*writer).png},
	{"text/csv", "table.csv", (*writer).csv},
	{"application/zip", "archive.zip", (*writer).zip},
	{"text/calendar", "meeting.ics", (*writer).calendar},
}

// attachment makes a part with a file, of at most about room octets as encoded.
// Sizes are as those of files in mail: from 2 KiB, each doubling rarer than the one
// before. No floating point: processors round differently.
func (w *writer) attachment(room int) entity {
	size := 2048 << min(w.r.IntN(10), w.r.IntN(10))
	return w.file(pick(w.r, fileKinds[:]), min(size+w.r.IntN(size), room))
}

// file makes a part with a file of at most n octets, as encoded or so.
func (w *writer) file(kind fileKind, n int) entity {
	// Base64 in lines makes 78 octets of 57.
	data := kind.fill(w, max(n, 200)*57/78*97/100)
	name := kind.name
	if w.r.IntN(3) == 0 {
		name = fmt.Sprintf("%d-%s", 1+w.r.IntN(99), name)
	}
	disposition := fmt.Sprintf("Content-Disposition: attachment; filename=\"%s\"", name)
	if local := w.t.language.file; local != "" && w.r.IntN(2) == 0 {
		// RFC 2231, 4.
		disposition = "Content-Disposition: attachment;\r\n filename*=utf-8''" + percent(local+name[strings.LastIndexByte(name, '.'):])
	}
	var b bytes.Buffer
	writeBase64(&b, data)
	return entity{
		fields: []string{
			fmt.Sprintf("Content-Type: %s; name=\"%s\"", kind.typ, name), disposition, "Content-Transfer-Encoding: base64",
		},
		body: b.Bytes(),
	}
}

// percent writes a parameter's value in RFC 2231's encoding.
func percent(s string) string {
	var sb strings.Builder
	for i := range len(s) {
		if c := s[i]; c < 0x80 && (c >= '0' && c <= '9' || c|0x20 >= 'a' && c|0x20 <= 'z' || c == '.' || c == '-') {
			sb.WriteByte(c)
		} else {
			fmt.Fprintf(&sb, "%%%02X", c)
		}
	}
	return sb.String()
}

// noise is what compressed data looks like.
func (w *writer) noise(n int) []byte {
	data := make([]byte, n+8)
	for i := 0; i < n; i += 8 {
		binary.LittleEndian.PutUint64(data[i:], w.r.Uint64())
	}
	return data[:n]
}

func (w *writer) pdf(n int) []byte {
	var b bytes.Buffer
	b.WriteString("%PDF-1.7\n%\xe2\xe3\xcf\xd3\n1 0 obj\n<< /Type /Catalog /Pages 2 0 R >>\nendobj\n")
	for obj := 3; b.Len() < n-100; obj++ {
		stream := w.noise(min(8192, n-b.Len()-90))
		fmt.Fprintf(&b, "%d 0 obj\n<< /Length %d /Filter /FlateDecode >>\nstream\n%s\nendstream\nendobj\n", obj, len(stream), stream)
	}
	b.WriteString("%%EOF\n")
	return b.Bytes()
}

func (w *writer) png(n int) []byte {
	var b bytes.Buffer
	b.WriteString("\x89PNG\r\n\x1a\n")
	chunk := func(name string, data []byte) {
		body := append([]byte(name), data...)
		b.Write(binary.BigEndian.AppendUint32(nil, uint32(len(data))))
		b.Write(body)
		b.Write(binary.BigEndian.AppendUint32(nil, crc32.ChecksumIEEE(body)))
	}
	chunk("IHDR", []byte{0, 0, 2, 0x80, 0, 0, 1, 0xe0, 8, 2, 0, 0, 0})
	for b.Len() < n-100 {
		chunk("IDAT", w.noise(min(8192, n-b.Len()-24)))
	}
	chunk("IEND", nil)
	return b.Bytes()
}

func (w *writer) csv(n int) []byte {
	var b bytes.Buffer
	b.WriteString("id,name,amount,paid\r\n")
	for id := 1; b.Len() < n-80; id++ {
		fmt.Fprintf(&b, "%d,\"%s\",%d.%02d,%t\r\n", id, pick(w.r, w.t.language.people).name, w.r.IntN(5000), w.r.IntN(100), w.r.IntN(2) == 0)
	}
	return b.Bytes()
}

func (w *writer) zip(n int) []byte {
	return append([]byte("PK\x03\x04\x14\x00\x00\x00\x08\x00"), w.noise(max(n-10, 0))...)
}

// calendar ignores n: there is only so much to say.
func (w *writer) calendar(int) []byte {
	return fmt.Appendf(nil, "BEGIN:VCALENDAR\r\nVERSION:2.0\r\nPRODID:-//example.org//Calendar//EN\r\nBEGIN:VEVENT\r\nUID:%x@example.org\r\nDTSTAMP:20260105T080000Z\r\nDTSTART:202601%02dT%02d0000Z\r\nSUMMARY:%s\r\nEND:VEVENT\r\nEND:VCALENDAR\r\n",
		w.r.Uint64(), 1+w.r.IntN(28), 8+w.r.IntN(10), w.t.subject)
}
