package section

import (
	"context"
	"strings"
	"testing"

	"google.golang.org/protobuf/proto"

	"github.com/quorumail/quorumail/imapfront/wire"
	"github.com/quorumail/quorumail/node/client/message"
	pb "github.com/quorumail/quorumail/proto/quorumail/v1"
)

func parse(t testing.TB, raw string) *pb.Email {
	t.Helper()
	m, err := message.Read(context.Background(), strings.NewReader(raw), nil, message.Options{})
	if err != nil {
		t.Fatal(err)
	}
	return m.GetEmail()
}

// find returns a section's octets, "none" if there is no such section.
func find(e *pb.Email, raw string, part []uint32, spec string) string {
	r, ok := Find(e, &wire.Section{Part: part, Specifier: spec})
	if !ok {
		return "none"
	}
	return raw[r.Offset : r.Offset+r.Length]
}

const mail = "Subject: outer\r\nContent-Type: multipart/mixed; boundary=a\r\n\r\n" +
	"--a\r\n\r\none\r\n" +
	"--a\r\nContent-Type: message/rfc822\r\n\r\nSubject: inner\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n" +
	"--b\r\nX-Part: 1\r\n\r\ndeep\r\n--b--\r\n" +
	"--a\r\nContent-Type: message/rfc822\r\n\r\nSubject: plain\r\n\r\ntext\r\n" +
	"--a--\r\n"

func TestFind_RFC9051_6_4_5_1(t *testing.T) {
	e := parse(t, mail)
	for _, c := range []struct {
		part []uint32
		spec string
		want string
	}{
		{nil, "", mail},
		{nil, "HEADER", mail[:strings.Index(mail, "--a")]},
		{nil, "HEADER.FIELDS", mail[:strings.Index(mail, "--a")]},
		{nil, "TEXT", mail[strings.Index(mail, "--a"):]},
		{[]uint32{1}, "", "one"},
		{[]uint32{1}, "MIME", "\r\n"},
		{[]uint32{1, 1}, "", "none"},
		{[]uint32{1}, "HEADER", "none"},
		{[]uint32{1}, "TEXT", "none"},
		{[]uint32{2}, "HEADER", "Subject: inner\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n"},
		{[]uint32{2}, "HEADER.FIELDS.NOT", "Subject: inner\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n"},
		{[]uint32{2}, "TEXT", "--b\r\nX-Part: 1\r\n\r\ndeep\r\n--b--"},
		{[]uint32{2}, "MIME", "Content-Type: message/rfc822\r\n\r\n"},
		{[]uint32{2, 1}, "", "deep"},
		{[]uint32{2, 1}, "MIME", "X-Part: 1\r\n\r\n"},
		{[]uint32{2, 2}, "", "none"},
		{[]uint32{3, 1}, "", "text"},
		{[]uint32{3}, "TEXT", "text"},
		{[]uint32{3, 2}, "", "none"},
		{[]uint32{3, 1, 1}, "", "none"},
		{[]uint32{4}, "", "none"},
		{[]uint32{0}, "", "none"},
		{[]uint32{1<<32 - 1}, "", "none"},
	} {
		if got := find(e, mail, c.part, c.spec); got != c.want {
			t.Errorf("%v.%s: %q, want %q", c.part, c.spec, got, c.want)
		}
	}
}

// part is a MIME part whose body is its own number.
func part(header, body string) string { return "Content-Type: " + header + "\r\n\r\n" + body }

func multipart(boundary string, parts ...string) string {
	return part("multipart/mixed; boundary="+boundary, "--"+boundary+"\r\n"+strings.Join(parts, "\r\n--"+boundary+"\r\n")+"\r\n--"+boundary+"--\r\n")
}

// The example of the RFC, with its part numbers as the text of the parts.
func TestPartNumbers_RFC9051_6_4_5_1_Example(t *testing.T) {
	raw := multipart("a",
		part("text/plain", "1"),
		part("application/octet-stream", "2"),
		part("message/rfc822", "Subject: 3\r\n"+multipart("b", part("text/plain", "3.1"), part("application/octet-stream", "3.2"))),
		multipart("c",
			part("image/gif", "4.1"),
			part("message/rfc822", "Subject: 4.2\r\n"+multipart("d",
				part("text/plain", "4.2.1"),
				multipart("e", part("text/plain", "4.2.2.1"), part("text/richtext", "4.2.2.2"))))))
	e := parse(t, raw)
	for name, numbers := range map[string][]uint32{"1": {1}, "2": {2}, "3.1": {3, 1}, "3.2": {3, 2}, "4.1": {4, 1}, "4.2.1": {4, 2, 1},
		"4.2.2.1": {4, 2, 2, 1}, "4.2.2.2": {4, 2, 2, 2}} {
		if got := find(e, raw, numbers, ""); got != name {
			t.Errorf("%s: %q", name, got)
		}
	}
	for _, numbers := range [][]uint32{{3}, {4, 2}} {
		name := map[int]string{1: "Subject: 3\r\n", 2: "Subject: 4.2\r\n"}[len(numbers)]
		header, text := find(e, raw, numbers, "HEADER"), find(e, raw, numbers, "TEXT")
		if !strings.HasPrefix(header, name) || !strings.HasPrefix(text, "--") || find(e, raw, numbers, "") != header+text {
			t.Errorf("%v: %q and %q", numbers, header, text)
		}
	}
	if got := find(e, raw, []uint32{4, 1}, "MIME"); got != "Content-Type: image/gif\r\n\r\n" {
		t.Errorf("4.1.MIME: %q", got)
	}
	for _, numbers := range [][]uint32{{4}, {4, 2, 2}, {5}, {3, 3}, {4, 2, 2, 3}} {
		if got := find(e, raw, numbers, "HEADER"); got != "none" {
			t.Errorf("%v.HEADER: %q", numbers, got)
		}
	}
}

