package search_test

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/quorumail/quorumail/node/search"
	"github.com/quorumail/quorumail/proto/imapnum"
	pb "github.com/quorumail/quorumail/proto/quorumail/v1"
)

// some is a mailbox with one message of each sort that matters.
func some(t testing.TB) *mailbox {
	mb := &mailbox{t: t, keywords: []string{"$Forwarded", "Work"}}
	// 1: plain.
	mb.add("From: \"Smith, Joe\" <joe@example.org>\nTo: ann@example.net\nSubject: Lunch\nDate: Fri, 27 Feb 2026 23:30:00 -0800\n\nAt noon?\n", func(r *pb.FetchedMessage) {
		r.State.SystemFlags = uint32(imapnum.FlagSeen)
		// 28 Feb 2026 01:00 at +0200 is 27 Feb in UTC.
		r.InternalDate, r.ZoneMinutes = time.Date(2026, 2, 27, 23, 0, 0, 0, time.UTC).Unix(), 120
		r.SaveDate = time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC).Unix()
	})
	// 2: encoded words, quoted-printable, Latin-1.
	mb.add("From: =?iso-8859-1?Q?J=FCrgen?= <j@example.org>\nSubject: =?utf-8?B?R3LDvMOfZSBhdXM=?= =?utf-8?Q?_K=C3=B6ln?=\nContent-Type: text/plain; charset=iso-8859-1\nContent-Transfer-Encoding: quoted-printable\n\nSch=F6ne Gr=FC=\n=DFe\n", func(r *pb.FetchedMessage) {
		r.State.SystemFlags = uint32(imapnum.FlagSeen | imapnum.FlagFlagged)
		r.ThreadId = 9
		r.State.Keywords = []uint32{1}
		r.InternalDate = now.Add(-time.Hour).Unix()
	})
	// 3: multipart with a text in base64, an attachment and a message.
	mb.add("From: list@example.com\nList-Id: <go.example.com>\nContent-Type: multipart/mixed; boundary=b\nSubject: Parts\n\npreamble text\n--b\nContent-Type: text/plain; charset=utf-8\nContent-Transfer-Encoding: base64\n\n"+
		base64.StdEncoding.EncodeToString([]byte("Всем привет"))+"\n--b\nContent-Type: application/octet-stream; name=secret.bin\n\nhidden octets\n--b\nContent-Type: message/rfc822\n\nSubject: inner subject\n\ninner words\n--b--\nepilogue text\n", func(r *pb.FetchedMessage) {
		r.State.Keywords = []uint32{0, 1}
		r.ThreadId = 9
		r.InternalDate = now.Add(-48 * time.Hour).Unix()
	})
	// 4: no date, no subject.
	mb.add("From: x@y\n\n", func(r *pb.FetchedMessage) {
		r.State.SystemFlags = uint32(imapnum.FlagDeleted)
		r.InternalDate = now.Add(time.Hour).Unix()
	})
	return mb
}

