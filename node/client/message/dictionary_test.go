package message

import (
	"bytes"
	"encoding/base64"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/klauspost/compress/zstd"

	"github.com/quorumail/quorumail/bench/corpus"
	pb "github.com/quorumail/quorumail/proto/quorumail/v1"
)

// Would a dictionary make headers smaller? Each is a chunk of its own, compressed
// alone. bench/PERFORMANCE.md has the figures and what was decided.
//
//	go test -run xxx -bench Dictionary ./node/client/message
//
// A dictionary is part of the binary: it is trained before anybody knows whose mail
// will come. So it is tried on headers of the senders that it was trained on, and of
// others. MAIL=dir adds the mail in a directory, one message a file: half of it
// trains a dictionary for the other half, and the senders above one for all of it.
func BenchmarkDictionary(b *testing.B) {
	known, others := newSenders(1, "webmail", "bulk", "robot"), newSenders(2, "office", "list", "bulk", "webmail")
	trained := trainDictionary(b, known.headers(1, 600))
	b.Run("senders=known", func(b *testing.B) { benchDictionary(b, trained, known.headers(2, 600)) })
	b.Run("senders=others", func(b *testing.B) { benchDictionary(b, trained, others.headers(3, 600)) })
	mails := func(name string, list [][]byte) {
		headers := make([][]byte, len(list))
		for i, mail := range list {
			headers[i] = headerOf(mail)
		}
		half := len(list) / 2
		b.Run(name+"=known", func(b *testing.B) { benchDictionary(b, trainDictionary(b, headers[:half]), headers[half:]) })
		b.Run(name+"=others", func(b *testing.B) { benchDictionary(b, trained, headers) })
		b.Run(name+"=whole", func(b *testing.B) { benchWhole(b, list) })
	}
	demo := corpus.New(1)
	var list [][]byte
	for i := range 600 {
		list = append(list, demo.Message(i))
	}
	mails("corpus", list)
	if dir := os.Getenv("MAIL"); dir != "" {
		mails("files", mailIn(b, dir))
	}
}

// benchWhole reads mail as an APPEND does, and tells how much of what is stored are
// headers.
func benchWhole(b *testing.B, list [][]byte) {
	var header, whole []int
	add := func(msg *pb.AppendMessage) {
		sum := 0
		for _, c := range msg.GetInline() {
			sum += len(c.GetData())
		}
		header, whole = append(header, len(msg.GetInline()[0].GetData())), append(whole, sum)
	}
	for i := 0; b.Loop(); i++ {
		msg, err := Read(b.Context(), bytes.NewReader(list[i%len(list)]), &store{}, Options{})
		if err != nil {
			b.Fatal(err)
		}
		if i < len(list) && len(msg.GetInline()) > 0 {
			add(msg)
		}
	}
	if len(whole) > 0 {
		slices.Sort(header)
		slices.Sort(whole)
		b.ReportMetric(float64(header[len(header)/2]), "octets/median-header")
		b.ReportMetric(float64(whole[len(whole)/2]), "octets/median-mail")
	}
}

// dictionarySize is what senders' own headers gain most by: at twice that a few
// octets more.
const dictionarySize = 32 << 10

// trainDictionary makes a dictionary of headers.
func trainDictionary(b *testing.B, headers [][]byte) []byte {
	b.Helper()
	var history []byte
	for _, h := range headers {
		if len(history)+len(h) <= dictionarySize {
			history = append(history, h...)
		}
	}
	d, err := zstd.BuildDict(zstd.BuildDictOptions{
		ID: 1, Contents: headers, History: history, Offsets: [3]int{1, 4, 8}, Level: zstd.SpeedFastest,
	})
	if err != nil {
		b.Fatal(err)
	}
	return d
}

