package search

import (
	"strings"
	"testing"
)

func TestBaseSubject_RFC5256_2_1(t *testing.T) {
	for _, c := range []struct {
		in, base string
		reply    bool
	}{
		{"hello", "hello", false},
		{"", "", false},
		{"  hello \t world\r\n again ", "hello world again", false},
		{"Re: hello", "hello", true},
		{"RE : hello", "hello", true},
		{"re: fw: Fwd: hello", "hello", true},
		{"Re[2]: hello", "hello", true},
		{"Re [2] : hello", "hello", true},
		{"[list] Re: [list] hello", "hello", true},
		{"[list] hello", "hello", false},
		{"[one][two] hello", "hello", false},
		{"[list]", "[list]", false},
		{"[one] [two]", "[two]", false},
		{"Re: [list]", "[list]", true},
		{"hello (fwd)", "hello", true},
		{"hello (FWD) (fwd)  ", "hello", true},
		{"[Fwd: hello]", "hello", true},
		{"[fwd: Re: [list] hello (fwd)]", "hello", true},
		{"[fwd: [fwd: hello]]", "hello", true},
		{"[fwd:]", "", true},
		{"Regarding: hello", "Regarding: hello", false},
		{"Re hello", "Re hello", false},
		{"Re[2] hello", "Re[2] hello", false},
		{"re:", "", true},
		{"(fwd)", "", true},
		{"[unclosed hello", "[unclosed hello", false},
		{"[a[b]] hello", "[a[b]] hello", false},
		{"fwdd: hello", "fwdd: hello", false},
	} {
		base, reply := baseSubject(c.in)
		if base != c.base || reply != c.reply {
			t.Errorf("%q: %q, reply %v; want %q, %v", c.in, base, reply, c.base, c.reply)
		}
	}
	subject, known := decodeWords([]byte("Re: =?utf-8?q?caf=C3=A9?="))
	if got, _ := baseSubject(subject); got != "café" || !known {
		t.Errorf("encoded words: %q", got)
	}
}

func FuzzBaseSubject(f *testing.F) {
	for _, s := range []string{"Re: [x] y (fwd)", "[fwd: [fwd: a]]", "[[[]]]", "re[a]:re[b]: "} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		base, _ := baseSubject(s)
		if len(base) > len(s) || strings.HasPrefix(base, " ") || strings.HasSuffix(base, " ") {
			t.Errorf("%q: %q", s, base)
		}
		if len(s) <= maxSubject {
			// What is left is its own base, unless it is a blob that had to stay.
			if again, _ := baseSubject(base); again != base {
				t.Errorf("%q: %q, and of that %q", s, base, again)
			}
		}
	})
}
