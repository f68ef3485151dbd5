package message

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"strings"
	"sync"
	"testing"
	"testing/iotest"

	"google.golang.org/protobuf/proto"

	pb "github.com/quorumail/quorumail/proto/quorumail/v1"
)

// store is an Uploader that keeps what it is given.
type store struct {
	mu     sync.Mutex
	chunks map[uint64]*pb.BodyChunk
}

func (s *store) PutChunk(_ context.Context, _ []byte, c *pb.BodyChunk) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.chunks == nil {
		s.chunks = make(map[uint64]*pb.BodyChunk)
	}
	s.chunks[c.GetOffset()] = c
	return nil
}

func read(t testing.TB, r io.Reader, opts Options) (*pb.Email, []*pb.BodyChunk) {
	t.Helper()
	var s store
	m, err := Read(context.Background(), r, &s, opts)
	if err != nil {
		t.Fatal(err)
	}
	chunks := m.GetInline()
	if len(chunks) == 0 {
		for at := uint64(0); s.chunks[at] != nil; at += uint64(s.chunks[at].GetRawSize()) {
			chunks = append(chunks, s.chunks[at])
		}
	}
	return m.GetEmail(), chunks
}

// octets puts the chunks together again.
func octets(t testing.TB, chunks []*pb.BodyChunk, offset, length uint64) string {
	t.Helper()
	got, err := io.ReadAll(Open(offset, length, func() (*pb.BodyChunk, error) {
		if len(chunks) == 0 {
			return nil, io.EOF
		}
		c := chunks[0]
		chunks = chunks[1:]
		return c, nil
	}))
	if err != nil {
		t.Fatal(err)
	}
	return string(got)
}

// outline shows a tree with the octets of each body.
func outline(raw string, p *pb.BodyPart) string {
	s := fmt.Sprintf("%s/%s", p.GetType(), p.GetSubtype())
	if len(p.GetParts()) == 0 {
		return s + fmt.Sprintf("%q:%d", raw[p.GetBodyOffset():p.GetBodyOffset()+p.GetSize()], p.GetLines())
	}
	for i, c := range p.GetParts() {
		s += string("( "[min(i, 1)]) + outline(raw, c)
	}
	return s + ")"
}

func TestStructure_RFC2046(t *testing.T) {
	for name, c := range map[string]struct{ in, want string }{
		"plain":        {"Subject: x\r\n\r\na\r\nb\r\n", `TEXT/PLAIN"a\r\nb\r\n":2`},
		"empty":        {"", `TEXT/PLAIN"":0`},
		"no body":      {"Subject: x\r\n", `TEXT/PLAIN"":0`},
		"no header":    {"\r\nhello", `TEXT/PLAIN"hello":0`},
		"bare LF":      {"A: b\n\nx\ny\n", `TEXT/PLAIN"x\ny\n":2`},
		"multipart":    {"Content-Type: multipart/mixed; boundary=\"b b\"\r\n\r\npre\r\n--b b\r\n\r\none\r\n--b b  \r\nContent-Type: text/html\r\n\r\n<p>\r\n\r\n--b b--\r\nepi\r\n", `MULTIPART/MIXED(TEXT/PLAIN"one":0 TEXT/HTML"<p>\r\n":1)`},
		"unterminated": {"Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n\r\none\r\n--b\r\n\r\ntwo\r\n", `MULTIPART/MIXED(TEXT/PLAIN"one":0 TEXT/PLAIN"two\r\n":1)`},
		"no boundary":  {"Content-Type: multipart/mixed\r\n\r\n--b\r\n\r\none\r\n", `TEXT/PLAIN"--b\r\n\r\none\r\n":3`},
		"nested":       {"Content-Type: multipart/mixed; boundary=a\r\n\r\n--a\r\nContent-Type: multipart/alternative; boundary=ab\r\n\r\n--ab\r\n\r\nx\r\n--ab--\r\n--a\r\n\r\ny\r\n--a--", `MULTIPART/MIXED(MULTIPART/ALTERNATIVE(TEXT/PLAIN"x":0) TEXT/PLAIN"y":0)`},
		"outer ends":   {"Content-Type: multipart/mixed; boundary=a\r\n\r\n--a\r\nContent-Type: multipart/alternative; boundary=c\r\n\r\n--c\r\n\r\nx\r\n--a--\r\n", `MULTIPART/MIXED(MULTIPART/ALTERNATIVE(TEXT/PLAIN"x":0))`},
		"message":      {"Content-Type: message/rfc822\r\n\r\nSubject: in\r\n\r\nbody\r\n", `MESSAGE/RFC822(TEXT/PLAIN"body\r\n":1)`},
		"digest":       {"Content-Type: multipart/digest; boundary=d\r\n\r\n--d\r\n\r\nSubject: in\r\n\r\nb\r\n--d--\r\n", `MULTIPART/DIGEST(MESSAGE/RFC822(TEXT/PLAIN"b":0))`},
		"header only":  {"Content-Type: multipart/mixed; boundary=d\r\n\r\n--d\r\nContent-Type: image/png\r\n--d--\r\n", `MULTIPART/MIXED(IMAGE/PNG"":0)`},
		"empty parts":  {"Content-Type: multipart/mixed; boundary=d\r\n\r\n--d\r\n--d\r\n\r\n--d--\r\n", `MULTIPART/MIXED(TEXT/PLAIN"":0 TEXT/PLAIN"":0)`},
		"folded":       {"Content-Type: multipart/mixed;\r\n\tboundary=d\r\n\r\n--d\r\n\r\nq\r\n--d--\r\n", `MULTIPART/MIXED(TEXT/PLAIN"q":0)`},
		"not quite":    {"Content-Type: multipart/mixed; boundary=d\r\n\r\n--d\r\n\r\n--dx\r\n- -d\r\n--d--\r\n", `MULTIPART/MIXED(TEXT/PLAIN"--dx\r\n- -d":1)`},
	} {
		for size, r := range map[string]io.Reader{"whole": strings.NewReader(c.in), "bytes": iotest.OneByteReader(strings.NewReader(c.in))} {
			e, chunks := read(t, r, Options{})
			if got := outline(c.in, e.GetStructure()); got != c.want {
				t.Errorf("%s, %s:\n got %s\nwant %s", name, size, got, c.want)
			}
			if got := octets(t, chunks, 0, e.GetSize()); got != c.in {
				t.Errorf("%s, %s: %q came back", name, size, got)
			}
		}
	}
}

