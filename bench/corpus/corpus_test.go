package corpus_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"io"
	"mime"
	"net/mail"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/emersion/go-message/charset"

	"github.com/quorumail/quorumail/bench/corpus"
	"github.com/quorumail/quorumail/node/client/message"
	pb "github.com/quorumail/quorumail/proto/quorumail/v1"
)

// messages is how many each test looks at.
const messages = 600

// The same seed is the same mail, whatever the machine or the release: results
// are compared over both. If the corpus is changed on purpose, so is this.
func TestMessagesAreTheSameForEver(t *testing.T) {
	h := sha256.New()
	c := corpus.New(1)
	for i := range 100 {
		h.Write(c.Message(i))
	}
	const want = "486188fd5aee8f51f2ac0c1e1046c07fc9d9eb53d5d442c4cc6e9f8c67ac6f08"
	if got := hex.EncodeToString(h.Sum(nil)); got != want {
		t.Errorf("the first 100 messages hash to %s", got)
	}
	if !bytes.Equal(c.Message(7), corpus.New(1).Message(7)) || bytes.Equal(c.Message(7), corpus.New(2).Message(7)) {
		t.Error("message 7 is not that of its seed")
	}
}

func TestMessagesAreValid_RFC5322(t *testing.T) {
	c := corpus.New(1)
	c.MaxSize = 64 << 10
	words := mime.WordDecoder{CharsetReader: charset.Reader}
	encoded := regexp.MustCompile(`=\?[^ ]*\?=`)
	for i := range messages {
		raw := c.Message(i)
		header, _, _ := bytes.Cut(raw, []byte("\r\n\r\n"))
		for n, line := range bytes.Split(raw, []byte("\r\n")) {
			if bytes.ContainsAny(line, "\r\n\x00") || len(line) > 998 {
				t.Fatalf("message %d, line %d: %.80q", i, n+1, line)
			}
		}
		for _, c := range header {
			if c >= 0x80 {
				t.Fatalf("message %d: 8-bit header: %s", i, header)
			}
		}
		for _, w := range encoded.FindAll(header, -1) {
			if len(w) > 75 { // RFC 2047, 2
				t.Fatalf("message %d: encoded word of %d octets: %s", i, len(w), w)
			}
		}
		if len(raw) < 1<<10 || len(raw) > c.MaxSize {
			t.Errorf("message %d has %d octets", i, len(raw))
		}
		m, err := mail.ReadMessage(bytes.NewReader(raw))
		if err != nil {
			t.Fatalf("message %d: %v", i, err)
		}
		for _, f := range []string{"From", "To", "Cc"} {
			if m.Header.Get(f) == "" && f == "Cc" {
				continue
			}
			p := mail.AddressParser{WordDecoder: &words}
			if _, err := p.ParseList(m.Header.Get(f)); err != nil {
				t.Fatalf("message %d: %s: %v", i, f, err)
			}
		}
		if date, err := m.Header.Date(); err != nil || !date.Equal(c.Date(i)) {
			t.Fatalf("message %d: %v, %v, not %v", i, date, err, c.Date(i))
		}
		if s, err := words.DecodeHeader(m.Header.Get("Subject")); err != nil || strings.Contains(s, "=?") || strings.ContainsRune(s, utf8.RuneError) {
			t.Fatalf("message %d: subject %q, %v", i, s, err)
		}
	}
}

// parse reads a message with the parser of storage.
func parse(t *testing.T, raw []byte) *pb.Email {
	t.Helper()
	m, err := message.Read(context.Background(), bytes.NewReader(raw), discard{}, message.Options{})
	if err != nil {
		t.Fatal(err)
	}
	return m.GetEmail()
}

type discard struct{}

func (discard) PutChunk(context.Context, []byte, *pb.BodyChunk) error { return nil }

