package wire

import (
	"errors"
	"fmt"
	"io"
	"runtime"
	"strings"
	"testing"
	"testing/iotest"
)

// Each of these is answered, and the command after it is read where it begins.
func TestSyntaxErrors_RFC9051_9(t *testing.T) {
	for want, lines := range map[string][]string{
		"* BAD": {"", " ", "\r", "(", "* noop", "+ noop", "a+ noop", "\"a\" noop", "a\tnoop", "a]\x00 noop", strings.Repeat("t", 65) + " noop",
			"\xff\xfe\x00", "{5+x} y"},
		"GET BAD": {"GET / HTTP/1.1"},
		"a BAD": {
			"a", "a ", "a  noop", "a nonsense", "a noop x", "a noop  ", "a uid", "a uid noop", "a uid expunge", "a fetch", "a select", "a login x",
			// numbers and sets
			"a fetch 0 flags", "a fetch 1:2:3 flags", "a fetch 1, flags", "a fetch ,1 flags", "a fetch 1:0 flags", "a fetch $:1 flags",
			"a fetch $,1 flags", "a fetch 007 uid", "a fetch 1:05 uid", "a fetch -1 flags", "a fetch 4294967296 flags", "a copy 99999999999999999999 x",
			// items
			"a fetch 1", "a fetch 1 ()", "a fetch 1 (flags uid", "a fetch 1 (flags,uid)", "a fetch 1 flags uid", "a fetch 1 (all)", "a fetch 1 (preview (eager))",
			"a fetch 1 nonsense", "a fetch 1 body[1.]", "a fetch 1 body[.1]", "a fetch 1 body[0]", "a fetch 1 body[1text]", "a fetch 1 body[mime]",
			"a fetch 1 body[text.1]", "a fetch 1 body[header.fields]", "a fetch 1 body[header.fields ()]", "a fetch 1 body[header.fields (a]",
			"a fetch 1 body[text]<0.0>", "a fetch 1 body[text]<0>", "a fetch 1 body[text]<1.9223372036854775808>", "a fetch 1 body[text",
			"a fetch 1 body.peek", "a fetch 1 rfc822<0.1>", "a fetch 1 binary[text]", "a fetch 1 binary.size[1]<0.1>",
			"a fetch 1 body[" + strings.Repeat("1.", 300) + "1]", "a fetch 1 (" + strings.Repeat("uid ", 1001) + "uid)",
			// modifiers (RFC 7162)
			"a fetch 1 flags ()", "a uid fetch 1 flags (changedsince 0 vanished)", "a fetch 1 flags (changedsince 1 changedsince 2)",
			"a fetch 1 flags (changedsince 1 vanished)", "a uid fetch 1 flags (vanished)", "a fetch 1 flags (nonsense 1)",
			"a fetch 1 flags (changedsince 9223372036854775808)",
			"a store 1 flags", "a store 1 (unchangedsince 1 unchangedsince 2) flags a", "a store 1 () flags a", "a store 1 flags (a) (unchangedsince 1)",
			"a store 1 nonsense a", "a store 1 +flags (\\Recent)", "a store 1 flags \\*", "a store 1 flags (a  b)", "a store 1 flags \\nonsense", "a store 1 ++flags a",
			"a select x ()", "a select x (bogus)", "a select x (condstore condstore)", "a select x condstore", "a select x (qresync 1 2)",
			"a select x (qresync (0 1))", "a select x (qresync (1 0))", "a select x (qresync (1 1 *))", "a select x (qresync (1 1 $))",
			"a select x (qresync (1 1 1:5 ()))", "a select x (qresync (1 1 (1)))", "a select x (qresync (1 1 1 (1 1) 1))",
			// search
			"a search", "a search bogus", "a search (seen", "a search ()", "a search not", "a search or seen", "a search seen  seen", "a search charset utf-8",
			"a search return (bogus) all", "a search return (all all) all",
			"a cancelupdate", "a cancelupdate a", "a cancelupdate \"a\" b", "a cancelupdate {1+}\r\na", "a search return (update ()) all", "a search return (update (bogus)) all",
			"a search return (update (all)) all", "a search return (context 1) all",
			"a esearch", "a uid esearch all", "a esearch in () all", "a esearch in (selected)", "a esearch in (bogus) all", "a esearch in (selected-delayed) all",
			"a esearch in (subtree) all", "a esearch in (subtree-one ()) all", "a esearch in (mailboxes a% ) all", "a esearch in (\"selected\") all",
			"a esearch in (selected (x)) all", "a esearch in selected all", "a esearch in (selected) return (bogus) all", "a esearch return () in (selected) all",
			"a esearch in (" + strings.Repeat("selected ", 100) + "selected) all",
			"a search return (partial) all", "a search return (partial 1) all", "a search return (partial 0:1) all", "a search return (partial 1:*) all",
			"a search return (partial 1:4294967296) all", "a search return (partial -1:2) all", "a search return (partial 1:-2) all",
			"a search return (partial 1:2 partial 3:4) all", "a search return (partial 1:2 all) all", "a search return (partial (1:2)) all",
			"a fetch 1 uid (partial)", "a fetch 1 uid (partial 1:2 partial 1:2)", "a fetch 1 uid (partial 5)", "a fetch 1 uid (partial -0:-1)", "a search return all", "a search before yesterday", "a search on 30-Feb-2024", "a search on \"1-Jan-2024",
			"a search larger x", "a search older 0", "a search uid seen", "a search keyword (a)", "a search modseq x", "a search modseq \"/x/a\" all 1",
			"a search modseq \"/flags/a\" 1", "a search header a",
			"a search " + strings.Repeat("(", 60) + "all", "a search " + strings.Repeat("not ", 60) + "all", "a search " + strings.Repeat("1 ", 1000) + "1",
			// spaces
			"a noop ", "a login \xfc x", "a select x ", "a search all ", "a id nil ", "a fetch 1 flags ", "a list \"\" * ", "a list \"\" \xfc*", "a enable x ",
			"a store 1 flags (x) ", "a authenticate plain ", "a store 1  flags (x)", "a status  x (messages)", "a fetch 1 ( flags)", "a fetch 1 (flags )",
			"a search keyword \\seen", "a append x \"1-Jan-2024 00:00:00 +0000\" {1}", "a append x \"001-Jan-2024 00:00:00 +000\" {1}",
			// strings
			"a login bob \"x", "a login bob \"\xff\"", "a login bob \"\xc3(\"", "a create \"\xff\"", "a login bob \"\\x\"", "a login bob \"a\x00b\"", "a login bob {4}x", "a login bob {}", "a login bob {x}", "a login bob {-1}",
			"a login bob {1++}", "a login bob ~{1}", "a login {1+}\r\n\x00 x",
			"a authenticate plain !", "a authenticate plain AGEAYg", "a authenticate plain = x", "a authenticate (plain)", "a enable", "a enable (x)",
			"a id", "a id (a b)", "a id (\"a\")", "a id x", "a id (" + strings.Repeat(`"a" "b" `, 30) + `"a" "b")`, `a id ("` + strings.Repeat("x", 31) + `" NIL)`,
			// names and patterns
			"a list \"\"", "a list \"\" ()", "a list (recursivematch) \"\" *", "a list (recursivematch remote) \"\" *", "a list (bogus) \"\" *", "a list \"\" * (children)",
			"a list \"\" * return (bogus)", "a list \"\" * return (status ())", "a list \"\" * return children", "a list * \"\"", "a lsub () \"\" *", "a lsub \"\" (*)",
			"a select x%", "a rename a", "a create x (use \\Sent)", "a create x (use (Sent))", "a create x (use (\\))", "a status x", "a status x ()", "a status x (bogus)", "a status x messages",
			"a list \"\" (" + strings.Repeat("* ", 1001) + "*)",
			// append
			"a append x", "a append x y", "a append x (\\Seen)", "a append x (\\Seen {1}", "a append x \"yesterday\" {1}", "a append x \"17-Jul-1996 02:44:25.5 -0700\" {1}",
			"a replace 0 x {1}", "a replace 1:2 x {1}", "a replace 1,2 x {1}", "a uid replace $ x {1}", "a replace 1 x", "a replace x x {1}",
			"a compress", "a compress (deflate)", "a compress deflate x", "a append x {1} ", "a append x utf8 ({1}", "a append x utf8 ~{1}", "a append x ~\"a\"",
		},
		"a NO CANNOT": {"a create &abc", "a create &AGEAYg-", "a create &2D0-", "a create &APx-", "a create &AP\u00fcw-", "a rename x R&D"},
		"a NO TOOBIG": {"a login {101}", "a login {60+}\r\n" + strings.Repeat("x", 60) + " {41}", "a search text {99999999999999999999}", "a login {101+}\r\n" + strings.Repeat("\n", 101) + " x"},
	} {
		for _, in := range lines {
			r := NewReader(strings.NewReader(in+"\r\nb noop\r\n"), Limits{Line: 6000, Literal: 100, Append: 1000}, func() error {
				return fmt.Errorf("%q: a literal is asked for", in)
			})
			tag, cmd, err := r.ReadCommand()
			var syntax *SyntaxError
			if !errors.As(err, &syntax) {
				t.Errorf("%q: %#v, %v", in, cmd, err)
				continue
			}
			status := "BAD"
			if syntax.No {
				status = "NO"
			}
			if got := strings.TrimSpace(syntax.Tag + " " + status + " " + syntax.Code); got != want || tag != syntax.Tag || syntax.Text == "" {
				t.Errorf("%q: %s, %+v, want %s", in, tag, syntax, want)
			}
			if tag, cmd, err := r.ReadCommand(); err != nil || tag != "b" || cmd != (Noop{}) {
				t.Errorf("%q: then %s %#v, %v", in, tag, cmd, err)
			}
		}
	}
}

