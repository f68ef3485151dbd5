package message

import (
	"bytes"
	"io"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/emersion/go-message/charset"

	pb "github.com/quorumail/quorumail/proto/quorumail/v1"
)

// joinParams joins what RFC 2231 has split or encoded, as RFC 9051, 7.5.2 has it:
// FOO*0 and FOO*1 become FOO; where a charset is named, as in FOO*0* or FOO*,
// they become FOO* in UTF-8. What does not fit together stays as it is.
func joinParams(params []*pb.Param) []*pb.Param {
	if !hasSections(params) {
		return params
	}
	var joined []*pb.Param
	done := make(map[string]bool) // parameters that have been joined
	for _, p := range params {
		base, _, _ := strings.Cut(string(p.GetName()), "*")
		switch {
		case done[base] && len(base) < len(p.GetName()):
		case len(base) == len(p.GetName()):
			joined = append(joined, p)
		default:
			if whole := joinParam(params, base); whole != nil {
				done[base] = true
				p = whole
			}
			joined = append(joined, p)
		}
	}
	return joined
}

func hasSections(params []*pb.Param) bool {
	for _, p := range params {
		if bytes.IndexByte(p.GetName(), '*') >= 0 {
			return true
		}
	}
	return false
}

// joinParam returns the parameter that the sections of a name make; nil if they
// make none.
func joinParam(params []*pb.Param, base string) *pb.Param {
	if v := param(params, base+"*"); v != nil {
		text, ok := fromCharset(v, nil)
		if !ok {
			return nil
		}
		return &pb.Param{Name: []byte(base + "*"), Value: text}
	}
	// The sections are 0, 1 and so on; each is encoded or not. Only the first
	// names the charset.
	first := param(params, base+"*0*")
	encoded := first != nil
	if first == nil {
		first = param(params, base+"*0")
	}
	if first == nil {
		return nil
	}
	var rest []byte
	for n := 1; ; n++ {
		name := base + "*" + strconv.Itoa(n)
		if v := param(params, name+"*"); v != nil && encoded {
			rest = append(rest, unescape(v)...)
		} else if v := param(params, name); v != nil {
			rest = append(rest, v...)
		} else {
			break
		}
	}
	if !encoded {
		return &pb.Param{Name: []byte(base), Value: append(bytes.Clone(first), rest...)}
	}
	text, ok := fromCharset(first, rest)
	if !ok {
		return nil
	}
	return &pb.Param{Name: []byte(base + "*"), Value: text}
}

// fromCharset takes a value that begins with a charset and a language, each
// followed by "'", and more that follows it and is no longer escaped, to UTF-8.
func fromCharset(v, more []byte) ([]byte, bool) {
	name, v, ok := bytes.Cut(v, []byte{'\''})
	_, v, ok2 := bytes.Cut(v, []byte{'\''})
	if !ok || !ok2 {
		return nil, false
	}
	raw := append(unescape(v), more...)
	switch strings.ToUpper(string(name)) {
	case "", "UTF-8", "US-ASCII":
		return raw, utf8.Valid(raw)
	}
	r, err := charset.Reader(string(name), bytes.NewReader(raw))
	if err != nil {
		return nil, false
	}
	text, err := io.ReadAll(r)
	return text, err == nil && utf8.Valid(text)
}

// unescape replaces %XX by the octet; other percent signs stay.
func unescape(v []byte) []byte {
	out := make([]byte, 0, len(v))
	for i := 0; i < len(v); i++ {
		if v[i] == '%' && i+2 < len(v) {
			if n, err := strconv.ParseUint(string(v[i+1:i+3]), 16, 8); err == nil {
				out = append(out, byte(n))
				i += 2
				continue
			}
		}
		out = append(out, v[i])
	}
	return out
}
