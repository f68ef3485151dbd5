package wire

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"regexp"
	"strings"
	"testing"
	"testing/iotest"
)

func reader(in string) *Reader {
	return NewReader(strings.NewReader(in), Limits{Line: 2000, Literal: 100, Append: 1000}, func() error { return nil })
}

func TestReadCommand_RFC9051_9(t *testing.T) {
	for in, want := range map[string]string{
		"a noop":                        "wire.Noop{}",
		"a NOOP ":                       "wire.Noop{}",
		"a login bob \"p\\\"w\"":        `wire.Login{User:"bob", Password:"p\"w"}`,
		"a login {3}\r\nbob {2+}\r\npw": `wire.Login{User:"bob", Password:"pw"}`,
		"a authenticate PLAIN AGEAYg==": `wire.Authenticate{Mechanism:"PLAIN", Initial:[]uint8{0x0, 0x61, 0x0, 0x62}}`,
		"a authenticate plain =":        `wire.Authenticate{Mechanism:"PLAIN", Initial:[]uint8{}}`,
		"a enable QRESYNC condstore":    `wire.Enable{Capabilities:[]string{"QRESYNC", "CONDSTORE"}}`,
		"a select inbox/X (CONDSTORE)":  `wire.Select{Mailbox:"INBOX/X", ReadOnly:false, CondStore:true, QResync:(*wire.QResync)(nil)}`,
		"a create Entw&APw-rfe":         `wire.Create{Mailbox:"Entwürfe", SpecialUse:[]string(nil)}`,
		"a create x (use (\\Sent))":     `wire.Create{Mailbox:"x", SpecialUse:[]string{"\\Sent"}}`,
		"a uid expunge 3:5,9":           "UID EXPUNGE [{3 5} {9 9}]",
		"a status x (messages UIDNEXT)": `wire.Status{Mailbox:"x", Items:[]wire.StatusItem{"MESSAGES", "UIDNEXT"}}`,
		"a move 1:* y":                  `wire.Copy{UID:false, Move:true, Set:wire.NumSet{Saved:false, Ranges:[]wire.NumRange{wire.NumRange{Start:0x1, Stop:0x0}}}, Mailbox:"y"}`,
		"a search return () $ not deleted": `wire.Search{UID:false, Charset:"", Return:&, Key:wire.SearchAnd{wire.SearchNums{Set:wire.NumSet{Saved:true, Ranges:[]wire.NumRange(nil)}}, ` +
			`wire.SearchNot{Key:wire.SearchFlag{Flag:"\\Deleted"}}}}`,
	} {
		tag, cmd, err := reader(in + "\r\n").ReadCommand()
		got := regexp.MustCompile(`&wire.SearchReturn{.*?}|\(\*wire.SearchReturn\)\(0x[0-9a-f]+\)`).ReplaceAllString(fmt.Sprintf("%#v", cmd), "&")
		if e, ok := cmd.(Expunge); ok && e.UIDs != nil {
			got = fmt.Sprintf("UID EXPUNGE %v", e.UIDs.Ranges)
		}
		if err != nil || tag != "a" || got != want {
			t.Errorf("%q:\n got %s, %s, %v\nwant %s", in, tag, got, err, want)
		}
	}
}

func TestQResync_RFC7162_7(t *testing.T) {
	_, cmd, err := reader("a select x (QRESYNC (67890007 20050715194045000 41:211 (1:3,5 7:9,11)))\r\n").ReadCommand()
	if err != nil {
		t.Fatal(err)
	}
	q := cmd.(Select).QResync
	if q.UIDValidity != 67890007 || q.ModSeq != 20050715194045000 || q.KnownUIDs.String() != "41:211" ||
		q.MatchSeqs.String() != "1:3,5" || q.MatchUIDs.String() != "7:9,11" {
		t.Errorf("%+v", q)
	}
}

func TestSyntaxErrors(t *testing.T) {
	for _, in := range []string{
		"", "a", "a ", "a nonsense", "a noop x", "a fetch", "a fetch 1", "a fetch 0 flags", "a fetch 1:2:3 flags",
		"a fetch 1 (body[1.])", "a fetch 1 (body[mime])", "a fetch 1 body[text]<0.0>", "a fetch 1 flags (changedsince 1 vanished)",
		"a uid fetch 1 flags (vanished)", "a store 1 flags", "a store 1 +flags (\\Recent)", "a select x (bogus)",
		"a select x (qresync (0 1))", "a select x (qresync (1 1 *))", "a search", "a search bogus", "a search (seen",
		"a login bob \"x", "a login bob {4}x", "a list \"\"", "a list (recursivematch) \"\" *", "a append x (\\Seen)",
		"a status x ()", "a create &AGEAYg-", "a create &abc", "a create \"\xff\"", "a copy 4294967296 x", "* noop", "a+ noop",
		"a search " + strings.Repeat("(", 60) + "all", "a login {101}",
	} {
		r := reader(in + "\r\nb noop\r\n")
		_, cmd, err := r.ReadCommand()
		var syntax *SyntaxError
		if !errors.As(err, &syntax) {
			t.Errorf("%q: %#v, %v", in, cmd, err)
			continue
		}
		if tag, cmd, err := r.ReadCommand(); err != nil || tag != "b" || cmd != (Noop{}) {
			t.Errorf("%q: then %s %#v, %v", in, tag, cmd, err)
		}
	}
}

