package search_test

import (
	"bytes"
	"context"
	"encoding/base64"
	"io"
	"mime"
	"mime/multipart"
	"mime/quotedprintable"
	"net/mail"
	"strings"
	"testing"
	"time"

	"github.com/emersion/go-message/charset"
	"golang.org/x/text/unicode/norm"
	"pgregory.net/rapid"

	"github.com/quorumail/quorumail/bench/corpus"
	"github.com/quorumail/quorumail/node/search"
	"github.com/quorumail/quorumail/proto/imapnum"
	pb "github.com/quorumail/quorumail/proto/quorumail/v1"
)

// known is what a naive reader, made of the standard library, knows of a
// message: it shares no code with the subject.
type known struct {
	headers map[string][]string // of the message, in lower case
	all     []string            // all header fields of all parts, "name: value"
	texts   []string
	day     int64
}

// plain is a text as it is compared: without case, and decomposed, so that "e" is
// found in "é" (RFC 5051, 2.3).
func plain(s string) string { return strings.ToLower(norm.NFKD.String(s)) }

func (k *known) entity(t testing.TB, header map[string][]string, r io.Reader, top bool) {
	words := mime.WordDecoder{CharsetReader: charset.Reader}
	for name, values := range header {
		for _, v := range values {
			if d, err := words.DecodeHeader(v); err == nil {
				v = d
			}
			v = plain(v)
			k.all = append(k.all, strings.ToLower(name)+": "+v)
			if top {
				k.headers[strings.ToLower(name)] = append(k.headers[strings.ToLower(name)], v)
			}
		}
	}
	get := func(name string) string {
		if v := header[name]; len(v) > 0 {
			return v[0]
		}
		return ""
	}
	typ, params, err := mime.ParseMediaType(get("Content-Type"))
	if err != nil {
		t.Fatal(err)
	}
	switch enc := get("Content-Transfer-Encoding"); enc {
	case "base64":
		r = base64.NewDecoder(base64.StdEncoding, r)
	case "quoted-printable":
		r = quotedprintable.NewReader(r)
	}
	switch {
	case strings.HasPrefix(typ, "multipart/"):
		for mr := multipart.NewReader(r, params["boundary"]); ; {
			p, err := mr.NextRawPart()
			if err == io.EOF {
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			k.entity(t, p.Header, p, false)
		}
	case typ == "message/rfc822":
		m, err := mail.ReadMessage(r)
		if err != nil {
			t.Fatal(err)
		}
		k.entity(t, m.Header, m.Body, false)
	case strings.HasPrefix(typ, "text/") || strings.HasPrefix(typ, "message/"):
		if cs := params["charset"]; cs != "" {
			if r, err = charset.Reader(cs, r); err != nil {
				t.Fatal(err)
			}
		}
		text, err := io.ReadAll(r)
		if err != nil {
			t.Fatal(err)
		}
		k.texts = append(k.texts, plain(string(text)))
	}
}

func contains(list []string, s string) bool {
	for _, l := range list {
		if strings.Contains(l, plain(s)) {
			return true
		}
	}
	return false
}

// match is the specification (RFC 9051, 6.4.4), read word by word.
func match(key *pb.SearchKey, s *stored, k *known, keywords []string) bool {
	in := func(d *pb.DateKey, day int64) bool {
		return (d.FromDay == nil || *d.FromDay <= day) && (d.BeforeDay == nil || day < *d.BeforeDay)
	}
	dayOf := func(at int64, zone int32) int64 {
		t := time.Unix(at, 0).In(time.FixedZone("", int(zone)*60))
		return *day(t.Year(), t.Month(), t.Day())
	}
	switch v := key.GetKey().(type) {
	case *pb.SearchKey_And:
		for _, kid := range v.And.GetKeys() {
			if !match(kid, s, k, keywords) {
				return false
			}
		}
		return true
	case *pb.SearchKey_Or:
		for _, kid := range v.Or.GetKeys() {
			if match(kid, s, k, keywords) {
				return true
			}
		}
		return false
	case *pb.SearchKey_Not:
		return !match(v.Not, s, k, keywords)
	case *pb.SearchKey_All:
		return true
	case *pb.SearchKey_Uids:
		set, _ := imapnum.Unpack(v.Uids.GetPacked())
		return set.Contains(imapnum.UID(s.rec.GetState().GetUid()))
	case *pb.SearchKey_Flag:
		if f, ok := imapnum.ParseSystemFlag(v.Flag); ok {
			return imapnum.SystemFlags(s.rec.GetState().GetSystemFlags())&f != 0
		}
		for _, n := range s.rec.GetState().GetKeywords() {
			if strings.EqualFold(keywords[n], v.Flag) {
				return true
			}
		}
		return false
	case *pb.SearchKey_Header:
		return contains(k.headers[strings.ToLower(v.Header.GetName())], v.Header.GetValue())
	case *pb.SearchKey_Body:
		return contains(k.texts, v.Body)
	case *pb.SearchKey_Text:
		return contains(k.texts, v.Text) || contains(k.all, v.Text)
	case *pb.SearchKey_Larger:
		return uint64(len(s.raw)) > v.Larger
	case *pb.SearchKey_Smaller:
		return uint64(len(s.raw)) < v.Smaller
	case *pb.SearchKey_InternalDate:
		return in(v.InternalDate, dayOf(s.rec.GetInternalDate(), s.rec.GetZoneMinutes()))
	case *pb.SearchKey_SentDate:
		return in(v.SentDate, k.day)
	case *pb.SearchKey_ModSeq:
		return s.rec.GetState().GetModSeq() >= v.ModSeq
	}
	panic("unknown key")
}

// needles are in some message of the corpus, or in none.
var needles = []string{
	"meeting", "INVOICE", "größe", "RÜCKMELDUNG", "réunion", "Отчёт", "СПАСИБО", "議事録", "ありがとう", "alice@example.org",
	"Jürgen Müller", "Re: ", "aw: ", "filename", "multipart/", "report", "5.1.1 no such", "BEGIN:VCALENDAR", "id,name", "lists.example.org",
	"style>", "no message has this", "=?utf-8", "%PDF", "<p>", "e", "\r\n", "> ", "x",
}

func drawKey(t *rapid.T, depth int) *pb.SearchKey {
	needle := func() string { return rapid.SampledFrom(needles).Draw(t, "needle") }
	date := func() *pb.DateKey {
		d := &pb.DateKey{}
		from := *day(2021, 1, 1) + rapid.Int64Range(0, 30).Draw(t, "day")
		if rapid.Bool().Draw(t, "from") {
			d.FromDay = &from
		}
		if rapid.Bool().Draw(t, "before") {
			before := from + rapid.Int64Range(0, 5).Draw(t, "days")
			d.BeforeDay = &before
		}
		return d
	}
	most := 12
	if depth == 0 {
		most = 9
	}
	switch rapid.IntRange(0, most).Draw(t, "kind") {
	case 0:
		return flag(rapid.SampledFrom([]string{`\Seen`, `\Flagged`, "work", "$Forwarded", "Unknown"}).Draw(t, "flag"))
	case 1:
		first := imapnum.UID(rapid.Uint32Range(1, 40).Draw(t, "first"))
		set := imapnum.SetOfRange(first, first+imapnum.UID(rapid.Uint32Range(0, 20).Draw(t, "n")))
		return &pb.SearchKey{Key: &pb.SearchKey_Uids{Uids: &pb.UidSet{Packed: set.Pack()}}}
	case 2:
		return header(rapid.SampledFrom([]string{"From", "TO", "cc", "Subject", "List-Id", "Received", "X-None"}).Draw(t, "field"), rapid.SampledFrom(append(needles, "")).Draw(t, "value"))
	case 3:
		return body(needle())
	case 4:
		return text(needle())
	case 5:
		return larger(rapid.Uint64Range(0, 8000).Draw(t, "size"))
	case 6:
		return &pb.SearchKey{Key: &pb.SearchKey_InternalDate{InternalDate: date()}}
	case 7:
		return &pb.SearchKey{Key: &pb.SearchKey_SentDate{SentDate: date()}}
	case 8:
		return modSeq(rapid.Uint64Range(0, 700).Draw(t, "modseq"))
	case 9:
		return smaller(rapid.Uint64Range(0, 8000).Draw(t, "size"))
	case 10:
		return not(drawKey(t, depth-1))
	}
	var kids []*pb.SearchKey
	for range rapid.IntRange(0, 3).Draw(t, "kids") {
		kids = append(kids, drawKey(t, depth-1))
	}
	if rapid.Bool().Draw(t, "and") {
		return and(kids...)
	}
	return or(kids...)
}

// Whatever the order in which a search looks at things, it finds what the
// specification says.
func TestSearchEqualsTheSpecification_RFC9051_6_4_4(t *testing.T) {
	mb := &mailbox{t: t, keywords: []string{"$Forwarded", "Work"}}
	c := corpus.New(11)
	c.MaxSize = 64 << 10
	var facts []*known
	for i := range 60 {
		date := c.Date(i)
		raw := c.Message(i)
		s := mb.add(string(raw), func(r *pb.FetchedMessage) {
			r.State.SystemFlags = uint32(i) & uint32(imapnum.FlagSeen|imapnum.FlagFlagged)
			r.State.ModSeq = uint64(i*7%60) * 12
			if i%3 == 0 {
				r.State.Keywords = []uint32{uint32(i / 3 % 2)}
			}
			_, zone := date.Zone()
			r.InternalDate, r.ZoneMinutes = date.Add(5*time.Hour).Unix(), int32(zone/60)
		})
		m, err := mail.ReadMessage(bytes.NewReader(raw))
		if err != nil {
			t.Fatal(err)
		}
		k := &known{headers: make(map[string][]string), day: *day(date.Year(), date.Month(), date.Day())}
		k.entity(t, m.Header, m.Body, true)
		if s.raw != string(raw) {
			t.Fatal("the message was changed")
		}
		facts = append(facts, k)
	}
	found, tried := 0, 0
	rapid.Check(t, func(t *rapid.T) {
		tried++
		key := drawKey(t, 3)
		res, err := mb.search(key)
		if err != nil {
			t.Fatal(err)
		}
		var want imapnum.SetBuilder
		for i, s := range mb.messages {
			if match(key, s, facts[i], mb.keywords) {
				want.Add(imapnum.UID(i + 1))
			}
		}
		if w := want.Set(); !res.UIDs.Equal(w) {
			t.Fatalf("found %v, want %v, for %v", res.UIDs, w, key)
		}
		if n := res.UIDs.Len(); n > 0 && n < 60 {
			found++
		}
		checkPart(t, mb, key, res)
	})
	if found < tried/8 { // a third of them do, commonly
		t.Errorf("only %d of %d searches found some messages and not all: the test shows little", found, tried)
	}
}

// checkPart checks that a part of the matches is that part of all of them (RFC
// 9394, 3.1), with their MODSEQ.
func checkPart(t *rapid.T, mb *mailbox, key *pb.SearchKey, all search.Result) {
	part := search.Part{
		First: rapid.Uint64Range(1, 70).Draw(t, "first"), FromEnd: rapid.Bool().Draw(t, "from end"), Only: rapid.Bool().Draw(t, "only"),
	}
	part.Last = part.First + rapid.Uint64Range(0, 70).Draw(t, "more")
	var want imapnum.SetBuilder
	var modSeq imapnum.ModSeq
	place, n := uint64(0), all.UIDs.Len()
	for uid := range all.UIDs.All() {
		place++
		at := place
		if part.FromEnd {
			at = n - place + 1
		}
		if at >= part.First && at <= part.Last {
			want.Add(uid)
			modSeq = max(modSeq, imapnum.ModSeq(mb.messages[uid-1].rec.GetState().GetModSeq()))
		}
	}
	if all.HighestModSeq == 0 {
		modSeq = 0 // not asked for
	}
	res, err := search.Run(context.Background(), key, mb, now, part)
	if err != nil {
		t.Fatal(err)
	}
	w := want.Set()
	if part.Only && !res.UIDs.Equal(w) || !part.Only && !res.UIDs.Equal(all.UIDs) || res.PartModSeq != modSeq {
		t.Fatalf("%+v of %v is %v, MODSEQ %d; want %v, %d", part, all.UIDs, res.UIDs, res.PartModSeq, w, modSeq)
	}
}

func BenchmarkSearch(b *testing.B) {
	mb := &mailbox{t: b}
	c := corpus.New(11)
	size := 0
	for i := range 300 {
		raw := c.Message(i)
		size += len(raw)
		mb.add(string(raw), nil)
	}
	for name, key := range map[string]*pb.SearchKey{
		"header": header("Subject", "no such subject"), "body": body("no such words"), "text": text("no such words"),
	} {
		b.Run(name, func(b *testing.B) {
			b.SetBytes(int64(size))
			for b.Loop() {
				if _, err := search.Run(b.Context(), key, mb, now, search.Part{}); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
