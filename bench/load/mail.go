package load

import (
	"bytes"
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"io"
	"math"
	"math/rand/v2"
	"strings"
	"time"

	"github.com/quorumail/quorumail/bench/traffic"
)

// mail makes messages: the same ones for the same seed, so that both servers of
// a comparison are given the same.
type mail struct {
	rnd *rand.Rand
	n   int
}

func newMail(seed uint64) *mail {
	return &mail{rnd: rand.New(rand.NewPCG(seed, 0x6d61696c))}
}

// firstDay is the Date of the first message.
var firstDay = time.Date(2026, 1, 5, 8, 0, 0, 0, time.UTC)

// message returns a message of exactly size octets, or a little more where the
// header alone has more. Half of its body is words, half is base64 of noise, as
// with attachments: compression should be worth what it is worth with mail.
func (m *mail) message(size int) []byte {
	m.n++
	var b bytes.Buffer
	fmt.Fprintf(&b, "Return-Path: <%s@example.net>\r\n", m.word())
	fmt.Fprintf(&b, "From: %s %s <%s@example.net>\r\n", m.word(), m.word(), m.word())
	fmt.Fprintf(&b, "To: Bench <bench@example.org>, %s <%s@example.com>\r\n", m.word(), m.word())
	fmt.Fprintf(&b, "Subject: %s %s %s %d\r\n", m.word(), m.word(), m.word(), m.n)
	fmt.Fprintf(&b, "Date: %s\r\n", firstDay.Add(time.Duration(m.n)*time.Minute).Format(time.RFC1123Z))
	fmt.Fprintf(&b, "Message-ID: <%d.%x@example.net>\r\n", m.n, m.rnd.Uint64())
	b.WriteString("MIME-Version: 1.0\r\nContent-Type: text/plain; charset=us-ascii\r\n\r\n")
	for half := b.Len() + (size-b.Len())/2; b.Len() < half; {
		b.WriteString(m.sentence() + "\r\n")
	}
	noise := make([]byte, 64)
	line := make([]byte, 78) // 57 octets make 76
	copy(line[76:], "\r\n")
	for b.Len() < size {
		for i := 0; i < len(noise); i += 8 {
			binary.LittleEndian.PutUint64(noise[i:], m.rnd.Uint64())
		}
		base64.StdEncoding.Encode(line, noise[:57])
		b.Write(line)
	}
	if b.Len() > size && size > 600 {
		b.Truncate(size - 2)
		out := b.Bytes()
		// The cut may have left a CR or LF alone.
		for i := len(out) - 2; i < len(out); i++ {
			if out[i] == '\r' || out[i] == '\n' {
				out[i] = '.'
			}
		}
		b.WriteString("\r\n")
	}
	return b.Bytes()
}

// sizeBetween returns a size of lo to hi; each doubling is equally likely, as
// sizes of mail are.
func (m *mail) sizeBetween(lo, hi int) int {
	return int(math.Exp(math.Log(float64(lo)) + m.rnd.Float64()*math.Log(float64(hi)/float64(lo))))
}

func (m *mail) word() string {
	const consonants, vowels = "bcdfghjklmnprstvwz", "aeiou"
	var sb strings.Builder
	for range 2 + m.rnd.IntN(3) {
		sb.WriteByte(consonants[m.rnd.IntN(len(consonants))])
		sb.WriteByte(vowels[m.rnd.IntN(len(vowels))])
	}
	return sb.String()
}

func (m *mail) sentence() string {
	words := make([]string, 8)
	for i := range words {
		words[i] = m.word()
	}
	return strings.Join(words, " ") + "."
}

// asMessage is what APPEND takes.
func asMessage(b []byte) traffic.Message {
	return traffic.Message{Size: int64(len(b)), Body: bytes.NewReader(b)}
}

// labelled returns b with one more header field before it, so that no two
// appends of a pool of messages are the same.
func labelled(b []byte, label string) (io.Reader, int64) {
	head := "X-Bench: " + label + "\r\n"
	return io.MultiReader(strings.NewReader(head), bytes.NewReader(b)), int64(len(head) + len(b))
}