// RFC 7888: literals that come unasked after a mistake are no commands.
func TestResyncOverLiterals_RFC7888_4(t *testing.T) {
	long := strings.Repeat("x", 3000)
	for name, in := range map[string]string{
		"one after the other":          "a bogus {6+}\r\nx y\r\nz {1+}\r\nq\r\n",
		"literal8":                     "a append x (\\Recent) ~{8+}\r\nc noop\r\n\r\n",
		"in an argument that is wrong": "a fetch 1 body[header.fields ({8+}\r\nc noop\r\n {8+}\r\nc noop\r\n]\r\n",
		"after one that is too large":  "a login {150+}\r\n" + strings.Repeat("c noop\r\n", 18) + "zzzzzz {8+}\r\nc noop\r\n\r\n",
		"after a line too long":        "a " + long + " {8+}\r\nc noop\r\n\r\n",
		"before a line too long":       "a bogus {8+}\r\nc noop\r\n" + long + " {8+}\r\nc noop\r\n\r\n",
		"a sum of lines too long":      "a search text {0+}\r\n text \"" + long[:1000] + "\" text {0+}\r\n text \"" + long[:1000] + "\" {8+}\r\nc noop\r\n\r\n",
		"one that waits":               "a bogus {8}\r\n",
		"one that waits, too large":    "a login {800}\r\n",
		"empty ones":                   "a bogus {0+}\r\n{00+}\r\n{0+}\r\n\r\n",
		"LF alone":                     "a bogus {8+}\nc noop\r\n\n",
		"no announcement":              "a bogus {+}\r\n",
		"nor this":                     "a bogus 8+}\r\n",
	} {
		for chunks, src := range map[string]io.Reader{
			"whole": strings.NewReader(in + "b noop\r\n"), "octets": iotest.OneByteReader(strings.NewReader(in + "b noop\r\n")),
		} {
			r := NewReader(src, Limits{Line: 2000, Literal: 100, Append: 1000}, nil)
			_, cmd, err := r.ReadCommand()
			var syntax *SyntaxError
			if !errors.As(err, &syntax) || syntax.Tag != "a" {
				t.Errorf("%s, %s: %v, %v", name, chunks, cmd, err)
			}
			if tag, _, err := r.ReadCommand(); err != nil || tag != "b" {
				t.Errorf("%s, %s: then %s, %v", name, chunks, tag, err)
			}
		}
	}
}

