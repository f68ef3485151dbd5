package message

import (
	"bytes"
	"fmt"
	"strings"
	"testing"
	"testing/iotest"

	"google.golang.org/protobuf/proto"
)

func mixed(boundary, rest string) string {
	return "Content-Type: multipart/mixed; boundary=" + boundary + "\r\n\r\n" + rest
}

func TestStructure_RFC2046(t *testing.T) {
	for name, c := range map[string]struct{ in, want string }{
		"plain":              {"Subject: x\r\n\r\na\r\nb\r\n", `TEXT/PLAIN"a\r\nb\r\n":2`},
		"empty":              {"", `TEXT/PLAIN"":0`},
		"no body":            {"Subject: x\r\n", `TEXT/PLAIN"":0`},
		"header without end": {"Subject: x", `TEXT/PLAIN"":0`},
		"no header":          {"\r\nhello", `TEXT/PLAIN"hello":0`},
		"bare LF":            {"A: b\n\nx\ny\n", `TEXT/PLAIN"x\ny\n":2`},
		"multipart":          {mixed("\"b b\"", "pre\r\n--b b\r\n\r\none\r\n--b b  \r\nContent-Type: text/html\r\n\r\n<p>\r\n\r\n--b b--\r\nepi\r\n"), `MULTIPART/MIXED(TEXT/PLAIN"one":0 TEXT/HTML"<p>\r\n":1)`},
		"multipart, bare LF": {"Content-Type: multipart/mixed; boundary=b\n\n--b\n\none\n--b\n\ntwo\n\n--b--\n", `MULTIPART/MIXED(TEXT/PLAIN"one":0 TEXT/PLAIN"two\n":1)`},
		"unterminated":       {mixed("b", "--b\r\n\r\none\r\n--b\r\n\r\ntwo\r\n"), `MULTIPART/MIXED(TEXT/PLAIN"one":0 TEXT/PLAIN"two\r\n":1)`},
		"no boundary":        {"Content-Type: multipart/mixed\r\n\r\n--b\r\n\r\none\r\n", `TEXT/PLAIN"--b\r\n\r\none\r\n":3`},
		"empty boundary":     {"Content-Type: multipart/mixed; boundary=\"\"\r\n\r\n--\r\n\r\none\r\n", `TEXT/PLAIN"--\r\n\r\none\r\n":3`},
		"no parts":           {mixed("b", "only this\r\n"), `MULTIPART/MIXED(TEXT/PLAIN"":0)`},
		"no parts, closed":   {mixed("b", "--b--\r\n"), `MULTIPART/MIXED(TEXT/PLAIN"":0)`},
		"multipart header":   {"Content-Type: multipart/mixed; boundary=b\r\n", `MULTIPART/MIXED(TEXT/PLAIN"":0)`},
		"nested":             {mixed("a", "--a\r\nContent-Type: multipart/alternative; boundary=ab\r\n\r\n--ab\r\n\r\nx\r\n--ab--\r\n--a\r\n\r\ny\r\n--a--"), `MULTIPART/MIXED(MULTIPART/ALTERNATIVE(TEXT/PLAIN"x":0) TEXT/PLAIN"y":0)`},
		"outer ends inner":   {mixed("a", "--a\r\nContent-Type: multipart/alternative; boundary=c\r\n\r\n--c\r\n\r\nx\r\n--a--\r\n"), `MULTIPART/MIXED(MULTIPART/ALTERNATIVE(TEXT/PLAIN"x":0))`},
		"inner, then outer":  {mixed("a", "--a\r\nContent-Type: multipart/mixed; boundary=c\r\n\r\n--c\r\n\r\n--a\r\n\r\nz\r\n--a--\r\n"), `MULTIPART/MIXED(MULTIPART/MIXED(TEXT/PLAIN"":0) TEXT/PLAIN"z":0)`},
		"message":            {"Content-Type: message/rfc822\r\n\r\nSubject: in\r\n\r\nbody\r\n", `MESSAGE/RFC822(TEXT/PLAIN"body\r\n":1)`},
		"message, global":    {"Content-Type: message/global\r\n\r\nSubject: in\r\n\r\nbody\r\n", `MESSAGE/GLOBAL(TEXT/PLAIN"body\r\n":1)`},
		"message, empty":     {"Content-Type: message/rfc822\r\n\r\n", `MESSAGE/RFC822(TEXT/PLAIN"":0)`},
		"message, no body":   {"Content-Type: message/rfc822\r\n", `MESSAGE/RFC822(TEXT/PLAIN"":0)`},
		"message, encoded":   {"Content-Type: message/rfc822\r\nContent-Transfer-Encoding: base64\r\n\r\nQQ==", `APPLICATION/OCTET-STREAM"QQ==":0`},
		"message, partial":   {"Content-Type: message/partial\r\n\r\nx\r\n", `MESSAGE/PARTIAL"x\r\n":1`},
		"message in parts":   {mixed("a", "--a\r\nContent-Type: message/rfc822\r\n\r\nContent-Type: multipart/mixed; boundary=i\r\n\r\n--i\r\n\r\nq\r\n--i--\r\n\r\n--a\r\n\r\nlast\r\n--a--"), `MULTIPART/MIXED(MESSAGE/RFC822(MULTIPART/MIXED(TEXT/PLAIN"q":0)) TEXT/PLAIN"last":0)`},
		"digest":             {"Content-Type: multipart/digest; boundary=d\r\n\r\n--d\r\n\r\nSubject: in\r\n\r\nb\r\n--d--\r\n", `MULTIPART/DIGEST(MESSAGE/RFC822(TEXT/PLAIN"b":0))`},
		"digest with text":   {"Content-Type: multipart/digest; boundary=d\r\n\r\n--d\r\nContent-Type: text/plain\r\n\r\nb\r\n--d--\r\n", `MULTIPART/DIGEST(TEXT/PLAIN"b":0)`},
		"header only":        {mixed("d", "--d\r\nContent-Type: image/png\r\n--d--\r\n"), `MULTIPART/MIXED(IMAGE/PNG"":0)`},
		"empty parts":        {mixed("d", "--d\r\n--d\r\n\r\n--d--\r\n"), `MULTIPART/MIXED(TEXT/PLAIN"":0 TEXT/PLAIN"":0)`},
		"delimiter at end":   {mixed("d", "--d\r\n\r\nx\r\n--d"), `MULTIPART/MIXED(TEXT/PLAIN"x":0 TEXT/PLAIN"":0)`},
		"folded":             {"Content-Type: multipart/mixed;\r\n\tboundary=d\r\n\r\n--d\r\n\r\nq\r\n--d--\r\n", `MULTIPART/MIXED(TEXT/PLAIN"q":0)`},
		// RFC 2046, 5.1.1: "it is sufficient that the boundary appear in its entirety".
		"longer line":     {mixed("d", "--d\r\n\r\nx\r\n--d and more\r\n\r\n- -d\r\n--d--.\r\n"), `MULTIPART/MIXED(TEXT/PLAIN"x":0 TEXT/PLAIN"- -d":0)`},
		"very long line":  {mixed("d", "--d\r\n\r\nx\r\n--d"+strings.Repeat(" ", 5000)+"\r\n\r\ny\r\n--d--\r\n"), `MULTIPART/MIXED(TEXT/PLAIN"x":0 TEXT/PLAIN"y":0)`},
		"after the close": {mixed("d", "--d\r\n\r\nx\r\n--d--\r\n--d\r\n\r\ny\r\n"), `MULTIPART/MIXED(TEXT/PLAIN"x":0)`},
		"bad type":        {"Content-Type: t\xffxt; charset=x\r\n\r\nx", `TEXT/PLAIN"x":0`},
		"lonely CR":       {"Subject: x\r\n\r\r\n\r\nb", `TEXT/PLAIN"b":0`},
	} {
		for size, n := range map[string]int{"whole": 1 << 20, "in octets": 1, "in threes": 3} {
			e, chunks := read(t, &stepReader{[]byte(c.in), n}, Options{})
			if got := outline(c.in, e.GetStructure()); got != c.want {
				t.Errorf("%s, %s:\n got %s\nwant %s", name, size, got, c.want)
			}
			if got := octets(t, chunks, 0, e.GetSize()); got != c.in {
				t.Errorf("%s, %s: %q came back", name, size, got)
			}
		}
	}
}

