package wire

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"strconv"
	"time"
	"unicode/utf8"
)

// Writer prints responses. It buffers; nothing is sent before Flush or a full
// buffer. The first error of the connection sticks and is returned by Flush;
// what is printed after it is dropped.
//
// Responses are put together from elements: Raw for what the program itself
// says, and for everything that comes from elsewhere a method that prints it in
// a form that it cannot break out of.
type Writer struct {
	bw   *bufio.Writer
	utf8 bool
	err  error
}

// NewWriter returns a Writer to w.
func NewWriter(w io.Writer) *Writer { return &Writer{bw: bufio.NewWriterSize(w, bufferSize)} }

// Reset makes the Writer write to another connection, as after STARTTLS.
func (w *Writer) Reset(dst io.Writer) { w.bw.Reset(dst) }

// SetUTF8 says that the client takes UTF-8 in quoted strings and mailbox names
// (IMAP4rev2 or UTF8=ACCEPT enabled).
func (w *Writer) SetUTF8(on bool) { w.utf8 = on }

// Flush sends what has been printed and returns the first error.
func (w *Writer) Flush() error {
	if w.err == nil {
		w.err = w.bw.Flush()
	}
	return w.err
}

// Err returns the first error.
func (w *Writer) Err() error { return w.err }

// Raw prints parts as they are: strings, numbers and byte slices that are the
// program's own words.
func (w *Writer) Raw(parts ...any) *Writer {
	for _, p := range parts {
		if w.err != nil {
			return w
		}
		switch p := p.(type) {
		case string:
			_, w.err = w.bw.WriteString(p)
		case []byte:
			_, w.err = w.bw.Write(p)
		default:
			_, w.err = fmt.Fprint(w.bw, p)
		}
	}
	return w
}

// CRLF ends a response.
func (w *Writer) CRLF() { w.Raw("\r\n") }

// Untagged prints a whole untagged response of the program's own words.
func (w *Writer) Untagged(parts ...any) { w.Raw("* ").Raw(parts...).CRLF() }

// Status prints a status response: a tag or "*", OK, NO, BAD or BYE, a response
// code without brackets if there is one, and a text for people.
func (w *Writer) Status(tag, status, code, text string) {
	w.Raw(tag, " ", status, " ")
	if code != "" {
		w.Raw("[", code, "] ")
	}
	w.Raw(printable(text)).CRLF()
}

// printable makes a text fit for a line: what comes from elsewhere, as an error
// message, must not end it.
func printable(s string) string {
	b := []byte(s)
	for i, c := range b {
		if c < ' ' || c >= 0x7f {
			b[i] = '?'
		}
	}
	if len(b) == 0 {
		return "."
	}
	return string(b[:min(len(b), 500)])
}

// Continue asks the client to go on.
func (w *Writer) Continue(text string) { w.Raw("+ ", printable(text), "\r\n") }

// quotable reports whether octets can be printed as a quoted string.
func (w *Writer) quotable(b []byte) bool {
	if len(b) > 1000 {
		return false
	}
	ascii := true
	for _, c := range b {
		if c == 0 || c == '\r' || c == '\n' {
			return false
		}
		ascii = ascii && c < 0x80
	}
	return ascii || w.utf8 && utf8.Valid(b)
}

// String prints a string: quoted if it can be, else as a literal.
func (w *Writer) String(s string) *Writer { return w.Octets([]byte(s)) }

// Octets does the same for octets. NUL, which no string can hold (RFC 9051, 9,
// CHAR8), is printed as 0x80.
func (w *Writer) Octets(b []byte) *Writer {
	if !w.quotable(b) {
		if bytes.IndexByte(b, 0) >= 0 {
			b = bytes.ReplaceAll(b, []byte{0}, []byte{0x80})
		}
		return w.Raw("{", len(b), "}\r\n", b)
	}
	w.Raw(`"`)
	for len(b) > 0 {
		i := bytes.IndexAny(b, `"\`)
		if i < 0 {
			break
		}
		w.Raw(b[:i], `\`, b[i:i+1])
		b = b[i+1:]
	}
	return w.Raw(b, `"`)
}

// NString prints NIL for nil, else a string.
func (w *Writer) NString(b []byte) *Writer {
	if b == nil {
		return w.Raw("NIL")
	}
	return w.Octets(b)
}

// Mailbox prints a mailbox name as the session spells them: as an atom if it can
// be one.
func (w *Writer) Mailbox(name string) *Writer {
	if !w.utf8 {
		name = EncodeMailbox(name)
	}
	if isAtom(name) {
		return w.Raw(name)
	}
	return w.String(name)
}

// isAtom reports whether s can be printed as an astring without quotes. NIL is
// left to the quotes: some clients read it as such.
func isAtom(s string) bool {
	if s == "" || len(s) > 200 || s == "NIL" || s == "nil" {
		return false
	}
	for i := 0; i < len(s); i++ {
		if !isAtomChar(s[i]) {
			return false
		}
	}
	return true
}

// Astring prints an atom or a string.
func (w *Writer) Astring(s string) *Writer {
	if isAtom(s) {
		return w.Raw(s)
	}
	return w.String(s)
}

// Flags prints a list of flags, which are atoms or begin with a backslash.
func (w *Writer) Flags(flags []string) *Writer {
	w.Raw("(")
	for i, f := range flags {
		if i > 0 {
			w.Raw(" ")
		}
		w.Raw(f)
	}
	return w.Raw(")")
}

// Literal prints a literal of size octets that are read from r. Fewer octets
// than announced break the connection: the client could not tell data from
// responses any more. With binary it is a literal8 (RFC 3516).
func (w *Writer) Literal(size uint64, r io.Reader, binary bool) *Writer {
	if binary {
		w.Raw("~")
	}
	w.Raw("{", strconv.FormatUint(size, 10), "}\r\n")
	if w.err != nil {
		return w
	}
	n, err := io.CopyN(w.bw, r, int64(size))
	if err != nil && w.err == nil {
		w.err = fmt.Errorf("wire: literal of %d octets broken off after %d: %w", size, n, err)
	}
	return w
}

// DateTime prints a date-time in quotes (RFC 9051, 9).
func (w *Writer) DateTime(t time.Time) *Writer {
	return w.Raw(`"`, t.Format("_2-Jan-2006 15:04:05 -0700"), `"`)
}