// benchDictionary compresses headers, and opens them again, without and with a
// dictionary.
func benchDictionary(b *testing.B, dictionary []byte, headers [][]byte) {
	encoding := []zstd.EOption{zstd.WithEncoderLevel(zstd.SpeedFastest), zstd.WithEncoderConcurrency(1), zstd.WithWindowSize(chunkSize)}
	decoding := []zstd.DOption{zstd.WithDecoderConcurrency(1)}
	for _, with := range []bool{false, true} {
		if with {
			encoding, decoding = append(encoding, zstd.WithEncoderDict(dictionary)), append(decoding, zstd.WithDecoderDicts(dictionary))
		}
		enc, err := zstd.NewWriter(nil, encoding...)
		if err != nil {
			b.Fatal(err)
		}
		dec, err := zstd.NewReader(nil, decoding...)
		if err != nil {
			b.Fatal(err)
		}
		var stored [][]byte
		var raw, octets int
		for _, h := range headers {
			s := enc.EncodeAll(h, nil)
			if back, err := dec.DecodeAll(s, nil); err != nil || !bytes.Equal(back, h) {
				b.Fatalf("%q came back as %q, %v", h, back, err)
			}
			stored = append(stored, s)
			raw, octets = raw+len(h), octets+len(s)
		}
		n := float64(len(headers))
		var buf []byte
		b.Run(fmt.Sprintf("dictionary=%v/compress", with), func(b *testing.B) {
			for i := 0; b.Loop(); i++ {
				buf = enc.EncodeAll(headers[i%len(headers)], buf[:0])
			}
			b.ReportMetric(float64(raw)/n, "octets/raw")
			b.ReportMetric(float64(octets)/n, "octets/stored")
		})
		b.Run(fmt.Sprintf("dictionary=%v/open", with), func(b *testing.B) {
			for i := 0; b.Loop(); i++ {
				if buf, err = dec.DecodeAll(stored[i%len(stored)], buf[:0]); err != nil {
					b.Fatal(err)
				}
			}
		})
		dec.Close()
	}
}

func headerOf(mail []byte) []byte {
	header, _, _ := bytes.Cut(mail, []byte("\r\n\r\n"))
	return append(bytes.Clone(header), "\r\n\r\n"...)
}

// mailIn returns the files in a directory, in an order of no meaning.
func mailIn(b *testing.B, dir string) (list [][]byte) {
	b.Helper()
	err := filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return err
		}
		mail, err := os.ReadFile(path)
		mail = bytes.ReplaceAll(bytes.ReplaceAll(mail, []byte("\r\n"), []byte("\n")), []byte("\n"), []byte("\r\n"))
		if len(mail) > 0 {
			list = append(list, mail)
		}
		return err
	})
	if err != nil || len(list) < 20 {
		b.Fatalf("%s: %d messages, %v", dir, len(list), err)
	}
	rand.New(rand.NewPCG(1, 1)).Shuffle(len(list), func(i, j int) { list[i], list[j] = list[j], list[i] })
	return list
}

// senders write headers as mail has them today: most of their octets are names of
// hosts, ids and signatures.
type senders []sender

type sender struct {
	kind         string
	host, relay  string
	selector     string
	people       []string
	tenant, list string
}

func newSenders(seed uint64, kinds ...string) (list senders) {
	h := &headerWriter{r: rand.New(rand.NewPCG(seed, 1))}
	for i := range 40 {
		s := sender{
			kind: kinds[i%len(kinds)], host: h.word() + "-" + h.word() + ".example", relay: h.word() + ".example.net",
			selector: h.word() + h.digits(2), tenant: h.guid(), list: h.word(),
		}
		for range 8 {
			s.people = append(s.people, h.word()+" "+h.word())
		}
		list = append(list, s)
	}
	return list
}

// headers are n of them, of senders by chance.
func (list senders) headers(seed uint64, n int) (all [][]byte) {
	h := &headerWriter{r: rand.New(rand.NewPCG(seed, 2))}
	for range n {
		all = append(all, h.header(&list[h.r.IntN(len(list))]))
	}
	return all
}

// headerWriter writes one header after the other.
type headerWriter struct {
	r    *rand.Rand
	b    strings.Builder
	time time.Time
}

