package wire

import (
	"bytes"
	"fmt"
	"strconv"
	"unicode/utf8"
)

// A response as an independent reader sees it: an atom is a string, a string is
// octets, a list a []any.
type atomToken string

// tokenizer reads the tokens that all responses are made of, strictly.
type tokenizer struct {
	in   []byte
	utf8 bool
}

// tokens reads one response up to and with its line end.
func (t *tokenizer) tokens() ([]any, error) {
	list, err := t.list("\r\n", 0)
	return list, err
}

func (t *tokenizer) list(end string, depth int) ([]any, error) {
	list := []any{}
	if depth > 300 {
		return nil, fmt.Errorf("too deep")
	}
	for first := true; ; first = false {
		if bytes.HasPrefix(t.in, []byte(end)) {
			t.in = t.in[len(end):]
			return list, nil
		}
		// Lists, and what follows one, need no space between (as in a multipart).
		if !first && len(t.in) > 0 && t.in[0] != '(' {
			if t.in[0] != ' ' {
				return nil, fmt.Errorf("no space at %.40q", t.in)
			}
			t.in = t.in[1:]
		} else if !first && len(t.in) > 0 {
			if _, ok := list[len(list)-1].([]any); !ok {
				return nil, fmt.Errorf("no space at %.40q", t.in)
			}
		}
		token, err := t.token(depth)
		if err != nil {
			return nil, err
		}
		list = append(list, token)
	}
}

func (t *tokenizer) token(depth int) (any, error) {
	if len(t.in) == 0 {
		return nil, fmt.Errorf("the response ends early")
	}
	switch c := t.in[0]; c {
	case '(':
		t.in = t.in[1:]
		return t.list(")", depth+1)
	case '"':
		return t.quoted()
	case '{', '~':
		return t.literal()
	}
	i := 0
	for i < len(t.in) && t.in[i] > ' ' && t.in[i] < 0x7f && bytes.IndexByte([]byte(`(){"`), t.in[i]) < 0 {
		i++
	}
	if i == 0 {
		return nil, fmt.Errorf("no token at %.40q", t.in)
	}
	a := atomToken(t.in[:i])
	t.in = t.in[i:]
	return a, nil
}

func (t *tokenizer) quoted() (any, error) {
	out := []byte{}
	for i := 1; i < len(t.in); i++ {
		switch c := t.in[i]; {
		case c == '"':
			t.in = t.in[i+1:]
			if !utf8.Valid(out) {
				return nil, fmt.Errorf("%q is not UTF-8", out)
			}
			return out, nil
		case c == '\\':
			if i++; i == len(t.in) || t.in[i] != '"' && t.in[i] != '\\' {
				return nil, fmt.Errorf("bad escape at %.40q", t.in[i:])
			}
			out = append(out, t.in[i])
		case c == 0 || c == '\r' || c == '\n' || c >= 0x80 && !t.utf8:
			return nil, fmt.Errorf("octet %d in a quoted string", c)
		default:
			out = append(out, c)
		}
	}
	return nil, fmt.Errorf("unterminated quoted string")
}

func (t *tokenizer) literal() (any, error) {
	in, binary := bytes.CutPrefix(t.in, []byte("~"))
	head, rest, found := bytes.Cut(in, []byte("}\r\n"))
	if !found || len(head) < 2 || head[0] != '{' {
		return nil, fmt.Errorf("no literal at %.40q", t.in)
	}
	n, err := strconv.Atoi(string(head[1:]))
	if err != nil || n > len(rest) {
		return nil, fmt.Errorf("literal %q of %d octets", head, len(rest))
	}
	out := rest[:n:n]
	t.in = rest[n:]
	if !binary && bytes.IndexByte(out, 0) >= 0 {
		return nil, fmt.Errorf("NUL in a literal")
	}
	return append([]byte{}, out...), nil
}
