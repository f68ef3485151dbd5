package section

import (
	"bytes"
	"context"
	"fmt"
	"strings"
	"testing"

	"github.com/quorumail/quorumail/imapfront/wire"
	"github.com/quorumail/quorumail/node/client/message"
	pb "github.com/quorumail/quorumail/proto/quorumail/v1"
)

const mail = "Subject: outer\r\nContent-Type: multipart/mixed; boundary=a\r\n\r\n" +
	"--a\r\n\r\none\r\n" +
	"--a\r\nContent-Type: message/rfc822\r\n\r\nSubject: inner\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n" +
	"--b\r\nX-Part: 1\r\n\r\ndeep\r\n--b--\r\n" +
	"--a\r\nContent-Type: message/rfc822\r\n\r\nSubject: plain\r\n\r\ntext\r\n" +
	"--a--\r\n"

func parse(t testing.TB, raw string) *pb.Email {
	t.Helper()
	m, err := message.Read(context.Background(), strings.NewReader(raw), nil, message.Options{})
	if err != nil {
		t.Fatal(err)
	}
	return m.GetEmail()
}

func TestFind_RFC9051_6_4_5_1(t *testing.T) {
	e := parse(t, mail)
	for _, c := range []struct {
		part []uint32
		spec string
		want string
	}{
		{nil, "", mail},
		{nil, "HEADER", mail[:strings.Index(mail, "--a")]},
		{nil, "TEXT", mail[strings.Index(mail, "--a"):]},
		{[]uint32{1}, "", "one"},
		{[]uint32{1}, "MIME", "\r\n"},
		{[]uint32{1, 1}, "", "none"},
		{[]uint32{1}, "HEADER", "none"},
		{[]uint32{2}, "HEADER", "Subject: inner\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n"},
		{[]uint32{2}, "MIME", "Content-Type: message/rfc822\r\n\r\n"},
		{[]uint32{2, 1}, "", "deep"},
		{[]uint32{2, 1}, "MIME", "X-Part: 1\r\n\r\n"},
		{[]uint32{2, 2}, "", "none"},
		{[]uint32{3, 1}, "", "text"},
		{[]uint32{3}, "TEXT", "text"},
		{[]uint32{3, 2}, "", "none"},
		{[]uint32{4}, "", "none"},
	} {
		got := "none"
		if r, ok := Find(e, &wire.Section{Part: c.part, Specifier: c.spec}); ok {
			got = mail[r.Offset : r.Offset+r.Length]
		}
		if got != c.want {
			t.Errorf("%v.%s: %q, want %q", c.part, c.spec, got, c.want)
		}
	}
	plain := parse(t, "Subject: x\r\n\r\nbody")
	if r, ok := Find(plain, &wire.Section{Part: []uint32{1}}); !ok || r.Length != 4 {
		t.Errorf("part 1 of a plain message: %v, %v", r, ok)
	}
}

func TestCut(t *testing.T) {
	for p, want := range map[wire.Partial]Range{
		{Offset: 0, Length: 3}:             {10, 3},
		{Offset: 4, Length: 100}:           {14, 1},
		{Offset: 5, Length: 1}:             {15, 0},
		{Offset: 1 << 62, Length: 1 << 62}: {15, 0},
	} {
		if got := (Range{10, 5}).Cut(&p); got != want {
			t.Errorf("%v: %v, want %v", p, got, want)
		}
	}
}

func TestFields_RFC9051_6_4_5_1(t *testing.T) {
	h := "From: a\r\nSUBJECT : x\r\n folded\r\nnonsense\r\n more\r\nTo: b\nX: y\r\n\r\nbody"
	for want, c := range map[string]struct {
		names string
		not   bool
	}{
		"SUBJECT : x\r\n folded\r\nTo: b\r\n\r\n": {"to subject", false},
		"From: a\r\nX: y\r\n\r\n":                 {"to subject", true},
		"\r\n":                                    {"none", false},
	} {
		if got := string(Fields([]byte(h), strings.Fields(c.names), c.not)); got != want {
			t.Errorf("%v: %q, want %q", c, got, want)
		}
	}
}

func FuzzSections(f *testing.F) {
	f.Add([]byte(mail), uint32(2), uint32(1), "HEADER")
	f.Fuzz(func(t *testing.T, raw []byte, a, b uint32, spec string) {
		e := parse(t, string(raw))
		for _, part := range [][]uint32{nil, {a%9 + 1}, {a%9 + 1, b%9 + 1}, {a%9 + 1, b%9 + 1, 1}} {
			for _, s := range []string{"", "HEADER", "TEXT", "MIME"} {
				if r, ok := Find(e, &wire.Section{Part: part, Specifier: s}); ok && r.Offset+r.Length > uint64(len(raw)) {
					t.Fatalf("%v.%s: %v of %d octets", part, s, r, len(raw))
				}
			}
		}
		all := Fields(raw, nil, true)
		if !bytes.HasSuffix(all, []byte("\r\n")) {
			t.Fatal(fmt.Sprintf("%q", all))
		}
	})
}