func (h *headerWriter) word() string {
	var sb strings.Builder
	for range 2 + h.r.IntN(3) {
		sb.WriteByte("bcdfghjklmnprstvwz"[h.r.IntN(18)])
		sb.WriteByte("aeiou"[h.r.IntN(5)])
	}
	return sb.String()
}

func (h *headerWriter) digits(n int) string {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte('0' + h.r.IntN(10))
	}
	return string(b)
}

// noise is base64 of octets that nothing tells in advance.
func (h *headerWriter) noise(octets int) string {
	b := make([]byte, octets)
	for i := range b {
		b[i] = byte(h.r.Uint32())
	}
	return base64.StdEncoding.EncodeToString(b)
}

func (h *headerWriter) guid() string {
	return fmt.Sprintf("%08x-%04x-%04x-%04x-%012x", h.r.Uint32(), h.r.IntN(1<<16), h.r.IntN(1<<16), h.r.IntN(1<<16), h.r.Uint64()>>16)
}

func (h *headerWriter) add(name, format string, args ...any) {
	fmt.Fprintf(&h.b, name+": "+format+"\r\n", args...)
}

// folded is noise in lines.
func (h *headerWriter) folded(octets int) string {
	lines := slices.Collect(slices.Chunk([]byte(h.noise(octets)), 64))
	return string(bytes.Join(lines, []byte("\r\n\t ")))
}

func (h *headerWriter) received(from, by, with string) {
	h.time = h.time.Add(-time.Duration(h.r.IntN(3000)) * time.Millisecond)
	h.add("Received", "from %s (%s [192.0.2.%d])\r\n\tby %s with %s id %s\r\n\tfor <me@example.org>; %s",
		from, from, h.r.IntN(256), by, with, strings.ToUpper(h.digits(4)+h.word()+h.digits(3)), h.time.Format(time.RFC1123Z))
}

func (h *headerWriter) signature(s *sender, field string, signed string) {
	h.add(field, "v=1; a=rsa-sha256; c=relaxed/relaxed; d=%s; s=%s;\r\n\tt=%d; h=%s;\r\n\tbh=%s;\r\n\tb=%s",
		s.host, s.selector, h.time.Unix(), signed, h.noise(32), h.folded(256))
}

func (h *headerWriter) header(s *sender) []byte {
	h.b.Reset()
	h.time = time.Date(2026, 1, 5, 8, 0, 0, 0, time.UTC).Add(time.Duration(h.r.IntN(1<<24)) * time.Second)
	name := s.people[h.r.IntN(len(s.people))]
	address := strings.ReplaceAll(name, " ", ".") + "@" + s.host
	out := fmt.Sprintf("mail-%s.%s", h.digits(3), s.relay)
	h.add("Return-Path", "<%s>", address)
	h.add("Delivered-To", "me@example.org")
	h.received(out, "mx.example.org", "ESMTPS")
	h.add("Authentication-Results", "mx.example.org;\r\n\tdkim=pass header.d=%s header.s=%s;\r\n\tspf=pass smtp.mailfrom=%s;\r\n\tdmarc=pass (p=reject) header.from=%s",
		s.host, s.selector, address, s.host)
	h.hops(s, out)
	h.signature(s, "DKIM-Signature", "from:to:subject:date:message-id:mime-version:content-type")
	id := fmt.Sprintf("<%s.%s@%s>", h.digits(12), h.word(), s.host)
	h.own(s, id)
	h.add("From", "%s <%s>", name, address)
	h.add("To", "Me <me@example.org>")
	h.add("Subject", "%s %s %s %s", h.word(), h.word(), h.word(), h.word())
	h.add("Date", "%s", h.time.Format(time.RFC1123Z))
	h.add("Message-ID", "%s", id)
	h.add("MIME-Version", "1.0")
	h.add("Content-Type", "multipart/alternative;\r\n\tboundary=\"%s%s\"", strings.Repeat("-", h.r.IntN(20)), h.digits(24))
	h.b.WriteString("\r\n")
	return []byte(h.b.String())
}

