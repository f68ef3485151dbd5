package message

import (
	"fmt"
	"strings"
	"testing"
	"unicode/utf8"

	"google.golang.org/protobuf/proto"
)

func TestAddresses_RFC5322_3_4(t *testing.T) {
	for in, want := range map[string]string{
		"a@b":                               `[<nil> "a" "b"]`,
		"Bob <a@b>, c@d":                    `["Bob" "a" "b"][<nil> "c" "d"]`,
		`"Last, First" <a@b>`:               `["Last, First" "a" "b"]`,
		`"q\"x" (c) <"a b"@d>`:              `["q\"x" "a b" "d"]`,
		`"a@b.c" <d@e>`:                     `["a@b.c" "d" "e"]`,
		`"" <a@b>`:                          `["" "a" "b"]`,
		"a@b (The Name)":                    `["The Name" "a" "b"]`,
		"(first) a@b (second (nested) \\))": `["first" "a" "b"]`,
		"=?utf-8?q?J=C3=BC?= <a@b>":         `["=?utf-8?q?J=C3=BC?=" "a" "b"]`,
		"J\xfcrgen <a@b>":                   `["J\xfcrgen" "a" "b"]`,
		"friends: a@b, C <c@d>;, e@f":       `[<nil> "friends" <nil>][<nil> "a" "b"]["C" "c" "d"][<nil> <nil> <nil>][<nil> "e" "f"]`,
		"undisclosed-recipients:;":          `[<nil> "undisclosed-recipients" <nil>][<nil> <nil> <nil>]`,
		`"A Group" : ;`:                     `[<nil> "A Group" <nil>][<nil> <nil> <nil>]`,
		"open: a@b":                         `[<nil> "open" <nil>][<nil> "a" "b"][<nil> <nil> <nil>]`,
		"<@x,@y:a@b>":                       `[<nil> "a" "b"] by "@x,@y"`,
		"N <@x:a@b>, c@d":                   `["N" "a" "b"] by "@x"[<nil> "c" "d"]`,
		"<a@b":                              `[<nil> "a" "b"]`,
		"alone":                             `[<nil> "alone" ""]`,
		"Two Words":                         `[<nil> "Two Words" ""]`,
		"Joe Q. Public <j@x>":               `["Joe Q. Public" "j" "x"]`,
		", ,":                               ``,
		"":                                  ``,
		";":                                 ``,
		"a@b@c":                             `[<nil> "a" "b@c"]`,
		"a @ b . c":                         `[<nil> "a" "b.c"]`,
		"<>":                                `[<nil> "" ""]`,
		"a@[127.0.0.1]":                     `[<nil> "a" "[127.0.0.1]"]`,
		"Mail @ Home <a@b>":                 `["Mail @ Home" "a" "b"]`,
		`"unclosed <a@b>`:                   `[<nil> "unclosed <a@b>" ""]`,
		"A <a@b> junk, C <c@d>":             `["A" "a" "b"]["C" "c" "d"]`,
	} {
		var got strings.Builder
		for _, a := range parseAddresses([]byte(in)) {
			q := func(b []byte) string {
				if b == nil {
					return "<nil>"
				}
				return fmt.Sprintf("%q", b)
			}
			fmt.Fprintf(&got, "[%s %s %s]", q(a.Name), q(a.Mailbox), q(a.Host))
			if a.Route != nil {
				fmt.Fprintf(&got, " by %q", a.Route)
			}
		}
		if got.String() != want {
			t.Errorf("%s:\n got %s\nwant %s", in, got.String(), want)
		}
	}
}

func TestEnvelope_RFC9051_7_5_2(t *testing.T) {
	e, _ := read(t, strings.NewReader("From: A <a@b>\r\nsubject : one\r\n\ttwo\r\nno field\r\n folded under it\r\nDate: today\r\nTo: x@y\r\nTO: z@y\r\nSubject: second\r\nSender: \r\n\r\n"), Options{})
	env := e.GetEnvelope()
	if string(env.GetSubject()) != "one two" || string(env.GetDate()) != "today" || string(env.GetSender()[0].GetHost()) != "b" ||
		len(env.GetReplyTo()) != 1 || len(env.GetTo()) != 2 || env.Cc != nil || env.MessageId != nil || env.InReplyTo != nil {
		t.Errorf("%v", env)
	}
	e, _ = read(t, strings.NewReader("Subject:\r\n\r\n"), Options{})
	if s := e.GetEnvelope().Subject; s == nil || len(s) != 0 {
		t.Errorf("an empty subject is not NIL: %v", s)
	}
	// NIL and empty are told apart after the record has been stored.
	stored, err := proto.Marshal(e)
	if err != nil {
		t.Fatal(err)
	}
	back := proto.CloneOf(e)
	if err := proto.Unmarshal(stored, back); err != nil || back.GetEnvelope().Subject == nil {
		t.Errorf("%v, %v", back, err)
	}
}

