package wire

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/quorumail/quorumail/proto/imapnum"
)

// Writer prints responses. It buffers; nothing is sent before Flush or a full
// buffer, and then a slow client holds up the caller, who is the only one to
// print. The first error of the connection sticks and is returned by Flush and
// Err; what is printed after it is dropped.
//
// Whole responses have methods of their own ([Writer.List], [Writer.Fetch] and
// so on). Others are put together from elements: Raw for what the program itself
// says, and for everything that comes from elsewhere a method that prints it in
// a form that it cannot break out of. Those return the Writer, so that they can
// be chained.
type Writer struct {
	out  output
	utf8 bool
}

// NewWriter returns a Writer to w.
func NewWriter(w io.Writer) *Writer { return &Writer{out: output{dst: w}} }

// Reset makes the Writer write to another connection, as after STARTTLS. What
// has not been flushed and an earlier error are forgotten.
func (w *Writer) Reset(dst io.Writer) { w.out = output{dst: dst} }

// SetUTF8 says that the client takes UTF-8 in quoted strings and mailbox names
// (IMAP4rev2 or UTF8=ACCEPT enabled).
func (w *Writer) SetUTF8(on bool) { w.utf8 = on }

// Flush sends what has been printed and returns the first error.
func (w *Writer) Flush() error { return w.out.flush() }

// Err returns the first error.
func (w *Writer) Err() error { return w.out.err }

// fail breaks the connection off.
func (w *Writer) fail(err error) {
	if w.out.err == nil {
		w.out.err = err
	}
}

// Raw prints parts as they are: strings, numbers and byte slices that are the
// program's own words.
func (w *Writer) Raw(parts ...any) *Writer {
	var scratch [20]byte
	for _, p := range parts {
		switch p := p.(type) {
		case string:
			w.out.writeString(p)
		case []byte:
			w.out.write(p)
		case uint32:
			w.out.write(strconv.AppendUint(scratch[:0], uint64(p), 10))
		case imapnum.SeqNum:
			w.out.write(strconv.AppendUint(scratch[:0], uint64(p), 10))
		case imapnum.UID:
			w.out.write(strconv.AppendUint(scratch[:0], uint64(p), 10))
		case uint64:
			w.out.write(strconv.AppendUint(scratch[:0], p, 10))
		case int:
			w.out.write(strconv.AppendInt(scratch[:0], int64(p), 10))
		default:
			w.out.writeString(fmt.Sprint(p))
		}
	}
	return w
}

// Bytes prints octets that are the program's own words.
func (w *Writer) Bytes(b []byte) { w.out.write(b) }

// CRLF ends a response.
func (w *Writer) CRLF() { w.out.writeString("\r\n") }

// Untagged prints a whole untagged response of the program's own words.
func (w *Writer) Untagged(parts ...any) { w.Raw("* ").Raw(parts...).CRLF() }

// Status prints a status response: a tag or "*", OK, NO, BAD or BYE, a response
// code without brackets if there is one, and a text for people (RFC 9051, 7.1).
func (w *Writer) Status(tag, status, code, text string) {
	w.Raw(tag, " ", status, " ")
	text = printable(text)
	text = text[:min(len(text), maxText)]
	switch {
	case code != "":
		w.Raw("[", printable(code), "] ")
	case text[0] == '[':
		text = "(" + text[1:] // no code was meant
	}
	w.Raw(text).CRLF()
}

// maxText bounds the text of a status response. Codes may be longer: sets of
// UIDs are part of some.
const maxText = 500

// printable makes a text fit for a line: what comes from elsewhere, as an error
// message, must not end it.
func printable(s string) string {
	if s == "" {
		return "."
	}
	if strings.IndexFunc(s, func(r rune) bool { return r < ' ' || r >= 0x7f }) < 0 {
		return s
	}
	b := []byte(s)
	for i, c := range b {
		if c < ' ' || c >= 0x7f {
			b[i] = '?'
		}
	}
	return string(b)
}

// Continue asks the client to go on (RFC 9051, 7.6). The text may be empty, or
// base64 in a SASL exchange.
func (w *Writer) Continue(text string) {
	if text != "" {
		text = printable(text)
	}
	w.Raw("+ ", text, "\r\n")
}

// What octets do to a string that is to be quoted.
const (
	unquotable  = 1 << iota // it must be a literal
	escaped                 // it needs a backslash
	beyondASCII             // it may be quoted if it is UTF-8 and that is enabled
)

var octetClass = func() (class [256]byte) {
	class[0], class['\r'], class['\n'] = unquotable, unquotable, unquotable
	class['"'], class['\\'] = escaped, escaped
	for c := 0x80; c < 0x100; c++ {
		class[c] = beyondASCII
	}
	return class
}()

// maxQuoted is the longest string that is quoted: clients have bounds for lines.
const maxQuoted = 1000

// quotable reports whether octets can be printed as a quoted string, and whether as
// they are.
func (w *Writer) quotable(b []byte) (ok, plain bool) {
	if len(b) > maxQuoted {
		return false, false
	}
	if allOrdinary(b) {
		return true, true
	}
	var class byte
	for _, c := range b {
		class |= octetClass[c]
	}
	ok = class&unquotable == 0 && (class&beyondASCII == 0 || w.utf8 && utf8.Valid(b))
	return ok, class&escaped == 0
}