func TestPartFields_RFC9051_7_5_2(t *testing.T) {
	e, _ := read(t, strings.NewReader("Content-Type: Text/Html ; (comment) CharSet=\"utf\\-8\"; format=flowed junk; charset=again\r\n"+
		"Content-ID: <id@x>\r\nContent-Description: =?utf-8?q?=C3=BC?=\r\nContent-Transfer-Encoding: Quoted-Printable (x)\r\n"+
		"Content-Disposition: attachment; filename*=utf-8''a%20b\r\nContent-Language: de, en-GB\r\nContent-MD5: abc=\r\nContent-Location: http://x/\r\n\r\nx"), Options{})
	p := e.GetStructure()
	got := fmt.Sprintf("%s/%s %s %q %q %q %q %q %q %q", p.Type, p.Subtype, p.Encoding, p.Params, p.Id, p.Description, p.Disposition, p.Language, p.Md5, p.Location)
	for _, want := range []string{"TEXT/HTML QUOTED-PRINTABLE", "CHARSET", "utf-8", "FORMAT", "flowed", `"<id@x>"`, `"=?utf-8?q?=C3=BC?="`, `"attachment"`, `["de" "en-GB"]`, `"abc="`, `"http://x/"`} {
		if !strings.Contains(got, want) {
			t.Errorf("no %s in %s", want, got)
		}
	}
	if len(p.Params) != 2 || len(p.DispositionParams) != 1 || string(p.DispositionParams[0].Name) != "FILENAME*" || string(p.DispositionParams[0].Value) != "a b" {
		t.Errorf("%v %v", p.Params, p.DispositionParams)
	}
}