// After a mistake before it, a literal that comes unasked is dropped.
func TestResyncOverNonSyncLiterals_RFC7888(t *testing.T) {
	r := reader("a bogus {6+}\r\nx y\r\nz {1+}\r\nq\r\nb noop\r\n")
	if _, _, err := r.ReadCommand(); err == nil {
		t.Fatal("no error")
	}
	if tag, _, err := r.ReadCommand(); err != nil || tag != "b" {
		t.Errorf("%s, %v", tag, err)
	}
}

func TestAppend_RFC3502(t *testing.T) {
	asked := 0
	in := "a append x (\\Seen) \"01-Jan-2024 00:00:00 +0000\" {5}\r\nhello (\\Draft) ~{3+}\r\nabc\r\nb noop\r\n"
	r := NewReader(iotest.OneByteReader(strings.NewReader(in)), Limits{}, func() error { asked++; return nil })
	_, cmd, err := r.ReadCommand()
	if err != nil {
		t.Fatal(err)
	}
	a := cmd.(Append)
	if a.First.Literal.Size != 5 || a.First.Date.Year() != 2024 || a.First.Flags[0] != `\Seen` {
		t.Errorf("%+v", a)
	}
	body, _ := r.LiteralBody()
	if got, err := io.ReadAll(body); string(got) != "hello" || err != nil {
		t.Errorf("%q, %v", got, err)
	}
	msg, more, err := r.AppendMessage()
	if err != nil || !more || !msg.Literal.Binary || !msg.Literal.NonSync {
		t.Fatalf("%+v, %v, %v", msg, more, err)
	}
	if _, err := r.LiteralBody(); err != nil { // and none of it is read
		t.Fatal(err)
	}
	if _, more, err := r.AppendMessage(); more || err != nil {
		t.Fatalf("%v, %v", more, err)
	}
	if tag, _, err := r.ReadCommand(); tag != "b" || err != nil || asked != 1 {
		t.Errorf("%s, %v, asked %d times", tag, err, asked)
	}
}

func TestRefuseLiteral(t *testing.T) {
	for _, in := range []string{"a append x {5}\r\n", "a append x {5+}\r\nhello\r\n", "a append x {2+}\r\nab {3+}\r\ncde\r\n"} {
		r := reader(in + "b noop\r\n")
		if _, _, err := r.ReadCommand(); err != nil {
			t.Fatal(err)
		}
		if err := r.RefuseLiteral(); err != nil {
			t.Fatal(err)
		}
		if tag, _, err := r.ReadCommand(); tag != "b" || err != nil {
			t.Errorf("%q: %s, %v", in, tag, err)
		}
	}
}

func TestHostileInput(t *testing.T) {
	for name, in := range map[string]string{
		"endless line":    strings.Repeat("x", 3<<20),
		"endless literal": "a bogus {999999999+}\r\n" + strings.Repeat("x", 100),
		"TLS hello":       "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
	} {
		r := reader(in)
		_, _, err := r.ReadCommand()
		var syntax *SyntaxError
		if err == nil || errors.As(err, &syntax) {
			t.Errorf("%s: %v, which does not end the connection", name, err)
		}
	}
	r := reader("a " + strings.Repeat("x", 5000) + "\r\nb noop\r\n")
	if _, _, err := r.ReadCommand(); err == nil {
		t.Error("a long line was read")
	}
	if tag, _, err := r.ReadCommand(); tag != "b" || err != nil {
		t.Errorf("after a long line: %s, %v", tag, err)
	}
}

func TestMailboxNames_RFC3501_5_1_3(t *testing.T) {
	for utf7, name := range map[string]string{
		"~peter/mail/&U,BTFw-/&ZeVnLIqe-": "~peter/mail/台北/日本語",
		"a&-b":                            "a&b",
		"&2D3eAA-":                        "😀",
		"plain":                           "plain",
	} {
		if got, err := DecodeMailbox(utf7); got != name || err != nil {
			t.Errorf("decode %q: %q, %v", utf7, got, err)
		}
		if got := EncodeMailbox(name); got != utf7 {
			t.Errorf("encode %q: %q", name, got)
		}
	}
}

