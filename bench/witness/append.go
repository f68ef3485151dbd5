package witness

import (
	"bytes"
	"encoding/base64"
	"fmt"
	"time"

	"github.com/quorumail/quorumail/bench/check"
	"github.com/quorumail/quorumail/bench/traffic"
)

// AddAppender adds a worker that appends messages by addr: mostly small, now and
// then one whose body needs several log entries.
func (c *Crew) AddAppender(addr string) { c.add("append", addr, new(appender)) }

type appender struct{ n int }

func (a *appender) begin(*worker, *traffic.Conn) error { return nil }

func (a *appender) step(w *worker, c *traffic.Conn) error {
	a.n++
	id := fmt.Sprintf("<%d.%s.%x@witness.example>", a.n, w.name, w.crew.cfg.Seed)
	body := a.message(w, id)
	var at traffic.Appended
	span, err := w.span(func() (err error) {
		at, err = c.Append(w.crew.cfg.Mailbox, a.flags(w), time.Time{}, int64(len(body)), bytes.NewReader(body))
		return err
	})
	w.crew.history.AddAppend(check.Append{
		Span: span, MessageID: id, UIDValidity: uint32(at.UIDValidity), UID: uint32(at.UID()),
	})
	if err != nil {
		return err
	}
	if at.UID() == 0 {
		return fmt.Errorf("APPEND: no APPENDUID (RFC 9051, 7.1)")
	}
	w.crew.pool.add(uint32(at.UID()))
	return nil
}

func (a *appender) flags(w *worker) []string {
	switch w.rng.IntN(4) {
	case 0:
		return []string{`\Seen`}
	case 1:
		return []string{`\Flagged`, "$Forwarded"}
	}
	return nil
}

// message makes a message. What is random in it cannot be compressed away.
func (a *appender) message(w *worker, id string) []byte {
	size := 200 + w.rng.IntN(4000)
	if w.rng.IntN(50) == 0 {
		size = 300_000 + w.rng.IntN(500_000) // staged in chunks
	}
	noise := make([]byte, size)
	for i := range noise {
		noise[i] = byte(w.rng.Uint32())
	}
	var b bytes.Buffer
	fmt.Fprintf(&b, "Message-ID: %s\r\nFrom: witness@example.org\r\nTo: %s\r\n", id, w.crew.cfg.User)
	fmt.Fprintf(&b, "Subject: message %d of %s\r\nDate: Tue, 24 Nov 2026 10:00:00 +0000\r\n\r\n", a.n, w.name)
	text := base64.StdEncoding.EncodeToString(noise)
	for len(text) > 0 {
		n := min(76, len(text))
		b.WriteString(text[:n] + "\r\n")
		text = text[n:]
	}
	return b.Bytes()
}