// Beyond the bounds a message is still stored as it came, and its description
// stays small.
func TestBounds(t *testing.T) {
	deep := strings.Builder{}
	for i := range 300 {
		fmt.Fprintf(&deep, "Content-Type: multipart/mixed; boundary=b%d.\r\n\r\n--b%d.\r\n", i, i)
	}
	for name, raw := range map[string]string{
		"multiparts in multiparts": deep.String(),
		"messages in messages":     strings.Repeat("Content-Type: message/rfc822\r\n\r\n", 300) + "\r\nx",
		"parts":                    mixed("b", strings.Repeat("--b\r\n\r\nx\r\n", 5000)),
		"digest":                   "Content-Type: multipart/digest; boundary=b\r\n\r\n" + strings.Repeat("--b\r\n\r\n\r\nx\r\n", 3000),
		"parameters":               mixed("b", strings.Repeat("--b\r\nContent-Type: text/plain; a="+strings.Repeat("x", 4000)+"\r\n\r\nx\r\n", 1000)),
		"addresses":                "To: " + strings.Repeat("a@b, ", 50_000) + "\r\n\r\n",
		"groups":                   strings.Repeat("To: g: "+strings.Repeat("a@b, ", 100)+"\r\n", 500) + "\r\n\r\n",
		"references":               "References: " + strings.Repeat("<a@b> <"+strings.Repeat("c", 500)+">", 400) + "\r\n\r\n",
		"one line":                 strings.Repeat("x", 1<<20),
		"one long field":           "Subject: " + strings.Repeat("x", 1<<20) + "\r\n\r\nbody",
		"dashes":                   mixed("b", strings.Repeat("-", 1<<20)),
	} {
		e, chunks := read(t, strings.NewReader(raw), Options{})
		if got := octets(t, chunks, 0, e.GetSize()); got != raw {
			t.Errorf("%s: %d octets came back, not %d", name, len(got), len(raw))
		}
		again, _ := read(t, &stepReader{[]byte(raw), 1021}, Options{})
		again.BodyId = e.BodyId
		if !proto.Equal(e, again) {
			t.Errorf("%s: read in steps, it differs", name)
		}
	}
}

// Header fields that are far down are found, and a header larger than a chunk
// ends one.
func TestLargeHeader(t *testing.T) {
	raw := strings.Repeat("X-Filler: "+strings.Repeat("y", 990)+"\r\n", 140) + "Subject: late\r\n\r\nbody"
	e, chunks := read(t, iotest.HalfReader(strings.NewReader(raw)), Options{})
	if string(e.GetEnvelope().GetSubject()) != "late" || len(chunks) != 3 {
		t.Errorf("%q, %d chunks", e.GetEnvelope().GetSubject(), len(chunks))
	}
}

func FuzzRead(f *testing.F) {
	f.Add([]byte(mixed("b", "--b\r\n\r\nx\r\n--b--\r\n")), 3)
	f.Add([]byte("Content-Type: message/rfc822\n\nFrom: a: b@c, <d@e>;\n\nx"), 1)
	f.Add([]byte("Content-Type: multipart/digest; boundary=b\r\n\r\n--b\r\n\r\nTo: x\r\n--b\r\n--b"), 7)
	f.Add([]byte("Content-Type: multipart/mixed; boundary=a\n\n--a\nContent-Type: multipart/mixed; boundary=ab\n\n--ab\n\n--a--"), 2)
	f.Add([]byte("Content-Type: text/html; charset=koi8-r\r\nContent-Transfer-Encoding: base64\r\nSubject: =?x?q?=?=\r\n\r\n8A=="), 1)
	f.Fuzz(func(t *testing.T, raw []byte, step int) {
		e, chunks := read(t, bytes.NewReader(raw), Options{})
		if e.GetSize() != uint64(len(raw)) || octets(t, chunks, 0, e.GetSize()) != string(raw) {
			t.Fatal("the octets did not come back")
		}
		if step < 1 {
			return
		}
		again, same := read(t, &stepReader{raw, step}, Options{})
		again.BodyId = e.GetBodyId()
		if !proto.Equal(e, again) || len(same) != len(chunks) {
			t.Fatalf("read in steps of %d:\n%v\nwhole:\n%v", step, again, e)
		}
		for i := range same {
			if !proto.Equal(same[i], chunks[i]) {
				t.Fatalf("read in steps of %d, chunk %d differs", step, i)
			}
		}
	})
}