func TestAddresses_RFC5322_3_4(t *testing.T) {
	for in, want := range map[string]string{
		"a@b":                         `[<nil> "a" "b"]`,
		"Bob <a@b>, c@d":              `["Bob" "a" "b"][<nil> "c" "d"]`,
		`"Last, First" <a@b>`:         `["Last, First" "a" "b"]`,
		`"q\"x" (c) <"a b"@d>`:        `["q\"x" "a b" "d"]`,
		"a@b (The Name)":              `["The Name" "a" "b"]`,
		"=?utf-8?q?J=C3=BC?= <a@b>":   `["=?utf-8?q?J=C3=BC?=" "a" "b"]`,
		"friends: a@b, C <c@d>;, e@f": `[<nil> "friends" <nil>][<nil> "a" "b"]["C" "c" "d"][<nil> <nil> <nil>][<nil> "e" "f"]`,
		"undisclosed-recipients:;":    `[<nil> "undisclosed-recipients" <nil>][<nil> <nil> <nil>]`,
		"<@x,@y:a@b>":                 `[<nil> "a" "b"]`,
		"alone":                       `[<nil> "alone" ""]`,
		"Joe Q. Public <j@x>":         `["Joe Q. Public" "j" "x"]`,
		", ,":                         ``,
		"a@b@c":                       `[<nil> "a" "b@c"]`,
		"<>":                          `[<nil> "" ""]`,
	} {
		var got strings.Builder
		for _, a := range addresses([]byte(in)) {
			q := func(b []byte) string {
				if b == nil {
					return "<nil>"
				}
				return fmt.Sprintf("%q", b)
			}
			fmt.Fprintf(&got, "[%s %s %s]", q(a.Name), q(a.Mailbox), q(a.Host))
		}
		if got.String() != want {
			t.Errorf("%s:\n got %s\nwant %s", in, got.String(), want)
		}
	}
}

func TestEnvelope_RFC9051_7_5_2(t *testing.T) {
	e, _ := read(t, strings.NewReader("From: A <a@b>\r\nSubject: one\r\n two\r\nDate: today\r\nReferences: <1@x> <2@x>\r\nIn-Reply-To: <3@x>\r\nMessage-ID: <4@x>\r\n\r\n"), Options{})
	env := e.GetEnvelope()
	if string(env.GetSubject()) != "one two" || string(env.GetDate()) != "today" || string(env.GetSender()[0].GetHost()) != "b" ||
		env.To != nil || fmt.Sprint(e.GetReferences()) != "[1@x 2@x 3@x]" {
		t.Errorf("%v", e)
	}
}

