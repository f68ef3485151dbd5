package message

import (
	"bytes"
	"errors"
	"io"
	"strings"
	"testing"
	"testing/iotest"
	"unicode/utf8"

	pb "github.com/quorumail/quorumail/proto/quorumail/v1"
)

func textPart(enc, cs string) *pb.BodyPart {
	return &pb.BodyPart{Encoding: enc, Params: []*pb.Param{{Name: []byte("CHARSET"), Value: []byte(cs)}}}
}

func TestText_RFC2045_6(t *testing.T) {
	for _, c := range []struct {
		in   string
		part *pb.BodyPart
		want string
	}{
		{"h=E4llo", textPart("QUOTED-PRINTABLE", "iso-8859-1"), "hällo"},
		{"a=\r\nb = \t\r\nc  \r\nd \t", textPart("QUOTED-PRINTABLE", "utf-8"), "ab c\r\nd \t"},
		{"1=2=3, =XY, =4", textPart("QUOTED-PRINTABLE", "utf-8"), "1=2=3, =XY, =4"},
		{"=c3=bc\x00\x1b=", textPart("QUOTED-PRINTABLE", "utf-8"), "ü\x00\x1b="},
		{"==41", textPart("QUOTED-PRINTABLE", "utf-8"), "=A"},
		{"soft=\nbreak", textPart("QUOTED-PRINTABLE", ""), "softbreak"},
		{"Z3LD\r\nvMOf\r\n!ZQ==", textPart("BASE64", "utf-8"), "grüße"},
		{"YWI", textPart("BASE64", "us-ascii"), "ab"},
		{"YQ==YmM=ZA", textPart("BASE64", ""), "abcd"},
		{"YWJjZ", textPart("BASE64", ""), "abc"},
		{"\xf0\xd2\xc9\xd7\xc5\xd4", textPart("8BIT", "koi8-r"), "Привет"},
		{"gr\xfc\xdfe \x80", textPart("8BIT", ""), "grüße €"},
		{"gr\xc3\xbc\xdfe", textPart("8BIT", "UTF-8"), "grüße"},
		{"gr\xfc\xdfe", textPart("8BIT", "x-nobody-knows"), "grüße"},
		{"\x1b$B4A;z\x1b(B!", textPart("7BIT", "ISO-2022-JP"), "漢字!"},
		{"as is", textPart("X-UNKNOWN", "utf-8"), "as is"},
	} {
		for _, r := range []io.Reader{strings.NewReader(c.in), iotest.OneByteReader(strings.NewReader(c.in)), iotest.DataErrReader(strings.NewReader(c.in))} {
			got, err := io.ReadAll(Text(r, c.part))
			if string(got) != c.want || err != nil {
				t.Errorf("%q: %q, want %q; %v", c.in, got, c.want, err)
			}
		}
	}
}

func TestTextReportsTheReadersErrors(t *testing.T) {
	broken := errors.New("broken")
	for _, enc := range []string{"7BIT", "BASE64", "QUOTED-PRINTABLE"} {
		for _, cs := range []string{"utf-8", "koi8-r", "utf-16"} {
			r := io.MultiReader(strings.NewReader("YWJj"), iotest.ErrReader(broken))
			if _, err := io.ReadAll(Text(r, textPart(enc, cs))); !errors.Is(err, broken) {
				t.Errorf("%s, %s: %v", enc, cs, err)
			}
		}
	}
}

func TestHeaderText_RFC2047(t *testing.T) {
	for in, want := range map[string]string{
		"plain": "plain",
		"":      "",
		"=?iso-8859-1?q?J=FCrgen?= =?utf-8?b?w6Q=?= x": "Jürgenä x",
		"a =?utf-8?Q?b?= =?utf-8?Q?c?= d":              "a bc d",
		"=?utf-8?Q?a_b?=\t =?utf-8?Q?_c?=":             "a b c",
		"=?utf-8?b?w7w=?= and =?utf-8?b?w7w=?=":        "ü and ü",
		// A character cut in two.
		"=?utf-8?b?w7zD?= =?utf-8?b?vA==?=": "üü",
		"=?utf-8*en?q?hi?=":                 "hi",
		"=?x-none?q?gr=FC=DF?=":             "grüß",
		"=?utf-8?x?no?=":                    "=?utf-8?x?no?=",
		"=?utf-8?q?open":                    "=?utf-8?q?open",
		"=?utf-8?q?bad=zz?=":                "bad=zz",
		"=?utf-8?q??=":                      "",
		"=?koi8-r?B?8NLJ18XU?=!":            "Привет!",
		"gr\xfc\xdf":                        "grüß",
		"grüß =?utf-8?q?x?=":                "grüß x",
		"=?=?utf-8?q?x?=":                   "=?x",
	} {
		if got := HeaderText([]byte(in)); got != want {
			t.Errorf("%q: %q, want %q", in, got, want)
		}
	}
}

func TestFields(t *testing.T) {
	var got []string
	Fields([]byte("A: 1\r\nno field\r\n x\r\nB : 2\r\n\t3\r\n: 4\r\nC:\r\n"), func(name string, value []byte) {
		got = append(got, name+"="+string(value))
	})
	if s := strings.Join(got, "|"); s != "a=1|b=2 3|c=" {
		t.Errorf("%s", s)
	}
}

func FuzzText(f *testing.F) {
	f.Add([]byte("a=\r\n=C3 \r\n=3D="), "QUOTED-PRINTABLE", "utf-8", 1)
	f.Add([]byte("YWJj=YQ"), "BASE64", "iso-2022-jp", 2)
	f.Add([]byte("\xfe\xff\x00a"), "8BIT", "utf-16", 3)
	f.Fuzz(func(t *testing.T, raw []byte, enc, cs string, step int) {
		p := textPart(enc, cs)
		whole, err := io.ReadAll(Text(bytes.NewReader(raw), p))
		if err != nil || !utf8.Valid(whole) {
			t.Fatalf("%q, %v", whole, err)
		}
		if step < 1 {
			return
		}
		if again, err := io.ReadAll(Text(&stepReader{raw, step}, p)); err != nil || !bytes.Equal(whole, again) {
			t.Fatalf("in steps of %d: %q, not %q; %v", step, again, whole, err)
		}
		if s := HeaderText(raw); !utf8.ValidString(s) {
			t.Fatalf("%q", s)
		}
	})
}
