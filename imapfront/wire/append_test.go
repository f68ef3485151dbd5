package wire

import (
	"errors"
	"io"
	"strings"
	"testing"
	"testing/iotest"
)

func TestMultiAppend_RFC3502(t *testing.T) {
	asked := 0
	in := "a append x (\\Seen) \"01-Jan-2024 00:00:00 +0000\" {5}\r\nhello (\\Draft) ~{3+}\r\na\x00c UTF8 (~{4+}\r\nd\r\n\n) {1}\r\nx\r\nb noop\r\n"
	r := NewReader(iotest.OneByteReader(strings.NewReader(in)), Limits{}, func() error { asked++; return nil })
	_, cmd, err := r.ReadCommand()
	if err != nil {
		t.Fatal(err)
	}
	msg, more := cmd.(Append).First, true
	var got []string
	for more {
		body, err := r.LiteralBody()
		if err != nil {
			t.Fatal(err)
		}
		if _, err := r.LiteralBody(); err == nil {
			t.Error("a literal is handed out twice")
		}
		octets, err := io.ReadAll(body)
		if err != nil || int64(len(octets)) != msg.Literal.Size {
			t.Errorf("%q, %v", octets, err)
		}
		got = append(got, strings.Join(msg.Flags, " ")+":"+string(octets))
		if msg, more, err = r.AppendMessage(); err != nil {
			t.Fatal(err)
		}
	}
	if want := "\\Seen:hello|\\Draft:a\x00c|:d\r\n\n|:x"; strings.Join(got, "|") != want {
		t.Errorf("%q, want %q", got, want)
	}
	if tag, _, err := r.ReadCommand(); tag != "b" || err != nil || asked != 2 {
		t.Errorf("%s, %v, asked %d times", tag, err, asked)
	}
}

// What is not read of a literal is none of the commands that follow, whether
// AppendMessage is called or not.
func TestAppendLiteralsThatAreNotRead(t *testing.T) {
	for _, in := range []string{
		"a append x {8+}\r\nc noop\r\n\r\n",
		"a append x {8+}\r\nc noop\r\n {8+}\r\nc noop\r\n\r\n",
		"a append x utf8 (~{8+}\r\nc noop\r\n)\r\n",
		"a append x {8+}\r\nc noop\r\n" + strings.Repeat("x", 3000) + "{8+}\r\nc noop\r\n\r\n",
	} {
		for name, leave := range map[string]func(*Reader){
			"refused":  func(r *Reader) { _ = r.RefuseLiteral() }, // that it works is what follows
			"ignored":  func(r *Reader) {},
			"skipped":  func(r *Reader) { _, _, _ = r.AppendMessage() },
			"half":     func(r *Reader) { b, _ := r.LiteralBody(); _, _ = b.Read(make([]byte, 3)) },
			"half and": func(r *Reader) { b, _ := r.LiteralBody(); _, _ = b.Read(make([]byte, 3)); _ = r.RefuseLiteral() },
		} {
			r := reader(in + "b noop\r\n")
			if _, _, err := r.ReadCommand(); err != nil {
				t.Fatal(err)
			}
			leave(r)
			if tag, _, err := r.ReadCommand(); tag != "b" || err != nil {
				t.Errorf("%q, %s: %s, %v", in, name, tag, err)
			}
		}
	}
}

// RFC 9051, 4.3: a client that waits is not asked for what is refused.
func TestRefusedLiteralIsNotAskedFor_RFC9051_4_3(t *testing.T) {
	r := NewReader(strings.NewReader("a append x {5}\r\nb append x {6+}\r\nhello \r\nc noop\r\n"), Limits{}, func() error { return errors.New("asked") })
	for _, want := range []string{"a", "b", "c"} {
		if tag, _, err := r.ReadCommand(); tag != want || err != nil {
			t.Fatalf("%s, %v, want %s", tag, err, want)
		}
		if err := r.RefuseLiteral(); err != nil {
			t.Error(err)
		}
	}
	r = NewReader(strings.NewReader("a append x {2000000+}\r\nhello"), Limits{Append: 1000}, nil)
	if _, _, err := r.ReadCommand(); err != nil {
		t.Fatal(err)
	}
	if err := r.RefuseLiteral(); !errors.Is(err, ErrTooLong) {
		t.Errorf("%v", err)
	}
}

