package wire

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"pgregory.net/rapid"
)

// printed returns what fn prints.
func printed(t testing.TB, fn func(w *Writer)) string {
	t.Helper()
	var buf bytes.Buffer
	w := NewWriter(&buf)
	fn(w)
	if err := w.Flush(); err != nil {
		t.Fatal(err)
	}
	return buf.String()
}

func TestWriterStrings_RFC9051_9(t *testing.T) {
	long := strings.Repeat("x", 1001)
	for want, c := range map[string]struct {
		s    string
		utf8 bool
	}{
		`"a\"b\\c"`:            {`a"b\c`, false},
		"{3}\r\na\r\n":         {"a\r\n", false},
		"{2}\r\nü":             {"ü", false},
		`"ü"`:                  {"ü", true},
		"{1}\r\n\xff":          {"\xff", true},
		"{3}\r\na\x80b":        {"a\x00b", false},
		`""`:                   {"", false},
		"{1001}\r\n" + long:    {long, false},
		"\"tab\tand\x01bell\"": {"tab\tand\x01bell", false},
	} {
		got := printed(t, func(w *Writer) { w.SetUTF8(c.utf8); w.String(c.s) })
		if got != want {
			t.Errorf("%q: %q, want %q", c.s, got, want)
		}
	}
}

func TestWriterElements_RFC9051_9(t *testing.T) {
	got := printed(t, func(w *Writer) {
		w.Mailbox("a b").Raw(" ").Mailbox("INBOX").Raw(" ").Mailbox("ü%").Raw(" ").Mailbox("").Raw(" ").Mailbox("nil").Raw(" ").Mailbox("a]").CRLF()
		w.SetUTF8(true)
		w.Mailbox("ü%").Raw(" ").Mailbox("R&D").CRLF()
		w.Flags([]string{`\Seen`, "$Junk", `\*`, "two words", "a\r\n", "", `\`, `\\x`, "ü"}).Raw(" ").Flags(nil).CRLF()
		w.NString(nil).Raw(" ").NString([]byte{}).Raw(" ", 1, " ", uint32(2), " ", uint64(3), " ", int64(-4), " ", []byte("x")).CRLF()
		w.DateTime(time.Date(2024, 1, 2, 3, 4, 5, 6, time.FixedZone("", -90*60))).DateTime(time.Date(12024, 1, 1, 0, 0, 0, 0, time.UTC)).CRLF()
	})
	want := "\"a b\" INBOX \"&APw-%\" \"\" \"nil\" \"a]\"\r\n" +
		"\"ü%\" R&D\r\n" +
		"(\\Seen $Junk \\*) ()\r\n" +
		"NIL \"\" 1 2 3 -4 x\r\n" +
		"\" 2-Jan-2024 03:04:05 -0130\"\" 1-Jan-9999 00:00:00 +0000\"\r\n"
	if got != want {
		t.Errorf("%q, want %q", got, want)
	}
}

func TestStatus_RFC9051_7_1(t *testing.T) {
	for want, c := range map[string][4]string{
		"a OK done\r\n":                   {"a", "OK", "", "done"},
		"* NO [UNAVAILABLE] x\r\n":        {"*", "NO", "UNAVAILABLE", "x"},
		"* OK line??X OK injected ??\r\n": {"*", "OK", "", "line\r\nX OK injected ü"},
		"* OK [A??B] .\r\n":               {"*", "OK", "A\r\nB", ""},
		"* OK (ALERT] no code\r\n":        {"*", "OK", "", "[ALERT] no code"},
		"a OK [MODIFIED " + strings.Repeat("1,", 999) + "1] x\r\n": {"a", "OK", "MODIFIED " + strings.Repeat("1,", 999) + "1", "x"},
		"a BAD " + strings.Repeat("y", 500) + "\r\n":               {"a", "BAD", "", strings.Repeat("y", 600)},
	} {
		if got := printed(t, func(w *Writer) { w.Status(c[0], c[1], c[2], c[3]) }); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
	if got := printed(t, func(w *Writer) { w.Continue("go\non"); w.Continue("") }); got != "+ go?on\r\n+ \r\n" {
		t.Errorf("%q", got)
	}
}

// Whatever the data, it is one token, and nothing follows it.
func TestNothingBreaksOut(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		alphabet := rapid.SampledFrom([]string{"a", " ", "\"", "\\", "\r\n", "\n", "\x00", "{1}\r\n", "(", ")", "ü", "\xff", "%", "&", "]", "NIL", "* OK"})
		s := strings.Join(rapid.SliceOfN(alphabet, 0, 12).Draw(t, "s"), "")
		utf8 := rapid.Bool().Draw(t, "utf8")
		var buf bytes.Buffer
		w := NewWriter(&buf)
		w.SetUTF8(utf8)
		w.String(s).Raw(" ").NString([]byte(s)).Raw(" ").Astring(s).Raw(" ").Mailbox(s).Raw(" ").Flags([]string{s, "x"}).CRLF()
		w.Status("*", "OK", "", s)
		if err := w.Flush(); err != nil {
			t.Fatal(err)
		}
		in := &tokenizer{in: buf.Bytes(), utf8: utf8}
		tokens, err := in.tokens()
		if err != nil || len(tokens) != 5 {
			t.Fatalf("%q: %q, %v", buf.Bytes(), tokens, err)
		}
		for _, token := range tokens[:3] {
			got := fmt.Sprintf("%s", token)
			if got != strings.ReplaceAll(s, "\x00", "\x80") {
				t.Fatalf("%q is read as %q of %q", s, got, buf.Bytes())
			}
		}
		if bytes.Count(in.in, []byte("\n")) != 1 {
			t.Fatalf("%q", in.in)
		}
	})
}

func TestLiterals_RFC9051_4_3(t *testing.T) {
	big := strings.Repeat("0123456789\r\n", 2000)
	got := printed(t, func(w *Writer) {
		w.Literal(3, strings.NewReader("a\x00bcd"), false).Literal(3, strings.NewReader("a\x00b"), true).Literal(0, iotest.ErrReader(errors.New("unread")), false)
		w.Literal(uint64(len(big)), iotest.HalfReader(strings.NewReader(big)), false)
		l := w.BeginLiteral(uint64(len(big))+3, false)
		for _, p := range []string{"\x00\x00", big, "", "\x00"} {
			if n, err := l.Write([]byte(p)); n != len(p) || err != nil {
				t.Errorf("%d, %v", n, err)
			}
		}
		if err := l.Close(); err != nil {
			t.Error(err)
		}
	})
	want := "{3}\r\na\x80b~{3}\r\na\x00b{0}\r\n" + fmt.Sprintf("{%d}\r\n%s{%d}\r\n\x80\x80%s\x80", len(big), big, len(big)+3, big)
	if got != want {
		t.Errorf("%.200q, want %.200q", got, want)
	}
}

// A literal that is not as long as it was announced ends the connection: what
// comes next could not be told from it.
func TestBrokenLiteralsEndTheConnection(t *testing.T) {
	cause := errors.New("storage failed")
	for name, c := range map[string]struct {
		print func(w *Writer)
		want  error
	}{
		"short": {func(w *Writer) { w.Literal(5, strings.NewReader("abc"), false) }, io.EOF},
		"failing": {func(w *Writer) {
			w.Literal(5, io.MultiReader(strings.NewReader("abc"), iotest.ErrReader(cause)), false)
		}, cause},
		"written short": {func(w *Writer) { l := w.BeginLiteral(5, false); _, _ = l.Write([]byte("abc")); _ = l.Close() }, io.ErrUnexpectedEOF},
		"written long":  {func(w *Writer) { l := w.BeginLiteral(2, true); _, _ = l.Write([]byte("abc")) }, nil},
	} {
		var buf bytes.Buffer
		w := NewWriter(&buf)
		c.print(w)
		w.Status("a", "OK", "", "done")
		err := w.Flush()
		if err == nil || w.Err() == nil || c.want != nil && !errors.Is(err, c.want) {
			t.Errorf("%s: %v", name, err)
		}
		if strings.Contains(buf.String(), "done") {
			t.Errorf("%s: %q", name, buf.String())
		}
	}
}

// failing takes n octets and then fails.
type failing struct {
	n   int
	err error
}

func (f *failing) Write(p []byte) (int, error) {
	if f.n -= len(p); f.n < 0 {
		return 0, f.err
	}
	return len(p), nil
}

func TestFirstErrorSticks(t *testing.T) {
	cause := errors.New("gone")
	for _, n := range []int{0, 10, 5000, 40000} {
		dst := &failing{n: n, err: cause}
		w := NewWriter(dst)
		for range 5000 {
			w.Untagged("OK ", strings.Repeat("x", 100))
			w.Literal(10, strings.NewReader("0123456789"), false)
		}
		dst.n = 1 << 20
		if err := w.Flush(); !errors.Is(err, cause) || !errors.Is(w.Err(), cause) || !errors.Is(w.Flush(), cause) {
			t.Errorf("%d: %v", n, err)
		}
		if dst.n != 1<<20 {
			t.Errorf("%d: something was sent after the error", n)
		}
		w.Reset(io.Discard)
		if w.Untagged("OK"); w.Flush() != nil {
			t.Error("an error survives Reset")
		}
	}
}

// Nothing is sent before Flush or a full buffer, and a silent connection holds no
// large buffer.
func TestWriterBuffers(t *testing.T) {
	var buf bytes.Buffer
	w := NewWriter(&buf)
	w.Raw("a", strings.Repeat("x", outputSize-1))
	if buf.Len() != 0 {
		t.Errorf("%d octets sent before the buffer is full", buf.Len())
	}
	if w.Raw("y"); buf.Len() != outputSize {
		t.Errorf("%d octets sent when it is", buf.Len())
	}
	if err := w.Flush(); err != nil || buf.Len() != outputSize+1 || w.out.large != nil {
		t.Errorf("%d octets sent, large buffer %d, %v", buf.Len(), len(w.out.large), err)
	}
}

// What is looked at eight octets at a time is judged as octet by octet, wherever in a
// string an octet stands and whatever is beside it.
func TestAllOrdinary(t *testing.T) {
	w := NewWriter(io.Discard)
	for n := 8; n <= 25; n++ {
		for _, around := range []byte{' ', '~', 'a', 0x7f} {
			b := bytes.Repeat([]byte{around}, n)
			if !allOrdinary(b) {
				t.Fatalf("%q is not ordinary", b)
			}
			for at := range b {
				for c := range 0x100 {
					b[at] = byte(c)
					if want := c >= ' ' && c < 0x80 && c != '"' && c != '\\'; allOrdinary(b) != want {
						t.Fatalf("%q ordinary: %v", b, !want)
					}
					if ok, plain := w.quotable(b); allOrdinary(b) && !(ok && plain) {
						t.Fatalf("%q: %v, %v", b, ok, plain)
					}
				}
				b[at] = around
			}
		}
	}
	if allOrdinary([]byte("short")) {
		t.Error("reads octets that are not there")
	}
}