func TestHostileInput(t *testing.T) {
	for name, c := range map[string]struct {
		in   string
		want error
	}{
		"endless line":            {strings.Repeat("x", 3<<20), ErrTooLong},
		"endless literal":         {"a bogus {999999999+}\r\n" + strings.Repeat("x", 100), ErrTooLong},
		"endless argument":        {"a login {999999999+}\r\n" + strings.Repeat("x", 100), ErrTooLong},
		"more digits than number": {"a login {999999999999999999999999+}\r\n" + strings.Repeat("x", 100), ErrTooLong},
		"endless literals":        {"a bogus {0+}\r\n" + strings.Repeat("{9+}\r\n123456789", 1<<18), ErrTooLong},
		"TLS hello":               {"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", ErrTLS},
		"TLS hello with a line":   {"\x16\x03\x01\x00\x0a\n", ErrTLS},
		"ends in a line":          {"a noop", io.ErrUnexpectedEOF},
		"ends in an argument":     {"a login {5}\r\nabc", io.ErrUnexpectedEOF},
		"ends in what is dropped": {"a bogus {5+}\r\nabc", io.ErrUnexpectedEOF},
		"ends":                    {"", io.EOF},
	} {
		tag, cmd, err := reader(c.in).ReadCommand()
		if !errors.Is(err, c.want) || tag == "" && cmd != nil {
			t.Errorf("%s: %s, %v, %v", name, tag, cmd, err)
		}
	}
}

