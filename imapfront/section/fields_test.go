package section

import (
	"bytes"
	"errors"
	"strings"
	"testing"
)

func TestFields_RFC9051_6_4_5_1(t *testing.T) {
	h := "From: a\r\nSUBJECT : x\r\n folded\r\n\tagain\nnonsense\r\n more\r\nTo: b\nX: y\r\n\r\nTo: body"
	for _, c := range []struct {
		header, names string
		not           bool
		want          string
	}{
		{h, "to subject", false, "SUBJECT : x\r\n folded\r\n\tagain\r\nTo: b\r\n\r\n"},
		{h, "to subject", true, "From: a\r\nX: y\r\n\r\n"},
		{h, "none", false, "\r\n"},
		{h, "", true, "From: a\r\nSUBJECT : x\r\n folded\r\n\tagain\r\nTo: b\r\nX: y\r\n\r\n"},
		{"", "a", true, ""},
		{"A: 1", "a", false, "A: 1\r\n"},
		{"A: 1\r", "a", false, "A: 1\r\n"},
		{"A: 1\r\n", "a", false, "A: 1\r\n"},
		{" orphan\r\nA: 1\r\n", "x", true, "A: 1\r\n"},
		{"A: 1\rstill\r\nA: 2\r\r\nB: 3\r\n", "a", false, "A: 1\rstill\r\nA: 2\r\n"},
		{"A: 1\r\r\n\r\r\nA: 2", "a", false, "A: 1\r\n\r\n"},
		{"A:\r\nAB: 1\r\nB A: 1\r\n", "a", false, "A:\r\n"},
		{"\u212a: kelvin\r\nK: 1\r\n", "k", false, "K: 1\r\n"}, // ASCII only
		{": empty\r\nA: 1\r\n", "a", true, ": empty\r\n"},
		{strings.Repeat("a", 999) + ": 1\r\nA: 1\r\n", "x", true, "A: 1\r\n"},
	} {
		if got := string(Fields([]byte(c.header), strings.Fields(c.names), c.not)); got != c.want {
			t.Errorf("%.60q, %s, %v: %q, want %q", c.header, c.names, c.not, got, c.want)
		}
	}
}

type failing struct{ err error }

func (f failing) Write([]byte) (int, error) { return 0, f.err }

func TestFieldFilterFails(t *testing.T) {
	cause := errors.New("gone")
	f := NewFieldFilter(failing{cause}, []string{"a"}, false)
	if n, err := f.Write([]byte("B: 1\r\n")); n != 6 || err != nil {
		t.Errorf("%d, %v", n, err)
	}
	if _, err := f.Write([]byte("A: 1\r\n")); !errors.Is(err, cause) {
		t.Errorf("%v", err)
	}
	if err := f.Close(); !errors.Is(err, cause) {
		t.Errorf("%v", err)
	}
}

// naive does what FieldFilter does, with the whole header at hand.
func naive(header []byte, names []string, not bool) []byte {
	var out []byte
	keep := false
	for _, line := range bytes.SplitAfter(header, []byte("\n")) {
		ended := bytes.HasSuffix(line, []byte("\n"))
		if line = bytes.TrimRight(line, "\r\n"); len(line) == 0 {
			if ended {
				return append(out, '\r', '\n')
			}
			continue
		}
		if line[0] != ' ' && line[0] != '\t' {
			name, _, found := bytes.Cut(line, []byte(":"))
			wanted := false
			for _, n := range names {
				wanted = wanted || lower([]byte(n)) == lower(bytes.TrimRight(name, " \t"))
			}
			keep = found && wanted != not && len(name) <= maxName
		}
		if keep {
			out = append(append(out, line...), '\r', '\n')
		}
	}
	return out
}

func FuzzHeaderFields(f *testing.F) {
	f.Add([]byte("From: a\r\nSUBJECT : x\r\n folded\r\nnonsense\r\n\r\nbody"), "subject", "from", true, uint8(3))
	f.Add([]byte("A: 1\rstill\r\nA: 2\r\r\n\nB: 3"), "a", "", false, uint8(1))
	f.Add([]byte(strings.Repeat("x", 1200)+":"), "a", "", true, uint8(7))
	f.Fuzz(func(t *testing.T, header []byte, a, b string, not bool, size uint8) {
		names := []string{a, b}
		want := naive(header, names, not)
		var out bytes.Buffer
		filter := NewFieldFilter(&out, names, not)
		for rest := header; len(rest) > 0; {
			n := min(int(size)+1, len(rest))
			if _, err := filter.Write(rest[:n]); err != nil {
				t.Fatal(err)
			}
			rest = rest[n:]
		}
		if err := filter.Close(); err != nil || !bytes.Equal(out.Bytes(), want) {
			t.Fatalf("%q: %q, want %q, %v", header, out.Bytes(), want, err)
		}
		// What has been picked is picked whole again.
		if again := Fields(want, names, not); !bytes.Equal(again, want) {
			t.Fatalf("%q, picked again: %q", want, again)
		}
		if cap(filter.name) > 2*(maxName+1)+64 {
			t.Fatalf("a name of %d octets is held", cap(filter.name))
		}
	})
}