func TestKeys_RFC9051_6_4_4(t *testing.T) {
	mb := some(t)
	for _, c := range []struct {
		name string
		key  *pb.SearchKey
		want string
	}{
		{"all", everything(), "1:4"},
		{"nothing", not(everything()), ""},
		{"thread", thread(9), "2:3"},
		{"not of the thread", not(thread(9)), "1,4"},
		{"no thread", thread(0), ""},
		{"empty and", and(), "1:4"},
		{"empty or", or(), ""},
		{"uids", uids(2, 3, 99), "2:3"},
		{"seen", flag(`\seen`), "1:2"},
		{"unseen", not(flag(`\Seen`)), "3:4"},
		{"keyword", flag("work"), "2:3"},
		{"unkeyword", not(flag("WORK")), "1,4"},
		{"keyword that is unknown", flag("Play"), ""},
		{"unkeyword that is unknown", not(flag("Play")), "1:4"},
		{"larger", larger(mb.messages[1].rec.GetSize()), "3"},
		{"smaller", smaller(mb.messages[1].rec.GetSize()), "1,4"},
		{"from", header("From", "JOE@"), "1"},
		{"from, quoted", header("From", `"smith, joe" <joe`), "1"},
		{"from, as in the envelope", header("From", `smith, joe <joe@example.org>`), "1"},
		{"from, encoded", header("From", "JÜRGEN"), "2"},
		{"subject, encoded in two words", header("Subject", "grüße aus köln"), "2"},
		{"subject, empty", header("Subject", ""), "1:3"},
		{"no subject", not(header("Subject", "")), "4"},
		{"any field", header("list-ID", "go.example"), "3"},
		{"the field's name is no part of it", header("Subject", "subject"), ""},
		{"body", body("NOON"), "1"},
		{"body, across a soft line break", body("schöne grüße"), "2"},
		{"body, base64 and Cyrillic", body("ПРИВЕТ"), "3"},
		{"body is not header", body("lunch"), ""},
		{"body of a message inside", body("inner words"), "3"},
		{"header of a message inside", body("inner subject"), ""},
		{"attachment", body("hidden"), ""},
		{"text in header", text("lunch"), "1"},
		{"text in the name of a field", text("list-id: <go"), "3"},
		{"text in a part's header", text("SECRET.bin"), "3"},
		{"text in the header of a message inside", text("inner subject"), "3"},
		{"text in body", text("grüße"), "2"},
		{"empty body string", body(""), "1:4"},
		{"since", &pb.SearchKey{Key: &pb.SearchKey_InternalDate{InternalDate: days(day(2026, 2, 28), nil)}}, "1:2,4"},
		{"on, in its own zone", &pb.SearchKey{Key: &pb.SearchKey_InternalDate{InternalDate: days(day(2026, 2, 28), day(2026, 3, 1))}}, "1"},
		{"before", &pb.SearchKey{Key: &pb.SearchKey_InternalDate{InternalDate: days(nil, day(2026, 2, 28))}}, "3"},
		{"sent on, in its own zone", &pb.SearchKey{Key: &pb.SearchKey_SentDate{SentDate: days(day(2026, 2, 27), day(2026, 2, 28))}}, "1"},
		{"sent before", &pb.SearchKey{Key: &pb.SearchKey_SentDate{SentDate: days(nil, day(2030, 1, 1))}}, "1"},
		{"saved since", &pb.SearchKey{Key: &pb.SearchKey_SaveDate{SaveDate: days(day(2026, 3, 1), nil)}}, "1"},
		{"older", &pb.SearchKey{Key: &pb.SearchKey_OlderSeconds{OlderSeconds: 3600}}, "1:3"},
		{"older by a second more", &pb.SearchKey{Key: &pb.SearchKey_OlderSeconds{OlderSeconds: 3601}}, "1,3"},
		{"younger", &pb.SearchKey{Key: &pb.SearchKey_YoungerSeconds{YoungerSeconds: 3600}}, "2,4"},
		{"younger by a second more", &pb.SearchKey{Key: &pb.SearchKey_YoungerSeconds{YoungerSeconds: 3599}}, "4"},
		{"email id", &pb.SearchKey{Key: &pb.SearchKey_EmailId{EmailId: 3}}, "3"},
		{"modseq", modSeq(20), "2:4"},
		{"and", and(flag(`\Seen`), flag("Work")), "2"},
		{"or", or(flag(`\Deleted`), body("noon")), "1,4"},
		{"not of and", not(and(flag(`\Seen`), text("lunch"))), "2:4"},
		{"deep", and(or(not(body("noon")), header("To", "ann")), not(or(flag(`\Deleted`), text("привет")))), "1:2"},
	} {
		res, err := mb.search(c.key)
		if err != nil || res.UIDs.String() != c.want {
			t.Errorf("%s: %q, %v; want %q", c.name, res.UIDs, err, c.want)
		}
	}
}

// RFC 7162, 3.1.5; RFC 4731, 3.2.
func TestModSeqsAreThoseOfTheMatches_RFC7162_3_1_5(t *testing.T) {
	mb := some(t)
	mb.messages[1].rec.State.ModSeq = 500
	res, err := mb.search(and(modSeq(20), or(flag(`\Seen`), flag("$Forwarded"), everything())))
	if err != nil || res.UIDs.String() != "2:4" || res.HighestModSeq != 500 || res.FirstModSeq != 500 || res.LastModSeq != 40 {
		t.Errorf("%+v, %v", res, err)
	}
	if res, _ = mb.search(everything()); res.HighestModSeq != 0 || mb.records > 4 {
		t.Errorf("records were read for %+v", res)
	}
}