// hops are the fields of the way up to the relay.
func (h *headerWriter) hops(s *sender, out string) {
	switch s.kind {
	case "office":
		h.add("ARC-Seal", "i=1; a=rsa-sha256; s=arc%s; d=%s; cv=none;\r\n\tb=%s", h.digits(4), s.relay, h.folded(256))
		h.signature(s, "ARC-Message-Signature", "from:date:subject:message-id:content-type:mime-version:x-tenant-seal")
		h.add("ARC-Authentication-Results", "i=1; %s 1; spf=pass smtp.mailfrom=%s; dmarc=pass action=none header.from=%s; dkim=pass header.d=%s; arc=none",
			s.relay, s.host, s.host, s.host)
		for range 3 {
			h.received(strings.ToUpper(h.word()+h.digits(4))+".prod."+s.relay, strings.ToUpper(h.word()+h.digits(4))+".prod."+s.relay, "Secure SMTP (TLS1_3)")
		}
	case "list":
		h.received("localhost", "lists."+s.host, "ESMTP")
		h.received("mx."+s.host, "lists."+s.host, "ESMTPS")
	default:
		h.received("smtp-"+h.digits(2)+"."+s.host, out, "ESMTPSA")
	}
}

// own are the fields that kinds of senders have of their own.
func (h *headerWriter) own(s *sender, id string) {
	switch s.kind {
	case "webmail":
		h.signature(s, "X-Provider-DKIM-Signature", "mime-version:date:subject:to:from:x-message-state:message-id")
		h.add("X-Message-State", "%s", h.noise(50))
		h.add("X-Smtp-Source", "%s", h.noise(64))
	case "office":
		h.add("X-Tenant-Seal", "%s", h.folded(200))
		h.add("X-Tenant-CrossTenant-Id", "%s", s.tenant)
		h.add("X-Tenant-CrossTenant-Network-Message-Id", "%s", h.guid())
		h.add("X-Tenant-CrossTenant-OriginalArrivalTime", "%s", h.time.Format(time.RFC3339Nano))
		h.add("X-Spam-Report", "BCL:0;ARA:%s|%s|%s;", h.digits(11), h.digits(9), h.digits(12))
		h.add("X-Spam-Info", "%s", h.folded(400))
		h.add("Thread-Index", "%s", h.noise(22))
		h.add("Accept-Language", "en-US")
	case "bulk":
		h.add("Feedback-ID", "%s:%s:%s:%s", h.digits(7), h.digits(4), h.word(), s.list)
		h.add("List-Unsubscribe", "<https://click.%s/u/?%s>,\r\n\t<mailto:leave-%s@%s>", s.host, strings.Trim(h.noise(90), "="), h.digits(12), s.host)
		h.add("List-Unsubscribe-Post", "List-Unsubscribe=One-Click")
		h.add("List-ID", "<%s.%s>", s.list, s.host)
		h.add("X-Campaign", "%s-%s", h.digits(6), h.guid())
		h.add("Precedence", "bulk")
	case "list":
		h.add("In-Reply-To", "<%s.%s@%s>", h.digits(12), h.word(), s.host)
		h.add("References", "<%s.%s@%s>\r\n\t%s", h.digits(12), h.word(), s.host, id)
		h.add("List-Id", "%s discussion <%s.lists.%s>", s.list, s.list, s.host)
		for _, f := range []string{"Unsubscribe", "Subscribe", "Help", "Owner"} {
			h.add("List-"+f, "<mailto:%s-%s@lists.%s>", s.list, strings.ToLower(f), s.host)
		}
		h.add("List-Archive", "<https://lists.%s/archives/list/%s/>", s.host, s.list)
		h.add("X-List-Version", "3.3.%s", h.digits(1))
		h.add("Precedence", "list")
	case "robot":
		h.add("Auto-Submitted", "auto-generated")
		h.add("X-Reason", "%s", h.word())
		h.add("X-Job", "%s/%s", s.list, h.digits(8))
		h.add("List-Unsubscribe", "<https://%s/n/unsub/%s>", s.host, h.noise(30))
	}
}
