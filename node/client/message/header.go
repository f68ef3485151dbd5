package message

import (
	"bytes"
	"strings"

	pb "github.com/quorumail/quorumail/proto/quorumail/v1"
)

// field is a header field, unfolded.
type field struct {
	name  string // lower case
	value []byte // without the white space around it
}

// parseHeader splits a header into fields. Lines that are none are passed over.
func parseHeader(raw []byte) []field {
	var fields []field
	for len(raw) > 0 {
		line := raw
		if i := bytes.IndexByte(raw, '\n'); i >= 0 {
			line, raw = raw[:i+1], raw[i+1:]
		} else {
			raw = nil
		}
		line = bytes.TrimRight(line, "\r\n")
		if len(line) == 0 {
			continue
		}
		if line[0] == ' ' || line[0] == '\t' {
			if n := len(fields); n > 0 {
				f := &fields[n-1]
				f.value = append(append(f.value, ' '), bytes.Trim(line, " \t")...)
			}
			continue
		}
		name, value, ok := bytes.Cut(line, []byte{':'})
		name = bytes.TrimRight(name, " \t")
		if !ok || len(name) == 0 || bytes.ContainsAny(name, " \t") {
			// Not a field: what follows it folded is not one either.
			fields = append(fields, field{})
			continue
		}
		fields = append(fields, field{
			name: strings.ToLower(string(name)), value: append([]byte(nil), bytes.Trim(value, " \t")...),
		})
	}
	return fields
}

// first returns the value of the first field of a name, nil if there is none.
func first(fields []field, name string) []byte {
	for _, f := range fields {
		if f.name == name {
			if f.value == nil {
				return []byte{}
			}
			return bytes.TrimSpace(f.value)
		}
	}
	return nil
}

// describe fills in what a part's header says of it (RFC 2045).
func (s *scanner) describe(n *node) {
	fields := parseHeader(n.header)
	p := n.part
	p.Type, p.Subtype, p.Params = contentType(first(fields, "content-type"))
	if p.Type == "" {
		p.Type, p.Subtype = "TEXT", "PLAIN"
		if n.digest {
			p.Type, p.Subtype = "MESSAGE", "RFC822" // RFC 2046, 5.1.5
		} else {
			p.Params = []*pb.Param{{Name: []byte("CHARSET"), Value: []byte("us-ascii")}}
		}
	}
	n.digest = false
	p.Encoding = "7BIT"
	if enc := encoding(first(fields, "content-transfer-encoding")); enc != "" {
		p.Encoding = enc
	}
	p.Id = first(fields, "content-id")
	p.Description = first(fields, "content-description")
	p.Md5 = first(fields, "content-md5")
	p.Location = first(fields, "content-location")
	if d := first(fields, "content-disposition"); d != nil {
		word, params := valueAndParams(d)
		if len(word) > 0 {
			p.Disposition, p.DispositionParams = word, params
		}
	}
	if l := first(fields, "content-language"); l != nil {
		for _, tag := range bytes.Split(l, []byte{','}) {
			if tag = bytes.TrimSpace(tag); len(tag) > 0 && len(p.Language) < 50 {
				p.Language = append(p.Language, tag)
			}
		}
	}
	// A message inside must be readable as it is (RFC 2046, 5.2.1).
	n.message = p.Type == "MESSAGE" && (p.Subtype == "RFC822" || p.Subtype == "GLOBAL") &&
		(p.Encoding == "7BIT" || p.Encoding == "8BIT" || p.Encoding == "BINARY")
	if p.Type == "MESSAGE" && !n.message && (p.Subtype == "RFC822" || p.Subtype == "GLOBAL") {
		p.Type, p.Subtype = "APPLICATION", "OCTET-STREAM"
	}
}

func encoding(v []byte) string {
	t := tokens{b: v}
	return strings.ToUpper(string(t.token()))
}

// contentType parses Content-Type; the type is empty if there is none that
// makes sense.
func contentType(v []byte) (typ, subtype string, params []*pb.Param) {
	word, params := valueAndParams(v)
	t, sub, ok := bytes.Cut(word, []byte{'/'})
	if !ok || len(t) == 0 || len(sub) == 0 {
		return "", "", nil
	}
	return strings.ToUpper(string(t)), strings.ToUpper(string(sub)), params
}

// maxParams bounds the parameters of a field.
const maxParams = 100

// valueAndParams parses "word; name=value; …" (RFC 2045, 5.1), forgiving what
// mailers get wrong: missing quotes, missing semicolons, stray ones.
func valueAndParams(v []byte) (word []byte, params []*pb.Param) {
	t := tokens{b: v}
	word = t.token()
	if t.next() == '/' {
		t.i++
		word = append(append(append([]byte(nil), word...), '/'), t.token()...)
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
		params = append(params, &pb.Param{Name: bytes.ToUpper(name), Value: t.value()})
	}
	return word, params
}

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
		case depth > 0 || c == ' ' || c == '\t' || c == 0:
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
	for t.i < len(t.b) && t.b[t.i] > ' ' && bytes.IndexByte([]byte(`()<>@,;:\"/[]?=`), t.b[t.i]) < 0 {
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
		if t.i < len(t.b) {
			t.i++
		}
		return v
	}
	start := t.i
	for t.i < len(t.b) && t.b[t.i] > ' ' && t.b[t.i] != ';' {
		t.i++
	}
	return append([]byte{}, t.b[start:t.i]...)
}
