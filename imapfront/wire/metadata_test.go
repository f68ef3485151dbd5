package wire

import (
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"

	"github.com/quorumail/quorumail/proto/imapnum"
)

// metadata prints the commands of RFC 5464.
func (p *printer) metadata(cmd Command) {
	switch c := cmd.(type) {
	case SetMetadata:
		p.WriteString("setmetadata ")
		p.mailbox(c.Mailbox)
		p.WriteByte(' ')
		p.list(len(c.Entries), func(i int) {
			p.str(c.Entries[i].Name)
			switch v := c.Entries[i].Value; {
			case v == nil:
				p.WriteString(" NIL")
			default:
				fmt.Fprintf(p, " ~{%d+}\r\n%s", len(v), v)
			}
		})
	case GetMetadata:
		p.WriteString("getmetadata ")
		var opts []string
		if c.MaxSize != nil {
			opts = append(opts, fmt.Sprintf("maxsize %d", *c.MaxSize))
		}
		switch c.Depth {
		case 1:
			opts = append(opts, "depth 1")
		case AllDepths:
			opts = append(opts, "depth infinity")
		}
		if opts != nil {
			p.wordList(opts)
			p.WriteByte(' ')
		}
		p.mailbox(c.Mailbox)
		p.WriteByte(' ')
		p.list(len(c.Names), func(i int) { p.str(c.Names[i]) })
	}
}

func TestMetadata_RFC5464_5(t *testing.T) {
	value := func(name, value string) MetadataEntry { return MetadataEntry{name, []byte(value)} }
	check(t, map[string]Command{
		`setmetadata INBOX (/private/comment "My new comment")`:                            SetMetadata{"INBOX", []MetadataEntry{value("/private/comment", "My new comment")}},
		"SetMetadata inbox (/private/comment {33}\r\nMy new comment across\r\ntwo lines.)": SetMetadata{"INBOX", []MetadataEntry{value("/private/comment", "My new comment across\r\ntwo lines.")}},
		`setmetadata "" (/Private/Vendor/X/Y NIL "/shared/comment" "")`:                    SetMetadata{"", []MetadataEntry{{"/Private/Vendor/X/Y", nil}, value("/shared/comment", "")}},
		"setmetadata a ({9}\r\n/shared/a ~{3+}\r\n\x00\r\n /shared/b nil)":                 SetMetadata{"a", []MetadataEntry{value("/shared/a", "\x00\r\n"), {"/shared/b", nil}}},
		`getmetadata "" /shared/comment`:                                                   GetMetadata{Names: []string{"/shared/comment"}},
		`getmetadata INBOX (/shared/comment /private/comment)`:                             GetMetadata{Mailbox: "INBOX", Names: []string{"/shared/comment", "/private/comment"}},
		`getmetadata (maxsize 1024) INBOX /shared/comment`:                                 GetMetadata{Mailbox: "INBOX", Names: []string{"/shared/comment"}, MaxSize: ptr(uint64(1024))},
		`getmetadata (DEPTH infinity MAXSIZE 0) INBOX (/shared)`:                           GetMetadata{Mailbox: "INBOX", Names: []string{"/shared"}, MaxSize: ptr(uint64(0)), Depth: AllDepths},
		// As the examples of 4.2.1 and 4.2.2 have it.
		`getmetadata "INBOX" (MAXSIZE 1024) (/shared/comment /private/comment)`: GetMetadata{Mailbox: "INBOX", Names: []string{"/shared/comment", "/private/comment"}, MaxSize: ptr(uint64(1024))},
		`getmetadata "INBOX" (depth 1) (/private/filters/values)`:               GetMetadata{Mailbox: "INBOX", Names: []string{"/private/filters/values"}, Depth: 1},
		`getmetadata "INBOX" (Depth 0) /private/vendor/x/y`:                     GetMetadata{Mailbox: "INBOX", Names: []string{"/private/vendor/x/y"}},
		`getmetadata "INBOX" (depth 1) /private/vendor`:                         GetMetadata{Mailbox: "INBOX", Names: []string{"/private/vendor"}, Depth: 1},
		// RFC 9590.
		`list "" * return (metadata (/private/a /shared/b) subscribed)`: List{Extended: true, Patterns: []string{"*"}, Return: ListReturn{Subscribed: true, Metadata: []string{"/private/a", "/shared/b"}}},
		`list "" * return (metadata "/private/a" status (messages))`:    List{Extended: true, Patterns: []string{"*"}, Return: ListReturn{Status: []StatusItem{"MESSAGES"}, Metadata: []string{"/private/a"}}},
	})
}