// allOrdinary reports whether all octets are of those that a quoted string has as they
// are: ASCII, no control characters, neither quote nor backslash. Most strings are of
// nothing else, so that eight octets are looked at in one go. It may say no of octets
// that need not be quoted, too few, or control characters.
func allOrdinary(b []byte) bool {
	if len(b) < 8 {
		return false
	}
	// Whatever is special sets the highest bit of its octet, and, if that borrows, bits
	// above, which does not matter then.
	const each = 0x0101010101010101
	special := func(x uint64) uint64 {
		return x | (x - ' '*each) | ((x ^ '"'*each) - each) | ((x ^ '\\'*each) - each)
	}
	found := special(binary.LittleEndian.Uint64(b[len(b)-8:]))
	for len(b) >= 8 {
		found |= special(binary.LittleEndian.Uint64(b))
		b = b[8:]
	}
	return found&(0x80*each) == 0
}

// String prints a string: quoted if it can be, else as a literal.
func (w *Writer) String(s string) *Writer { return w.Octets([]byte(s)) }

// Octets does the same for octets. NUL, which no string can hold (RFC 9051, 9,
// CHAR8), is printed as 0x80.
func (w *Writer) Octets(b []byte) *Writer {
	if dst := w.out.ahead(2*len(b) + literalHead); dst != nil {
		w.out.used(w.appendOctets(dst, b))
		return w
	}
	// So long, it is no quoted string.
	w.Raw("{", len(b), "}\r\n")
	if bytes.IndexByte(b, 0) >= 0 {
		b = bytes.ReplaceAll(b, []byte{0}, []byte{0x80})
	}
	w.out.write(b)
	return w
}

// literalHead bounds what stands around the octets of a string.
const literalHead = 24

// appendOctets appends a string: at most twice its octets and literalHead.
func (w *Writer) appendOctets(dst, b []byte) []byte {
	ok, plain := w.quotable(b)
	if !ok {
		dst = strconv.AppendInt(append(dst, '{'), int64(len(b)), 10)
		dst = append(append(dst, "}\r\n"...), b...)
		if literal := dst[len(dst)-len(b):]; bytes.IndexByte(literal, 0) >= 0 {
			for i, c := range literal {
				if c == 0 {
					literal[i] = 0x80
				}
			}
		}
		return dst
	}
	dst = append(dst, '"')
	from := 0
	if plain {
		return append(append(dst, b...), '"')
	}
	for i, c := range b {
		if c == '"' || c == '\\' {
			dst = append(append(dst, b[from:i]...), '\\')
			from = i
		}
	}
	return append(append(dst, b[from:]...), '"')
}

// appendNString appends NIL for nil, else a string.
func (w *Writer) appendNString(dst, b []byte) []byte {
	if b == nil {
		return append(dst, "NIL"...)
	}
	return w.appendOctets(dst, b)
}

// NString prints NIL for nil, else a string.
func (w *Writer) NString(b []byte) *Writer {
	if b == nil {
		w.out.writeString("NIL")
		return w
	}
	return w.Octets(b)
}

// Mailbox prints a mailbox name as the session spells them: as an atom if it can
// be one.
func (w *Writer) Mailbox(name string) *Writer {
	if !w.utf8 {
		name = EncodeMailbox(name)
	}
	return w.Astring(name)
}

// Astring prints an atom or a string.
func (w *Writer) Astring(s string) *Writer {
	if isAtom(s) {
		return w.Raw(s)
	}
	return w.String(s)
}

// isAtom reports whether s can be printed as an astring without quotes. NIL is
// left to the quotes: some clients read it as such (RFC 9051, 4.5).
func isAtom(s string) bool {
	if s == "" || len(s) > 200 || strings.EqualFold(s, "NIL") {
		return false
	}
	for i := 0; i < len(s); i++ {
		if !isAtomChar(s[i]) {
			return false
		}
	}
	return true
}

// Flags prints a list of flags, which are atoms, with a backslash before those
// that IMAP defines (RFC 9051, 9, flag-perm). What is neither would break the
// line and is left out.
func (w *Writer) Flags(flags []string) *Writer {
	sep := ""
	w.Raw("(")
	for _, f := range flags {
		if !isFlag(f) {
			continue
		}
		w.Raw(sep, f)
		sep = " "
	}
	return w.Raw(")")
}

func isFlag(f string) bool {
	name, system := strings.CutPrefix(f, `\`)
	if name == "" || system && name == "*" {
		return name != ""
	}
	for i := 0; i < len(name); i++ {
		if !isAtomChar(name[i]) {
			return false
		}
	}
	return true
}

// DateTime prints a date-time in quotes (RFC 9051, 9). Years that it has no form
// for become the nearest that it has.
func (w *Writer) DateTime(t time.Time) *Writer {
	if y := t.Year(); y < 0 || y > 9999 {
		t = time.Date(min(max(y, 0), 9999), time.January, 1, 0, 0, 0, 0, time.UTC)
	}
	return w.Raw(`"`, t.Format("_2-Jan-2006 15:04:05 -0700"), `"`)
}