func TestLargeBodiesAreStaged(t *testing.T) {
	var sb strings.Builder
	sb.WriteString("Subject: large\r\n\r\n")
	for i := range 200_000 {
		fmt.Fprintf(&sb, "%x%x\r\n", i*7919, i*i*104729)
	}
	raw := sb.String()
	e, chunks := read(t, strings.NewReader(raw), Options{})
	if e.GetSize() != uint64(len(raw)) || len(chunks) < 10 || octets(t, chunks, 0, e.GetSize()) != raw {
		t.Errorf("size %d, %d chunks", e.GetSize(), len(chunks))
	}
	if chunks[0].GetRawSize() != uint32(len("Subject: large\r\n\r\n")) {
		t.Errorf("the first chunk has %d octets: it should be the header", chunks[0].GetRawSize())
	}
	if got := octets(t, chunks, 500_000, 10); got != raw[500_000:500_010] {
		t.Errorf("range: %q", got)
	}
	if _, err := Read(context.Background(), strings.NewReader(raw), &store{}, Options{MaxSize: 1000}); err != ErrTooLarge {
		t.Errorf("over the limit: %v", err)
	}
}

func TestText(t *testing.T) {
	part := func(enc, cs string) *pb.BodyPart {
		return &pb.BodyPart{Encoding: enc, Params: []*pb.Param{{Name: []byte("CHARSET"), Value: []byte(cs)}}}
	}
	for want, c := range map[string]struct {
		in   string
		part *pb.BodyPart
	}{
		"hällo":  {"h=E4llo", part("QUOTED-PRINTABLE", "iso-8859-1")},
		"grüße":  {"Z3LD\r\nvMOf\r\n!ZQ==", part("BASE64", "utf-8")},
		"ab":     {"YWI", part("BASE64", "us-ascii")},
		"Привет": {"\xf0\xd2\xc9\xd7\xc5\xd4", part("8BIT", "koi8-r")},
	} {
		got, err := io.ReadAll(Text(strings.NewReader(c.in), c.part))
		if string(got) != want || err != nil {
			t.Errorf("%q, want %q; %v", got, want, err)
		}
	}
	if got := HeaderText([]byte("=?iso-8859-1?q?J=FCrgen?= =?utf-8?b?w6Q=?= x")); got != "Jürgenä x" {
		t.Errorf("header: %q", got)
	}
}

// checkTree verifies that each part lies inside its parent.
func checkTree(t *testing.T, p *pb.BodyPart, start, end uint64) {
	t.Helper()
	if p.GetHeaderOffset() < start || p.GetBodyOffset() != p.GetHeaderOffset()+p.GetHeaderSize() || p.GetBodyOffset()+p.GetSize() > end {
		t.Fatalf("part %v is not in [%d, %d)", p, start, end)
	}
	for _, c := range p.GetParts() {
		checkTree(t, c, p.GetBodyOffset(), p.GetBodyOffset()+p.GetSize())
	}
}

func FuzzRead(f *testing.F) {
	f.Add([]byte("Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n\r\nx\r\n--b--\r\n"), 3)
	f.Add([]byte("Content-Type: message/rfc822\n\nFrom: a: b@c, <d@e>;\n\nx"), 1)
	f.Add([]byte("Content-Type: multipart/digest; boundary=b\r\n\r\n--b\r\n\r\nTo: x\r\n--b\r\n--b"), 7)
	f.Fuzz(func(t *testing.T, raw []byte, step int) {
		e, chunks := read(t, bytes.NewReader(raw), Options{})
		checkTree(t, e.GetStructure(), 0, uint64(len(raw)))
		if e.GetSize() != uint64(len(raw)) || octets(t, chunks, 0, e.GetSize()) != string(raw) {
			t.Fatal("the octets did not come back")
		}
		if step < 1 {
			return
		}
		again, _ := read(t, &stepReader{raw, step}, Options{})
		again.BodyId = e.GetBodyId()
		if !proto.Equal(e, again) {
			t.Fatalf("read in steps of %d:\n%v\nwhole:\n%v", step, again, e)
		}
	})
}

type stepReader struct {
	b []byte
	n int
}

func (r *stepReader) Read(p []byte) (int, error) {
	if len(r.b) == 0 {
		return 0, io.EOF
	}
	n := copy(p, r.b[:min(r.n, len(r.b))])
	r.b = r.b[n:]
	return n, nil
}