func TestCheapKeysDecideFirst(t *testing.T) {
	for _, c := range []struct {
		name                            string
		key                             *pb.SearchKey
		records, emails, chunks, bodies int
	}{
		{"flags", and(flag(`\Seen`), not(flag(`\Flagged`))), 0, 0, 0, 0},
		{"flag beside a body", and(body("x"), flag(`\Answered`)), 0, 0, 0, 0},
		{"size", larger(1), 4, 0, 0, 0},
		{"size beside a body", or(larger(1), body("x")), 4, 0, 0, 0},
		{"sent date", &pb.SearchKey{Key: &pb.SearchKey_SentDate{SentDate: days(day(2026, 1, 1), nil)}}, 4, 4, 0, 0},
		{"address of the envelope", and(uids(1), header("From", "joe@")), 1, 1, 0, 0},
		{"header", header("X-None", "x"), 4, 4, 4, 0},
		{"header beside a body", and(body("x"), header("X-None", "x")), 4, 4, 4, 0},
		{"text that the header has", and(uids(1), text("lunch")), 1, 1, 1, 0},
		// Message 4 has no body at all.
		{"body", body("no such words"), 4, 4, 7, 3},
	} {
		mb := some(t)
		if _, err := mb.search(c.key); err != nil {
			t.Errorf("%s: %v", c.name, err)
		}
		if got, want := fmt.Sprint(mb.records, mb.emails, mb.chunks, mb.bodies), fmt.Sprint(c.records, c.emails, c.chunks, c.bodies); got != want {
			t.Errorf("%s: records, emails, chunks, bodies read: %s, want %s", c.name, got, want)
		}
	}
}

// A match may lie anywhere in a large text, and over the edges of what is looked
// at in one piece.
func TestLongTexts(t *testing.T) {
	const needle = "Die NADEL im Heuhaufen ß Ω"
	for _, at := range []int{0, 1, 32<<10 - 30, 32<<10 - 13, 32 << 10, 64<<10 - 20, 128<<10 - 5, 200_000} {
		mb := &mailbox{t: t}
		mb.add("Content-Type: text/plain; charset=utf-8\n\n"+strings.Repeat("ä", at/2)+strings.Repeat("x", at%2)+needle+strings.Repeat("y", 90_000), nil)
		for s, want := range map[string]string{"nadel IM heuhaufen SS": "", "nadel IM heuhaufen ß ω": "1", "ändel": "", "ωyyy": "1", "ääxd": map[bool]string{true: "1"}[at%2 == 1 && at > 4]} {
			if res, err := mb.search(body(s)); err != nil || res.UIDs.String() != want {
				t.Errorf("%q at %d: %q, %v; want %q", s, at, res.UIDs, err, want)
			}
		}
	}
}

func TestBadKeysAreRefused(t *testing.T) {
	deep := everything()
	for range 200 {
		deep = not(deep)
	}
	wide := make([]*pb.SearchKey, 6000)
	for i := range wide {
		wide[i] = everything()
	}
	for name, key := range map[string]*pb.SearchKey{
		"nil": nil, "empty": {}, "nil inside": and(nil), "deep": deep, "wide": or(wide...), "long": body(strings.Repeat("x", 100_000)),
		"set": {Key: &pb.SearchKey_Uids{Uids: &pb.UidSet{Packed: []uint32{1}}}},
		"not": {Key: &pb.SearchKey_Not{}},
	} {
		if _, err := some(t).search(key); !errors.Is(err, search.ErrKey) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestRunEndsWithItsContext(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := search.Run(ctx, body("x"), some(t), now, search.Part{}); !errors.Is(err, context.Canceled) {
		t.Errorf("%v", err)
	}
}

func TestBrokenChunkIsAnError(t *testing.T) {
	mb := some(t)
	c := mb.messages[0].chunks[1]
	c.Codec, c.Data = pb.Codec_CODEC_ZSTD, []byte("not zstd")
	if _, err := mb.search(body("x")); err == nil || !strings.Contains(err.Error(), "uid 1") {
		t.Errorf("%v", err)
	}
}

// A part of the matches costs no more than finding it: bodies beyond it stay
// closed (RFC 9394, 3.1).
func TestPartEndsTheSearch_RFC9394_3_1(t *testing.T) {
	mb := &mailbox{t: t}
	for range 2000 {
		mb.add("Subject: x\n\nlunch\n", nil)
	}
	for _, part := range []search.Part{{First: 1, Last: 10, Only: true}, {First: 1, Last: 10, FromEnd: true, Only: true}} {
		mb.records = 0
		res, err := search.Run(t.Context(), body("lunch"), mb, now, part)
		want := imapnum.SetOfRange(1, 10)
		if part.FromEnd {
			want = imapnum.SetOfRange(1991, 2000)
		}
		if err != nil || !res.UIDs.Equal(want) || mb.records > 300 {
			t.Errorf("%v, %v after %d records", res.UIDs, err, mb.records)
		}
	}
}
