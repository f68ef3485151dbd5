package wire

import (
	"fmt"
	"regexp"
	"strings"
	"testing"
	"time"
	"unicode/utf8"
)

func TestMailboxNames_RFC3501_5_1_3(t *testing.T) {
	for utf7, name := range map[string]string{
		"":                                "",
		"plain":                           "plain",
		"a&-b":                            "a&b",
		"&-&-":                            "&&",
		"~peter/mail/&U,BTFw-/&ZeVnLIqe-": "~peter/mail/台北/日本語",
		"Entw&APw-rfe &- mehr":            "Entwürfe & mehr",
		"&2D3eAA-":                        "😀",
		"&2D3eAAD8-":                      "😀ü",
		"&,,0-":                           "\ufffd",
		"&AAo-":                           "\n",
		"&AH8-":                           "\x7f",
	} {
		if got, err := DecodeMailbox(utf7); got != name || err != nil {
			t.Errorf("decode %q: %q, %v", utf7, got, err)
		}
		if got := EncodeMailbox(name); got != utf7 {
			t.Errorf("encode %q: %q", name, got)
		}
	}
	for _, bad := range []string{"&", "&APw", "&AGEAYg-", "&2D0-", "&2D3YPQ-", "&3gA-", "&APx-", "&AP-", "&A-", "&APw=-", "&U/BTFw-", "&AP w-", "&AP\r\nw-", "&&-", "&APw-&APw-", "&U,BTFw-&ZeVnLIqe-"} {
		if got, err := DecodeMailbox(bad); err == nil {
			t.Errorf("decode %q: %q", bad, got)
		}
	}
}

func TestCanonicalMailbox_RFC9051_5_1(t *testing.T) {
	for in, want := range map[string]string{
		"inbox": "INBOX", "InBox/a": "INBOX/a", "inboxes": "inboxes", "a/inbox": "a/inbox", "inbo": "inbo", "inbox/inbox": "INBOX/inbox", "a\u0308": "ä",
	} {
		if got := CanonicalMailbox(in); got != want {
			t.Errorf("%q: %q, want %q", in, got, want)
		}
	}
}

func TestMatchPattern_RFC9051_6_3_9(t *testing.T) {
	for _, c := range []struct {
		pattern, name string
		want          bool
	}{
		{"", "", true}, {"", "a", false}, {"*", "", true}, {"%", "", true}, {"*", "a/b", true}, {"%", "a/b", false}, {"%", "a", true},
		{"a/%", "a/b", true}, {"a/%", "a/b/c", false}, {"a/%/c", "a/b/c", true}, {"%/%", "a/b", true}, {"*/%", "a/b/c", true}, {"a%*", "a/b", true},
		{"*%", "a/b", true}, {"%*c", "a/b/c", true}, {"a**b", "ab", true}, {"*a*a*a", "aaa", true}, {"*a*a*a", "aa", false}, {"A", "a", false},
		{"*", "*", true}, {"%%", "%", true}, {"ü%", "üb", true},
		{"inbox", "INBOX", true}, {"InB%", "INBOX", true}, {"inbox/*", "INBOX/a", true}, {"inbox/A", "INBOX/a", false}, {"*x", "INBOX", true},
		{"inboxes", "inboxes", true}, {"INBOXes", "inboxes", false}, {"a/inbox", "a/INBOX", false},
	} {
		if got := MatchPattern(c.pattern, c.name); got != c.want {
			t.Errorf("MatchPattern(%q, %q) = %v", c.pattern, c.name, got)
		}
	}
}

// Patterns that make a matcher that goes back run for ever.
func TestMatchPatternIsNotExponential(t *testing.T) {
	start := time.Now()
	if MatchPattern(strings.Repeat("*a%a", 500)+"b", strings.Repeat("a/", 1000)) {
		t.Error("it matches")
	}
	if took := time.Since(start); took > 5*time.Second {
		t.Errorf("it took %v", took)
	}
}

func FuzzMailboxName(f *testing.F) {
	for _, s := range []string{"Entw&APw-rfe", "a&-b", "&2D3eAA-", "&APw-&APw-", "&AP", "INBOX/&ZeVnLIqe-", "&,,0-"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		// Any name comes back from its encoding, which is ASCII, one form only.
		if utf8.ValidString(s) {
			encoded := EncodeMailbox(s)
			if back, err := DecodeMailbox(encoded); err != nil || back != s {
				t.Fatalf("%q: %q, then %q, %v", s, encoded, back, err)
			}
			if strings.IndexFunc(encoded, func(r rune) bool { return r < ' ' || r > '~' }) >= 0 {
				t.Fatalf("%q: %q", s, encoded)
			}
		}
		name, err := DecodeMailbox(s)
		if err != nil || !utf8.ValidString(name) {
			return
		}
		if len(name) > 3*len(s) {
			t.Fatalf("%q grew to %q", s, name)
		}
		canonical := CanonicalMailbox(name)
		if CanonicalMailbox(canonical) != canonical {
			t.Fatalf("%q: %q, then %q", name, canonical, CanonicalMailbox(canonical))
		}
	})
}

func FuzzMatchPattern(f *testing.F) {
	f.Add("a/%", "a/b")
	f.Add("*b%", "a/b")
	f.Add("inb%/*", "INBOX/x")
	f.Fuzz(func(t *testing.T, pattern, name string) {
		if len(pattern) > 100 || len(name) > 100 {
			return
		}
		var expr strings.Builder
		for i := 0; i < len(pattern); i++ {
			switch pattern[i] {
			case '*':
				expr.WriteString("(?s:.*)")
			case '%':
				expr.WriteString("[^/]*")
			default:
				expr.WriteString(fmt.Sprintf(`\x{%02x}`, pattern[i]))
			}
		}
		match := regexp.MustCompile("^" + expr.String() + "$").MatchString
		want := match(latin(name))
		if name == "INBOX" || strings.HasPrefix(name, "INBOX/") {
			// Any of its spellings may match.
			for n := range 32 {
				spelling := []byte(name)
				for bit := range 5 {
					if n&(1<<bit) != 0 {
						spelling[bit] |= 0x20
					}
				}
				want = want || match(latin(string(spelling)))
			}
		}
		if got := MatchPattern(pattern, name); got != want {
			t.Fatalf("MatchPattern(%q, %q) = %v", pattern, name, got)
		}
	})
}

// latin makes octets characters, so that an expression sees them one by one.
func latin(s string) string {
	r := make([]rune, len(s))
	for i := 0; i < len(s); i++ {
		r[i] = rune(s[i])
	}
	return string(r)
}

func TestPatternReaches(t *testing.T) {
	const prefix = "Other Users/bob/"
	for pattern, want := range map[string]bool{
		"*": true, "%": false, "%/%/%": true, "%/%": false, "Other*": true, "Other Users/*": true, "Other Users/%": false,
		"Other Users/bob/INBOX": true, "Other Users/bob/%": true, "Other Users/b%/x": true, "Other Users/carol/*": false, "INBOX": false, "": false,
	} {
		if got := PatternReaches(pattern, prefix); got != want {
			t.Errorf("%q: %v", pattern, got)
		}
	}
}