// The hello's line has no end in sight, and the client waits for an answer.
func TestTLSHelloIsSeenAtOnce(t *testing.T) {
	pr, pw := io.Pipe()
	defer pr.Close()
	go func() { _, _ = pw.Write([]byte("\x16\x03\x01\x02")) }() // pr is closed either way
	if _, _, err := NewReader(pr, Limits{}, nil).ReadCommand(); !errors.Is(err, ErrTLS) {
		t.Errorf("%v", err)
	}
}

func TestGarbageEnds(t *testing.T) {
	r := reader(strings.Repeat("\x00\x01\x02\r\n", 60) + "a noop\r\n" + strings.Repeat("\x00\x01\x02\n", 200))
	for n := 0; ; n++ {
		_, _, err := r.ReadCommand()
		var syntax *SyntaxError
		if err == nil || errors.As(err, &syntax) {
			continue
		}
		if n != 61+maxGarbage || !errors.Is(err, ErrGarbage) {
			t.Errorf("ends after %d lines: %v", n, err)
		}
		return
	}
}

func TestReadLine(t *testing.T) {
	r := reader("DONE\r\n\n" + strings.Repeat("x", 50) + "\r\n+ {4+}\r\na b\n\r\nb noop\n")
	for _, want := range []string{"DONE", ""} {
		if got, err := r.ReadLine(20); got != want || err != nil {
			t.Errorf("%q, %v", got, err)
		}
	}
	for range 2 {
		var syntax *SyntaxError
		if got, err := r.ReadLine(20); !errors.As(err, &syntax) {
			t.Errorf("%q, %v", got, err)
		}
	}
	if tag, _, err := r.ReadCommand(); tag != "b" || err != nil {
		t.Errorf("%s, %v", tag, err)
	}
}

// A limit is of what a line holds; both line ends fit beside it.
func TestLineLimit(t *testing.T) {
	for n, ok := range map[int]bool{100: true, 102: false} {
		for _, end := range []string{"\n", "\r\n"} {
			r := NewReader(strings.NewReader("a login x "+strings.Repeat("y", n-len("a login x "))+end+"b noop\n"), Limits{Line: 100}, nil)
			tag, _, err := r.ReadCommand()
			if tag != "a" || (err == nil) != ok {
				t.Errorf("%d octets and %q: %s, %v", n, end, tag, err)
			}
			if tag, _, err := r.ReadCommand(); tag != "b" || err != nil {
				t.Errorf("%d octets and %q: then %s, %v", n, end, tag, err)
			}
		}
	}
}

// A silent connection holds no large buffer, neither before a command nor after
// a long one.
func TestIdleReaderIsSmall(t *testing.T) {
	r := reader("a login x " + strings.Repeat("y", 1500) + "\r\nb login {100+}\r\n" + strings.Repeat("y", 100) + " x\r\nc noop\r\n")
	for {
		if _, _, err := r.ReadCommand(); err != nil {
			break
		}
	}
	if r.in.large != nil || cap(r.line) > idleBuffer {
		t.Errorf("large buffer: %d, line: %d octets", len(r.in.large), cap(r.line))
	}
}

// Memory is taken for what comes, not for what is announced.
func TestAnnouncedLiteralTakesNoMemory(t *testing.T) {
	const size = 100 << 20
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	for range 10 {
		r := NewReader(strings.NewReader(fmt.Sprintf("a login {%d+}\r\nabc", size)), Limits{Literal: size}, nil)
		if _, _, err := r.ReadCommand(); !errors.Is(err, io.ErrUnexpectedEOF) {
			t.Fatal(err)
		}
	}
	runtime.ReadMemStats(&after)
	if took := after.TotalAlloc - before.TotalAlloc; took > size/10 {
		t.Errorf("%d octets for thirty that came", took)
	}
}

// What doc.go says is forgiven.
func TestForgiven(t *testing.T) {
	for _, in := range []string{"a noop\n", "a login x {1}\nx\n"} {
		if tag, _, err := reader(in).ReadCommand(); tag != "a" || err != nil {
			t.Errorf("%q: %s, %v", in, tag, err)
		}
	}
}
