package wire

import (
	"reflect"
	"strings"
	"testing"
	"unicode/utf8"
)

func TestMessageURL_RFC5092_7(t *testing.T) {
	all := func(p *Partial) *Section { return &Section{Label: "BODY", Peek: true, Partial: p} }
	part := func(specifier string, part ...uint32) *Section {
		return &Section{Label: "BODY", Peek: true, Part: part, Specifier: specifier}
	}
	toEnd := uint64(1<<63 - 1)
	for url, want := range map[string]MessageURL{
		"/Drafts;UIDVALIDITY=385759045/;UID=20/;section=HEADER":   {"Drafts", 385759045, 20, part("HEADER")},
		"/Drafts/;uid=20/;SECTION=1.MIME":                         {"Drafts", 0, 20, part("MIME", 1)},
		"/INBOX;UIDVALIDITY=785799047/;UID=113330/;section=1.5.9": {"INBOX", 785799047, 113330, part("", 1, 5, 9)},
		"/inbox/;UID=1":                           {"INBOX", 0, 1, all(nil)},
		"/inbox/;UID=1/":                          {"INBOX", 0, 1, all(nil)},
		"/a/b%20c/;UID=4294967295":                {"a/b c", 0, 4294967295, all(nil)},
		"/a%2Fb/;UID=1":                           {"a/b", 0, 1, all(nil)},
		"/gray%20c%C3%A9/;UID=1":                  {"gray cé", 0, 1, all(nil)},
		"/e%CC%81/;UID=1":                         {"é", 0, 1, all(nil)}, // NFC
		"/~peter&co=x!$'()*+,:@/;UID=1":           {"~peter&co=x!$'()*+,:@", 0, 1, all(nil)},
		"/a;UID%3D1/;UID=1":                       {},
		"/x/;UID=1/;PARTIAL=5":                    {"x", 0, 1, all(&Partial{5, toEnd})},
		"/x/;UID=1/;SECTION=TEXT/;PARTIAL=0.1024": {"x", 0, 1, &Section{Label: "BODY", Peek: true, Specifier: "TEXT", Partial: &Partial{0, 1024}}},
		"/x/;UID=1/;SECTION=2.HEADER.FIELDS%20(To%20%22x%22)": {"x", 0, 1, &Section{
			Label: "BODY", Peek: true, Part: []uint32{2}, Specifier: "HEADER.FIELDS", Fields: []string{"To", "x"}}},
		// Relative to the selected mailbox.
		";UID=7":                   {"sel/ected", 0, 7, all(nil)},
		";uid=7/;section=1":        {"sel/ected", 0, 7, part("", 1)},
		"other/;UID=7":             {"sel/other", 0, 7, all(nil)},
		"a/b;UIDVALIDITY=1/;UID=7": {"sel/a/b", 1, 7, all(nil)},
	} {
		got, err := ParseMessageURL(url, "sel/ected")
		if (err != nil) != (want.UID == 0) || err == nil && !reflect.DeepEqual(got, want) {
			t.Errorf("%s: %+v (%+v), %v, want %+v", url, got, got.Section, err, want)
		}
	}
	if got, err := ParseMessageURL("a/;UID=1", ""); err != nil || got.Mailbox != "a" {
		t.Errorf("%+v, %v", got, err)
	}
	for _, url := range []string{
		"", "/", "/x", "/x/", "x", ";UID=1", // the last without a selected mailbox
		"imap://host/x/;UID=1", "//host/x/;UID=1", "http://host/x", "imap:/x/;UID=1;URLAUTH=anonymous:internal",
		"/x/;UID=0", "/x/;UID=", "/x/;UID=1x", "/x/;UID=+1", "/x/;UID=4294967296", "/x;UID=1", "/;UID=1", "/x;UIDVALIDITY=0/;UID=1",
		"/x;UIDVALIDITY=/;UID=1", "/x;UIDVALIDITY=1;UID=1", ";UIDVALIDITY=1/;UID=1", "/x?a/;UID=1", "/x#a/;UID=1", "/x y/;UID=1", "/x%2/;UID=1", "/x%zz/;UID=1",
		"/x%00/;UID=1", "/%ff/;UID=1", "/ü/;UID=1", "/../x/;UID=1", "/x/./;UID=1", "/x//y/;UID=1", "/x%2F%2Fy/;UID=1", "/x/;UID=1/x", "/x/;UID=1/;SECTION=",
		"/x/;UID=1/;SECTION=1/x", "/x/;UID=1/;SECTION=0", "/x/;UID=1/;SECTION=1]%20", "/x/;UID=1/;SECTION=1]<0.1>", "/x/;UID=1/;SECTION=HEADER.FIELDS",
		"/x/;UID=1/;SECTION=HEADER.FIELDS%20({1}a)", "/x/;UID=1/;PARTIAL=", "/x/;UID=1/;PARTIAL=1.0", "/x/;UID=1/;PARTIAL=1.", "/x/;UID=1/;PARTIAL=.1", "/x/;UID=1/;PARTIAL=+1",
		"/x/;UID=1/;PARTIAL=1/;SECTION=1", "/x/;UID=1;URLAUTH=anonymous", "/x/;UID=1;EXPIRE=2030-01-01T00:00:00Z",
	} {
		if got, err := ParseMessageURL(url, ""); err == nil {
			t.Errorf("%s: %+v (%+v)", url, got, got.Section)
		}
	}
}

func TestBadURL_RFC4469_4_1(t *testing.T) {
	for url, want := range map[string]string{
		"/x/;UID=1": "BADURL /x/;UID=1", "a]b c\r\n\x00ü": "BADURL a%5Db%20c%0D%0A%00%C3%BC",
	} {
		if got := BadURL(url); got != want {
			t.Errorf("%q: %q, want %q", url, got, want)
		}
	}
	if got := BadURL(strings.Repeat("x", 5000)); len(got) > 1100 {
		t.Errorf("%d octets", len(got))
	}
}

func FuzzMessageURL(f *testing.F) {
	f.Add("/Drafts;UIDVALIDITY=385759045/;UID=20/;section=HEADER.FIELDS%20(a)/;PARTIAL=0.5", "INBOX")
	f.Add(";uid=1", "a/b")
	f.Fuzz(func(t *testing.T, url, selected string) {
		if selected != CanonicalMailbox(selected) {
			return
		}
		m, err := ParseMessageURL(url, selected)
		if err == nil && (m.UID == 0 || m.Mailbox == "" || m.Section == nil || utf8.ValidString(selected) && !utf8.ValidString(m.Mailbox)) {
			t.Fatalf("%q: %+v", url, m)
		}
		if code := BadURL(url); strings.ContainsAny(code, "]\r\n\x00") {
			t.Fatalf("%q: %q", url, code)
		}
	})
}
