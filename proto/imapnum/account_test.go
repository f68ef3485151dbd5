package imapnum

import (
	"strings"
	"testing"
	"unicode/utf8"
)

func TestAccountName(t *testing.T) {
	for in, want := range map[string]string{
		"Alice@Example.ORG":      "alice@example.org",
		"bob":                    "bob",
		"u\u0308ber@x":           "\u00fcber@x",
		"":                       "",
		"a b":                    "",
		"a\x00b":                 "",
		"a/b":                    "",
		"\xff":                   "",
		strings.Repeat("a", 256): "",
	} {
		got, err := AccountName(in)
		if got != want || (err == nil) != (want != "") {
			t.Errorf("AccountName(%q) = %q, %v; want %q", in, got, err, want)
		}
	}
}

func FuzzAccountName(f *testing.F) {
	f.Add("Alice@Example.org")
	f.Fuzz(func(t *testing.T, in string) {
		name, err := AccountName(in)
		if err != nil {
			return
		}
		again, err := AccountName(name)
		if err != nil || again != name || !utf8.ValidString(name) || len(name) > MaxAccountName {
			t.Fatalf("AccountName(%q) = %q, and of that %q, %v", in, name, again, err)
		}
	})
}

// The slot is part of every key: this test fails if the hash ever changes.
func TestSlotOfIsFixed(t *testing.T) {
	for name, want := range map[string]Slot{"alice@example.org": 8852, "bob@example.org": 7960} {
		if got := SlotOf(name); got != want {
			t.Errorf("SlotOf(%q) = %d, want %d", name, got, want)
		}
	}
}

func TestSystemFlags(t *testing.T) {
	f, ok := ParseSystemFlag(`\SEEN`)
	if !ok || f != FlagSeen {
		t.Fatalf("ParseSystemFlag = %v, %v", f, ok)
	}
	if _, ok := ParseSystemFlag(`\Recent`); ok {
		t.Fatal(`\Recent can be stored`)
	}
	if got := (FlagSeen | FlagDraft).Names(); strings.Join(got, " ") != `\Seen \Draft` {
		t.Fatalf("Names() = %v", got)
	}
}