func TestMetadataMistakes_RFC5464_3_2(t *testing.T) {
	long := "/private/" + strings.Repeat("x", imapnum.MaxMetadataName)
	for in, code := range map[string]string{
		`setmetadata INBOX (/private/comment atom)`: "", `setmetadata INBOX (/private/comment)`: "", `setmetadata INBOX ()`: "",
		`setmetadata INBOX /private/comment "x"`: "", `setmetadata INBOX (/private/comment "x" )`: "", `setmetadata (/private/comment "x")`: "",
		`setmetadata INBOX (comment "x")`: "", `setmetadata INBOX (/comment "x")`: "", `setmetadata INBOX (/other/comment "x")`: "",
		`setmetadata INBOX (/private "x")`: "", `setmetadata INBOX (/private/ "x")`: "", `setmetadata INBOX (/private//comment "x")`: "",
		`setmetadata INBOX ("/private/com*ment" "x")`: "", `setmetadata INBOX ("/private/com%ment" "x")`: "", `setmetadata INBOX ("/private/ä" "x")`: "",
		"setmetadata INBOX (\"/private/a\x19\" \"x\")": "", `setmetadata INBOX (/private/vendor "x")`: "", `setmetadata INBOX (/shared/vendor/x "x")`: "",
		"setmetadata INBOX (/private/a {1+}\r\n\x00)": "", `setmetadata INBOX ("" "x")`: "", `setmetadata INBOX ("//private/a" "x")`: "",
		`setmetadata INBOX (` + long + ` "x")`: "LIMIT", `getmetadata INBOX ` + long: "LIMIT",
		`getmetadata INBOX`: "", `getmetadata INBOX ()`: "", `getmetadata INBOX /private`: "", `getmetadata INBOX (maxsize) /private/a`: "",
		`getmetadata (depth 2) INBOX /private/a`: "", `getmetadata (depth) INBOX /private/a`: "", `getmetadata (depth 0 depth 1) INBOX /private/a`: "",
		`getmetadata (what 1) INBOX /private/a`: "", `getmetadata () INBOX /private/a`: "", `getmetadata (depth 1) INBOX (depth 1) /private/a`: "",
		`getmetadata (maxsize 4294967296) INBOX /private/a`: "", `getmetadata INBOX (/private/a%)`: "",
		`getmetadata INBOX (` + strings.TrimSpace(strings.Repeat("/private/a ", maxMetadataNames+1)) + `)`: "",
		`list "" * return (metadata)`: "", `list "" * return (metadata ())`: "", `list "" * return (metadata (/private))`: "", `list "" * return (metadata comment)`: "",
		fmt.Sprintf("setmetadata INBOX (/private/a {%d}", imapnum.MaxMetadataValue+1):              maxMetadataCode,
		fmt.Sprintf("setmetadata INBOX (/private/a ~{%d}", 1<<40):                                  maxMetadataCode,
		`setmetadata INBOX (/private/a "` + strings.Repeat("x", imapnum.MaxMetadataValue+1) + `")`: maxMetadataCode,
	} {
		r := NewReader(strings.NewReader("a "+in+"\r\nb noop\r\n"), Limits{}, func() error { return errors.New("asked for") })
		_, cmd, err := r.ReadCommand()
		var syntax *SyntaxError
		if !errors.As(err, &syntax) || syntax.Code != code || syntax.No != (code != "") {
			t.Errorf("%.100q is %+v, %v", in, cmd, err)
		}
		if tag, _, err := r.ReadCommand(); tag != "b" || err != nil {
			t.Errorf("%.100q: then %s, %v", in, tag, err)
		}
	}
}

// Values that come unasked and are too large are dropped, not kept (RFC 5464, 7).
func TestMetadataTooLargeUnasked(t *testing.T) {
	size := imapnum.MaxMetadataValue + 1
	in := fmt.Sprintf("a setmetadata x (/private/a {%d+}\r\n%s /private/b {3+}\r\nabc)\r\nb noop\r\n", size, strings.Repeat("x", size))
	r := NewReader(strings.NewReader(in), Limits{}, nil)
	var syntax *SyntaxError
	if _, _, err := r.ReadCommand(); !errors.As(err, &syntax) || syntax.Code != maxMetadataCode {
		t.Errorf("%v", err)
	}
	if tag, _, err := r.ReadCommand(); tag != "b" || err != nil {
		t.Errorf("%s, %v", tag, err)
	}
	// Together too large is too large too.
	var sb strings.Builder
	sb.WriteString("a setmetadata x (/private/a NIL")
	for range 5 {
		fmt.Fprintf(&sb, " /private/a {%d+}\r\n%s", size-1, strings.Repeat("x", size-1))
	}
	r = NewReader(io.MultiReader(strings.NewReader(sb.String()), strings.NewReader(")\r\nb noop\r\n")), Limits{}, nil)
	if _, _, err := r.ReadCommand(); !errors.As(err, &syntax) || syntax.Code != "TOOBIG" || !syntax.No {
		t.Errorf("%v", err)
	}
	if tag, _, err := r.ReadCommand(); tag != "b" || err != nil {
		t.Errorf("%s, %v", tag, err)
	}
}

func TestMetadataResponses_RFC5464_4_4(t *testing.T) {
	for want, print := range map[string]func(*Writer){
		"": func(w *Writer) { w.Metadata("x", nil); w.MetadataChanged("x", nil) },
		"* METADATA \"\" (/shared/comment \"My comment\")\r\n": func(w *Writer) {
			w.Metadata("", []MetadataEntry{{"/shared/comment", []byte("My comment")}})
		},
		"* METADATA INBOX (/private/a NIL \"/private/b c\" \"\" /private/d ~{2}\r\n\x00\n /private/e {3}\r\na\r\n)\r\n": func(w *Writer) {
			w.Metadata("INBOX", []MetadataEntry{{"/private/a", nil}, {"/private/b c", []byte{}}, {"/private/d", []byte("\x00\n")}, {"/private/e", []byte("a\r\n")}})
		},
		"* METADATA &AOQ- /shared/comment /private/comment\r\n": func(w *Writer) {
			w.MetadataChanged("ä", []string{"/shared/comment", "/private/comment"})
		},
	} {
		var out strings.Builder
		w := NewWriter(&out)
		print(w)
		if err := w.Flush(); err != nil || out.String() != want {
			t.Errorf("%q, %v, want %q", out.String(), err, want)
		}
	}
}