func TestAppendMistakes(t *testing.T) {
	for _, in := range []string{
		"a append x {1+}\r\nabc\r\n", "a append x {1+}\r\na (\\Recent) {8+}\r\nc noop\r\n\r\n", "a append x {1+}\r\na b {8+}\r\nc noop\r\n\r\n",
		"a append x utf8 (~{1+}\r\na\r\n", "a append x {1+}\r\na " + strings.Repeat("x", 3000) + "{8+}\r\nc noop\r\n\r\n",
		"a append x {1+}\r\na  {8+}\r\nc noop\r\n\r\n",
	} {
		r := reader(in + "b noop\r\n")
		if _, _, err := r.ReadCommand(); err != nil {
			t.Fatal(err)
		}
		var syntax *SyntaxError
		if _, more, err := r.AppendMessage(); more || !errors.As(err, &syntax) || syntax.Tag != "" {
			t.Errorf("%q: %v, %v", in, more, err)
		}
		if tag, _, err := r.ReadCommand(); tag != "b" || err != nil {
			t.Errorf("%q: then %s, %v", in, tag, err)
		}
	}
	for _, in := range []string{"a append x {5+}\r\nab", "a append x {5+}\r\n"} {
		r := reader(in)
		if _, _, err := r.ReadCommand(); err != nil {
			t.Fatal(err)
		}
		body, _ := r.LiteralBody()
		if _, err := io.ReadAll(body); !errors.Is(err, io.ErrUnexpectedEOF) {
			t.Errorf("%q: %v", in, err)
		}
	}
}

func TestCatenate_RFC4469_5(t *testing.T) {
	in := "a append x (\\Seen) catenate (TEXT {5}\r\nhello url \"/x/;UID=1\" utf8 (~{3+}\r\na\x00c) url {3+}\r\na b) {4+}\r\nnext catenate (url x)\r\nb noop\r\n"
	asked := 0
	r := NewReader(iotest.OneByteReader(strings.NewReader(in)), Limits{}, func() error { asked++; return nil })
	_, cmd, err := r.ReadCommand()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := r.LiteralBody(); err == nil {
		t.Error("a literal before the first part")
	}
	msg, more := cmd.(Append).First, true
	var got []string
	for more {
		for msg.Catenate {
			part, more, err := r.CatenatePart()
			if err != nil {
				t.Fatal(err)
			}
			if !more {
				break
			}
			got = append(got, part.URL)
			if part.URL == "" {
				body, _ := r.LiteralBody()
				octets, _ := io.ReadAll(body)
				got = append(got, string(octets))
			}
		}
		got = append(got, "|")
		if msg, more, err = r.AppendMessage(); err != nil {
			t.Fatal(err)
		}
	}
	if want := ".hello./x/;UID=1..a\x00c.a b.|.|.x.|"; strings.Join(got, ".") != want {
		t.Errorf("%q, want %q", strings.Join(got, "."), want)
	}
	if _, _, err := r.CatenatePart(); err == nil {
		t.Error("a part after the end")
	}
	if tag, _, err := r.ReadCommand(); tag != "b" || err != nil || asked != 1 {
		t.Errorf("%s, %v, asked %d times", tag, err, asked)
	}
}

// Wherever a CATENATE is given up, what is left of it is no command.
func TestCatenateGivenUp(t *testing.T) {
	for _, in := range []string{
		"a append x catenate (text {8+}\r\nc noop\r\n url x text {8+}\r\nc noop\r\n) (a) {8+}\r\nc noop\r\n\r\n",
		"a append x catenate (url x url {8+}\r\nc noop\r\n text {8+}\r\nc noop\r\n)\r\n",
		"a append x catenate (url x) {8+}\r\nc noop\r\n\r\n",
		"a append x catenate (url x text {8}\r\n",
	} {
		for parts := range 5 {
			for name, leave := range map[string]func(*Reader){
				"refused": func(r *Reader) { _ = r.RefuseLiteral() }, "ignored": func(r *Reader) {}, "skipped": func(r *Reader) { _, _, _ = r.AppendMessage() },
			} {
				if strings.Contains(in, "{8}") && (name == "skipped" || parts > 2) {
					continue // that asks for it
				}
				r := reader(in + "b noop\r\n")
				if _, _, err := r.ReadCommand(); err != nil {
					t.Fatal(err)
				}
				for range parts {
					_, _, _ = r.CatenatePart()
				}
				leave(r)
				if tag, _, err := r.ReadCommand(); tag != "b" || err != nil {
					t.Errorf("%q, %s after %d parts: %s, %v", in, name, parts, tag, err)
				}
			}
		}
	}
}
