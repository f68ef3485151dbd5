package message

import (
	"bytes"
	"strings"

	pb "github.com/quorumail/quorumail/proto/quorumail/v1"
)

// field is a header field, unfolded.
type field struct {
	name  string // lower case; empty if what stood there was no field
	value []byte // without the white space around it
}

// parseHeader splits a header into its fields. A line that is none is kept as a
// field without a name, so that what is folded under it is not taken for
// something else.
func parseHeader(raw []byte) []field {
	var fields []field
	for len(raw) > 0 {
		line := raw
		if i := bytes.IndexByte(raw, '\n'); i >= 0 {
			line, raw = raw[:i], raw[i+1:]
		} else {
			raw = nil
		}
		line = bytes.TrimRight(line, "\r")
		switch {
		case len(line) == 0:
		case line[0] != ' ' && line[0] != '\t':
			fields = append(fields, newField(line))
		case len(fields) > 0:
			// Unfolded to one space, however much there was (RFC 5322, 2.2.3).
			f := &fields[len(fields)-1]
			if line = trim(line); f.name != "" && len(line) > 0 {
				if len(f.value) > 0 {
					f.value = append(f.value, ' ')
				}
				f.value = append(f.value, line...)
			}
		}
	}
	return fields
}

func newField(line []byte) field {
	name, value, ok := bytes.Cut(line, []byte{':'})
	name = bytes.TrimRight(name, " \t") // obsolete syntax allows it (RFC 5322, 4.5)
	if !ok || len(name) == 0 || bytes.ContainsAny(name, " \t\r\x00") {
		return field{}
	}
	// The value is copied: what is folded under it is appended.
	return field{strings.ToLower(string(name)), append([]byte{}, trim(value)...)}
}

func trim(b []byte) []byte { return bytes.Trim(b, " \t\r") }

// first returns the value of the first field of a name, nil if there is none.
func first(fields []field, name string) []byte {
	for i := range fields {
		if fields[i].name == name {
			return fields[i].value
		}
	}
	return nil
}

// Fields calls fn with the name, in lower case, and the unfolded value of each
// field of a header, in order. What is no field is passed over.
func Fields(header []byte, fn func(name string, value []byte)) {
	for _, f := range parseHeader(header) {
		if f.name != "" {
			fn(f.name, f.value)
		}
	}
}

// Bounds of what is taken from one MIME field.
const (
	maxParams = 100
	maxWord   = 127 // a type and a subtype together, an encoding (RFC 6838, 4.2)
	maxTags   = 50
)

// encoding parses Content-Transfer-Encoding (RFC 2045, 6.1), into upper case.
func encoding(v []byte) string {
	t := tokens{b: v}
	return word(t.token())
}

// word returns a token in upper case; empty if it is none that could mean
// something.
func word(token []byte) string {
	if len(token) > maxWord {
		return ""
	}
	for _, c := range token {
		if c >= 0x7f {
			return ""
		}
	}
	return strings.ToUpper(string(token))
}

// contentType parses Content-Type (RFC 2045, 5.1) into "TYPE/SUBTYPE" and its
// parameters; it is empty if there is no type that makes sense.
func contentType(v []byte) (value string, params []*pb.Param) {
	raw, params := valueAndParams(v)
	value = word(raw)
	t, sub, ok := strings.Cut(value, "/")
	if !ok || t == "" || sub == "" {
		return "", nil
	}
	return value, params
}

// languages parses Content-Language (RFC 3282).
func languages(v []byte) [][]byte {
	var tags [][]byte
	t := tokens{b: v}
	for len(tags) < maxTags && t.next() != 0 {
		if tag := t.token(); len(tag) > 0 {
			tags = append(tags, tag)
		} else {
			t.i++ // a comma
		}
	}
	return tags
}

// valueAndParams parses "word; name=value; …" (RFC 2045, 5.1), forgiving what
// mailers get wrong: missing quotes, missing semicolons, stray ones. Of a name
// that is given twice the first counts.
func valueAndParams(v []byte) (word []byte, params []*pb.Param) {
	t := tokens{b: v}
	word = t.token()
	if t.next() == '/' {
		t.i++
		word = append(append(append([]byte{}, word...), '/'), t.token()...)
	}
	for len(params) < maxParams && t.next() != 0 {
		name := t.token()
		if len(name) == 0 {
			t.i++ // a semicolon or a stray octet
			continue
		}
		if t.next() != '=' {
			continue
		}
		t.i++
		value := t.value()
		if name = bytes.ToUpper(name); param(params, string(name)) == nil {
			params = append(params, &pb.Param{Name: name, Value: value})
		}
	}
	return word, joinParams(params)
}

// param returns the value of a parameter, whose name is in upper case; nil if
// there is none.
func param(params []*pb.Param, name string) []byte {
	for _, p := range params {
		if string(p.GetName()) == name {
			return p.GetValue()
		}
	}
	return nil
}

// tokens reads the tokens of a structured MIME field.
type tokens struct {
	b []byte
	i int
}

// next skips white space and comments and returns the octet that follows, 0 at
// the end.
func (t *tokens) next() byte {
	depth := 0
	for ; t.i < len(t.b); t.i++ {
		switch c := t.b[t.i]; {
		case c == '(':
			depth++
		case c == ')' && depth > 0:
			depth--
		case c == '\\' && depth > 0:
			t.i++
		case depth > 0 || c == ' ' || c == '\t' || c == '\r' || c == 0:
		default:
			return c
		}
	}
	t.i = len(t.b)
	return 0
}

func (t *tokens) token() []byte {
	t.next()
	start := t.i
	for t.i < len(t.b) && t.b[t.i] > ' ' && strings.IndexByte(`()<>@,;:\"/[]?=`, t.b[t.i]) < 0 {
		t.i++
	}
	return t.b[start:t.i]
}

// value reads a parameter's value: a quoted string, or all up to the next
// semicolon or space.
func (t *tokens) value() []byte {
	if t.next() == '"' {
		v := []byte{}
		for t.i++; t.i < len(t.b) && t.b[t.i] != '"'; t.i++ {
			if t.b[t.i] == '\\' && t.i+1 < len(t.b) {
				t.i++
			}
			v = append(v, t.b[t.i])
		}
		t.i = min(t.i+1, len(t.b))
		return v
	}
	start := t.i
	for t.i < len(t.b) && t.b[t.i] > ' ' && t.b[t.i] != ';' {
		t.i++
	}
	return append([]byte{}, t.b[start:t.i]...)
}
