package corpus

import (
	"bytes"
	"io"
	"mime"
	"mime/multipart"
	"net/mail"
	"strings"
	"testing"
)

// walk reads a MIME entity to its leaves and returns how many there are.
func walk(t *testing.T, contentType string, r io.Reader) int {
	t.Helper()
	typ, params, err := mime.ParseMediaType(contentType)
	if err != nil {
		t.Fatal(err)
	}
	if !strings.HasPrefix(typ, "multipart/") {
		if _, err := io.ReadAll(r); err != nil {
			t.Fatal(err)
		}
		return 1
	}
	n := 0
	for mr := multipart.NewReader(r, params["boundary"]); ; {
		p, err := mr.NextPart()
		if err == io.EOF {
			return n
		}
		if err != nil {
			t.Fatal(err)
		}
		n += walk(t, p.Header.Get("Content-Type"), p)
	}
}

func TestMessagesAreValid_RFC5322(t *testing.T) {
	c := New(1)
	c.MaxAttachment = 20 << 10
	kinds := map[string]int{}
	for i := range 500 {
		raw := c.Message(i)
		if !bytes.Equal(raw, c.Message(i)) {
			t.Fatalf("message %d is not the same twice", i)
		}
		for n, line := range bytes.Split(raw, []byte("\r\n")) {
			if bytes.ContainsAny(line, "\r\n\x00") || len(line) > 998 {
				t.Fatalf("message %d, line %d: %.80q", i, n+1, line)
			}
		}
		m, err := mail.ReadMessage(bytes.NewReader(raw))
		if err != nil {
			t.Fatalf("message %d: %v", i, err)
		}
		for _, f := range []string{"From", "To"} {
			if _, err := m.Header.AddressList(f); err != nil {
				t.Fatalf("message %d: %s: %v", i, f, err)
			}
		}
		if _, err := m.Header.Date(); err != nil {
			t.Fatalf("message %d: %v", i, err)
		}
		if _, err := new(mime.WordDecoder).DecodeHeader("=?utf-8?q?x?="); err != nil {
			t.Fatal(err)
		}
		typ, _, _ := strings.Cut(m.Header.Get("Content-Type"), ";")
		kinds[typ]++
		walk(t, m.Header.Get("Content-Type"), m.Body)
		if i%threadLength > 0 && !strings.Contains(m.Header.Get("References"), c.id(i-1)) {
			t.Fatalf("message %d does not refer to the one before", i)
		}
	}
	for _, typ := range []string{"text/plain", "multipart/alternative", "multipart/mixed"} {
		if kinds[typ] < 50 {
			t.Errorf("%d of 500 messages are %s", kinds[typ], typ)
		}
	}
}