// Our own parser finds nothing broken, and every sort that is promised comes.
func TestStructures_RFC2045(t *testing.T) {
	c := corpus.New(3)
	seen := make(map[string]int)
	for i := range messages {
		raw := c.Message(i)
		e := parse(t, raw)
		if e.GetPreview() == "" {
			t.Errorf("message %d has no preview", i)
		}
		var walk func(p *pb.BodyPart, top bool) (eightBit bool)
		walk = func(p *pb.BodyPart, top bool) (eightBit bool) {
			typ := p.GetType() + "/" + p.GetSubtype()
			seen[typ]++
			seen[p.GetEncoding()]++
			for _, child := range p.GetParts() {
				eightBit = walk(child, false) || eightBit
			}
			if eightBit && p.GetEncoding() != "8BIT" {
				t.Errorf("message %d: a %s has 8-bit parts and does not say so (RFC 2045, 6.4)", i, typ)
			}
			if typ == "APPLICATION/OCTET-STREAM" || p.GetHeaderSize() == 0 {
				t.Errorf("message %d: %v", i, p)
			}
			if p.GetType() == "TEXT" {
				for _, param := range p.GetParams() {
					if string(param.GetName()) == "CHARSET" {
						seen[string(param.GetValue())]++
					}
				}
				text, err := io.ReadAll(message.Text(bytes.NewReader(raw[p.GetBodyOffset():p.GetBodyOffset()+p.GetSize()]), p))
				if err != nil || len(text) == 0 || bytes.ContainsRune(text, utf8.RuneError) || bytes.ContainsRune(text, '\x1b') {
					t.Errorf("message %d: %v: %.100q, %v", i, p, text, err)
				}
			}
			return eightBit || p.GetEncoding() == "8BIT"
		}
		walk(e.GetStructure(), true)
		fields := map[string]bool{}
		message.Fields(raw[:e.GetStructure().GetHeaderSize()], func(name string, _ []byte) { fields[name] = true })
		for name := range fields {
			seen[name]++
		}
	}
	for _, want := range []string{
		"TEXT/PLAIN", "TEXT/HTML", "MULTIPART/ALTERNATIVE", "MULTIPART/MIXED", "MULTIPART/RELATED", "MULTIPART/REPORT",
		"MESSAGE/RFC822", "MESSAGE/DELIVERY-STATUS", "IMAGE/PNG", "APPLICATION/PDF", "TEXT/CSV", "TEXT/CALENDAR",
		"7BIT", "8BIT", "BASE64", "QUOTED-PRINTABLE", "us-ascii", "utf-8", "iso-8859-1", "koi8-r", "iso-2022-jp",
		"list-id", "references", "in-reply-to", "cc", "received",
	} {
		if seen[want] < 3 {
			t.Errorf("%d × %s in %d messages", seen[want], want, messages)
		}
	}
}

func TestThreads_RFC5322_3_6_4(t *testing.T) {
	c := corpus.New(5)
	ids := make(map[string]int)
	answers, longest := 0, 0
	for i := range messages {
		raw := c.Message(i)
		e := parse(t, raw)
		id := strings.Trim(string(e.GetEnvelope().GetMessageId()), "<>")
		if _, twice := ids[id]; twice || id == "" {
			t.Fatalf("message %d: Message-ID %q comes twice", i, id)
		}
		ids[id] = i
		refs := e.GetReferences()
		longest = max(longest, len(refs))
		subject := message.HeaderText(e.GetEnvelope().GetSubject())
		_, rest, isAnswer := strings.Cut(subject, ": ")
		if len(refs) == 0 {
			continue
		}
		answers++
		first, ok := ids[refs[0]]
		if last, found := ids[refs[len(refs)-1]]; !ok || !found || last != i-1 || first != i-len(refs) {
			t.Fatalf("message %d refers to %v", i, refs)
		}
		began := message.HeaderText(parse(t, c.Message(first)).GetEnvelope().GetSubject())
		if !isAnswer || rest != began {
			t.Errorf("message %d: %q answers %q", i, subject, began)
		}
		if !c.Date(i).After(c.Date(i - 1)) {
			t.Errorf("message %d is older than what it answers", i)
		}
	}
	if answers < messages/3 || longest < 4 {
		t.Errorf("%d answers, the longest thread has %d", answers, longest+1)
	}
}

func TestSizesAndDates(t *testing.T) {
	c := corpus.New(7)
	var sizes []int
	for i := range messages {
		sizes = append(sizes, len(c.Message(i)))
	}
	slices.Sort(sizes)
	if median, p95, most := sizes[messages/2], sizes[messages*95/100], sizes[messages-1]; sizes[0] < 1<<10 || median < 2<<10 || median > 12<<10 ||
		p95 < 50<<10 || most < 300<<10 || most > 1<<20 {
		t.Errorf("sizes from %d, median %d, 95 of 100 below %d, up to %d", sizes[0], median, p95, most)
	}
	from, to := time.Date(2021, 1, 1, 0, 0, 0, 0, time.UTC), time.Date(2026, 11, 1, 0, 0, 0, 0, time.UTC)
	if d := c.Date(0); d.Before(from) || d.After(from.AddDate(0, 0, 10)) {
		t.Errorf("the first is of %v", d)
	}
	for _, period := range []int{0, 1, 12, 300, 2004, 1 << 40} {
		c.Period = period
		for i := range 40 {
			if d := c.Date(i * 997); d.Before(from) || d.After(to) {
				t.Errorf("period %d: message %d is of %v", period, i*997, d)
			}
		}
	}
	c.Period = 300
	if d := c.Date(299); d.Before(to.AddDate(0, -2, 0)) {
		t.Errorf("the last of a period is of %v", d)
	}
}

func BenchmarkMessage(b *testing.B) {
	c := corpus.New(1)
	n, i := 0, 0
	for ; b.Loop(); i++ {
		n += len(c.Message(i))
	}
	b.SetBytes(int64(n / max(i, 1)))
}