func TestReferences_RFC5322_3_6_4(t *testing.T) {
	for in, want := range map[string]string{
		"References: <1@x> <2@x>\r\nIn-Reply-To: <3@x>": "[1@x 2@x 3@x]",
		"References: <1@x>\r\n\t<2@x>,<1@x>":            "[1@x 2@x]",
		"In-Reply-To: Your message of today <1@x>":      "[1@x]",
		"References: <> <unclosed":                      "[]",
		"References: <\xff@x>":                          "[?@x]",
	} {
		e, _ := read(t, strings.NewReader(in+"\r\n\r\n"), Options{})
		if got := fmt.Sprint(e.GetReferences()); got != want {
			t.Errorf("%s: %s, want %s", in, got, want)
		}
	}
	var sb strings.Builder
	sb.WriteString("References:")
	for i := range 500 {
		fmt.Fprintf(&sb, " <%d@x>", i)
	}
	e, _ := read(t, strings.NewReader(sb.String()+"\r\n\r\n"), Options{})
	if r := e.GetReferences(); len(r) != maxReferences || r[0] != "0@x" || r[1] != "401@x" || r[len(r)-1] != "499@x" {
		t.Errorf("%d references, %v …", len(r), r[:2])
	}
}

func TestPreview_RFC8970(t *testing.T) {
	for name, c := range map[string]struct{ in, want string }{
		"plain":       {"\r\n\r\n  Hello,\r\n\r\nworld \r\n", "Hello, world"},
		"html":        {"Content-Type: text/html\r\n\r\n<html><head><title>No</title><STYLE>p{}</Style></head><body><!-- no -->Fish &amp; <b>chips</b>\r\n", "Fish & chips"},
		"plain wins":  {mixed("b", "--b\r\nContent-Type: text/html\r\n\r\n<p>rich\r\n--b\r\n\r\npoor\r\n--b--\r\n"), "poor"},
		"empty plain": {mixed("b", "--b\r\n\r\n \r\n--b\r\nContent-Type: text/html\r\n\r\n<p>rich\r\n--b--\r\n"), "rich"},
		"attachment":  {mixed("b", "--b\r\nContent-Disposition: attachment\r\n\r\nfile\r\n--b\r\n\r\ntext\r\n--b--\r\n"), "text"},
		"encoded":     {"Content-Type: text/plain; charset=iso-8859-1\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\ngr=FC=DF", "grüß"},
		"invisible":   {"Content-Type: text/plain; charset=utf-8\r\n\r\na\u200cb\u00ad\u034f\ufeffc", "abc"},
		"nothing":     {"Content-Type: image/png\r\n\r\nPNG", ""},
		"long":        {"\r\n" + strings.Repeat("word ", 100), strings.Repeat("word ", 39) + "word"},
	} {
		e, _ := read(t, strings.NewReader(c.in), Options{})
		if got := e.GetPreview(); got != c.want {
			t.Errorf("%s: %q, want %q", name, got, c.want)
		}
	}
	e, _ := read(t, strings.NewReader("Content-Type: text/plain; charset=utf-8\r\n\r\n"+strings.Repeat("ü", 100_000)), Options{})
	if got := e.GetPreview(); utf8.RuneCountInString(got) != previewLength {
		t.Errorf("%q", got)
	}
}

func FuzzAddresses(f *testing.F) {
	f.Add([]byte(`"a" (b) <@c:d@e>, f: g@h;`))
	f.Fuzz(func(t *testing.T, in []byte) {
		depth := 0
		for _, a := range parseAddresses(in) {
			switch {
			case a.Host == nil && a.Mailbox == nil:
				depth--
			case a.Host == nil:
				depth++
			case a.Mailbox == nil:
				t.Fatalf("%q: mailbox is NIL beside a host", in)
			}
			if depth < 0 || depth > 1 {
				t.Fatalf("%q: groups do not match", in)
			}
		}
		if depth != 0 {
			t.Fatalf("%q: a group is not ended", in)
		}
	})
}