func FuzzMailboxName(f *testing.F) {
	f.Add("Entw&APw-rfe")
	f.Fuzz(func(t *testing.T, s string) {
		name, err := DecodeMailbox(s)
		if err != nil {
			return
		}
		if again, err := DecodeMailbox(EncodeMailbox(name)); strings.ToValidUTF8(name, "\uFFFD") == name && (err != nil || again != name) {
			t.Fatalf("%q: %q, then %q, %v", s, name, again, err)
		}
	})
}

func FuzzMatchPattern(f *testing.F) {
	f.Add("a/%", "a/b")
	f.Add("*b%", "a/b")
	f.Fuzz(func(t *testing.T, pattern, name string) {
		if len(pattern) > 100 || len(name) > 100 || strings.HasPrefix(strings.ToUpper(pattern), "INBOX") {
			return
		}
		var expr strings.Builder
		for i := 0; i < len(pattern); i++ {
			switch pattern[i] {
			case '*':
				expr.WriteString("(?s:.*)")
			case '%':
				expr.WriteString("[^/]*")
			default:
				expr.WriteString(fmt.Sprintf(`\x{%02x}`, pattern[i]))
			}
		}
		// Octets as Latin-1, so that the expression sees them one by one.
		latin := func(s string) string {
			r := make([]rune, len(s))
			for i := 0; i < len(s); i++ {
				r[i] = rune(s[i])
			}
			return string(r)
		}
		want := regexp.MustCompile("^" + expr.String() + "$").MatchString(latin(name))
		if got := MatchPattern(pattern, name); got != want {
			t.Fatalf("MatchPattern(%q, %q) = %v", pattern, name, got)
		}
	})
}

func FuzzReadCommand(f *testing.F) {
	for _, s := range []string{
		"a login bob {3}\r\nabc\r\n", "a uid fetch 1:* (flags body.peek[1.2.header.fields (a b)]<1.2>) (changedsince 5 vanished)\r\n",
		"a append x (\\Seen) {3+}\r\nabc (a) {1}\r\nx\r\n", "a search or (not seen) uid 1:* since 1-Jan-2020\r\n",
		"a select x (qresync (1 2 3:4 (1 2)))\r\n", "a list (subscribed) \"\" (a b) return (status (messages))\r\n",
		"a store 1 (unchangedsince 5) +flags.silent (a \\Seen)\r\n", "a id (\"a\" NIL)\r\n",
	} {
		f.Add([]byte(s), false)
	}
	f.Fuzz(func(t *testing.T, in []byte, oneByte bool) {
		var src io.Reader = bytes.NewReader(in)
		if oneByte {
			src = iotest.OneByteReader(src)
		}
		r := NewReader(src, Limits{Line: 500, Literal: 100, Append: 1000}, func() error { return nil })
		for range len(in) + 2 {
			_, cmd, err := r.ReadCommand()
			var syntax *SyntaxError
			if err != nil && !errors.As(err, &syntax) {
				return
			}
			if _, ok := cmd.(Append); ok {
				for more := true; more && err == nil; {
					if _, err = r.LiteralBody(); err == nil {
						_, more, err = r.AppendMessage()
					}
				}
			}
		}
		t.Fatal("more commands than octets")
	})
}

func TestWriterStrings_RFC9051_9(t *testing.T) {
	for want, c := range map[string]struct {
		s    string
		utf8 bool
	}{
		`"a\"b\\c"`:     {`a"b\c`, false},
		"{3}\r\na\r\n":  {"a\r\n", false},
		"{2}\r\nü":      {"ü", false},
		`"ü"`:           {"ü", true},
		"{1}\r\n\xff":   {"\xff", true},
		"{3}\r\na\x80b": {"a\x00b", false},
		`""`:            {"", false},
	} {
		var buf bytes.Buffer
		w := NewWriter(&buf)
		w.SetUTF8(c.utf8)
		w.String(c.s)
		if err := w.Flush(); err != nil || buf.String() != want {
			t.Errorf("%q: %q, want %q; %v", c.s, buf.String(), want, err)
		}
	}
	var buf bytes.Buffer
	w := NewWriter(&buf)
	w.Status("*", "OK", "", "line\r\nX OK injected")
	w.Mailbox("a b").Raw(" ").Mailbox("INBOX").Raw(" ").Mailbox("ü%")
	_ = w.Flush()
	if want := "* OK line??X OK injected\r\n\"a b\" INBOX \"&APw-%\""; buf.String() != want {
		t.Errorf("%q, want %q", buf.String(), want)
	}
}