// Messages without parts have a part 1.
func TestPartOne_RFC9051_6_4_5_1(t *testing.T) {
	for raw, want := range map[string]map[string]string{
		"Subject: x\r\n\r\nbody": {"1": "body", "1.MIME": "Subject: x\r\n\r\n", "1.TEXT": "none", "1.1": "none", "2": "none", "TEXT": "body"},
		"\r\nbody":               {"1": "body", "HEADER": "\r\n", "TEXT": "body"},
		"Subject: x\r\n":         {"1": "", "HEADER": "Subject: x\r\n", "TEXT": "", "": "Subject: x\r\n"},
		"":                       {"1": "", "HEADER": "", "TEXT": "", "": ""},
		// A message that is nothing but another: its part 1 is that.
		part("message/rfc822", "Subject: y\r\n\r\ninner"): {"1": "Subject: y\r\n\r\ninner", "1.HEADER": "Subject: y\r\n\r\n", "1.TEXT": "inner",
			"1.1": "inner", "1.1.MIME": "Subject: y\r\n\r\n", "1.1.1": "none", "1.2": "none", "TEXT": "Subject: y\r\n\r\ninner"},
	} {
		e := parse(t, raw)
		for name, octets := range want {
			var numbers []uint32
			spec := name
			for len(spec) > 0 && spec[0] >= '0' && spec[0] <= '9' {
				numbers, spec = append(numbers, uint32(spec[0]-'0')), strings.TrimPrefix(spec[1:], ".")
			}
			if got := find(e, raw, numbers, spec); got != octets {
				t.Errorf("%q, %s: %q, want %q", raw, name, got, octets)
			}
		}
	}
}

func TestCut_RFC9051_6_4_5(t *testing.T) {
	for p, want := range map[wire.Partial]Range{
		{Offset: 0, Length: 3}:             {10, 3},
		{Offset: 4, Length: 100}:           {14, 1},
		{Offset: 5, Length: 1}:             {15, 0},
		{Offset: 1 << 62, Length: 1 << 62}: {15, 0},
		{Offset: 1, Length: 1<<63 - 1}:     {11, 4},
	} {
		if got := (Range{10, 5}).Cut(&p); got != want {
			t.Errorf("%v: %v, want %v", p, got, want)
		}
	}
	if got := (Range{10, 5}).Cut(nil); got != (Range{10, 5}) {
		t.Errorf("%v", got)
	}
}

func TestHeaderOnly(t *testing.T) {
	for _, c := range []struct {
		part []uint32
		spec string
		want bool
	}{{nil, "HEADER", true}, {nil, "HEADER.FIELDS.NOT", true}, {nil, "TEXT", false}, {nil, "", false}, {[]uint32{1}, "HEADER", false}} {
		if got := HeaderOnly(&wire.Section{Part: c.part, Specifier: c.spec}); got != c.want {
			t.Errorf("%v.%s: %v", c.part, c.spec, got)
		}
	}
}

// each calls fn for every part number that leads anywhere, and some that do not.
func each(p *pb.BodyPart, at []uint32, fn func(numbers []uint32)) {
	for n := range uint32(len(p.GetParts()) + 2) {
		numbers := append(at[:len(at):len(at)], n)
		fn(numbers)
		if child := p.GetParts(); n > 0 && int(n) <= len(child) && len(at) < 6 {
			each(child[n-1], numbers, fn)
		}
	}
}

func FuzzSection(f *testing.F) {
	f.Add([]byte(mail), []byte{})
	f.Add([]byte("Content-Type: message/rfc822\n\n\nx"), []byte{})
	f.Add([]byte("a"), []byte("\x08\x05\x1a\x07\x70\xff\xff\xff\xff\xff\x0f"))
	f.Fuzz(func(t *testing.T, raw, record []byte) {
		if len(raw) > 10000 {
			return
		}
		e := parse(t, string(raw))
		whole := func(spec string) string { return find(e, string(raw), nil, spec) }
		if whole("") != string(raw) || whole("HEADER")+whole("TEXT") != string(raw) {
			t.Fatalf("%q is not %q and %q", raw, whole("HEADER"), whole("TEXT"))
		}
		check(t, e, uint64(len(raw)))
		// What a record says need not be true.
		var any pb.Email
		if proto.Unmarshal(record, &any) == nil {
			check(t, &any, any.GetSize())
		}
	})
}

// check looks at all sections there are.
func check(t *testing.T, e *pb.Email, size uint64) {
	inside := func(r Range) bool { return r.Offset <= size && r.Length <= size-r.Offset }
	each(e.GetStructure(), nil, func(numbers []uint32) {
		part := Part(e.GetStructure(), numbers)
		for _, spec := range []string{"", "MIME", "HEADER", "TEXT"} {
			r, ok := Find(e, &wire.Section{Part: numbers, Specifier: spec})
			if ok && (part == nil || !inside(r)) || !ok && part != nil && (spec == "" || spec == "MIME") {
				t.Fatalf("%v.%s: %v, %v of %d octets", numbers, spec, r, ok, size)
			}
		}
		if b, ok := FindBinary(e, numbers); ok != (part != nil) || !inside(b.Range) {
			t.Fatalf("BINARY %v: %+v, %v of %d octets", numbers, b, ok, size)
		}
	})
}
