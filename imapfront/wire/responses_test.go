package wire

import (
	"bytes"
	"fmt"
	"reflect"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/quorumail/quorumail/proto/imapnum"
	pb "github.com/quorumail/quorumail/proto/quorumail/v1"
)

func TestResponses_RFC9051_7(t *testing.T) {
	set := imapnum.SetOfRanges([]imapnum.Range{{First: 1, Last: 3}, {First: 7, Last: 7}})
	for want, print := range map[string]func(w *Writer){
		"* LIST (\\Noselect) \"/\" \"\"\r\n": func(w *Writer) { w.List(ListEntry{Attrs: []string{`\Noselect`}}) },
		"* LIST () \"/\" a&APw-\r\n":         func(w *Writer) { w.List(ListEntry{Name: "aü"}) },
		"* LIST (\\HasChildren) \"/\" \"a b\" (\"CHILDINFO\" (\"SUBSCRIBED\" \"SPECIAL-USE\"))\r\n": func(w *Writer) {
			w.List(ListEntry{Name: "a b", Attrs: []string{`\HasChildren`}, ChildInfo: []string{"SUBSCRIBED", "SPECIAL-USE"}})
		},
		"* LIST () \"/\" b (\"OLDNAME\" (\"a b\"))\r\n": func(w *Writer) { w.List(ListEntry{Name: "b", OldName: "a b"}) },
		"* LIST () \"/\" b (\"CHILDINFO\" (\"SUBSCRIBED\") \"OLDNAME\" (a))\r\n": func(w *Writer) {
			w.List(ListEntry{Name: "b", OldName: "a", ChildInfo: []string{"SUBSCRIBED"}})
		},
		"* SEARCH\r\n":                    func(w *Writer) { w.Search(imapnum.Set{}, 5) },
		"* SEARCH 1 2 3 7\r\n":            func(w *Writer) { w.Search(set, 0) },
		"* SEARCH 1 2 3 7 (MODSEQ 9)\r\n": func(w *Writer) { w.Search(set, 9) },
		"* ESEARCH (TAG \"a\")\r\n": func(w *Writer) {
			w.ESearch(ESearchResult{Tag: "a", Return: SearchReturn{Min: true, All: true}})
		},
		"* ESEARCH (TAG \"a\") UID COUNT 0\r\n": func(w *Writer) {
			w.ESearch(ESearchResult{Tag: "a", UID: true, Return: SearchReturn{Max: true, Count: true}})
		},
		"* ESEARCH (TAG \"a\") UID MIN 1 MAX 7 ALL 1:3,7 COUNT 4 MODSEQ 9\r\n": func(w *Writer) {
			w.ESearch(ESearchResult{Tag: "a", UID: true, Return: SearchReturn{Min: true, Max: true, All: true, Count: true}, Found: set.Ranges(), ModSeq: 9})
		},
		"* ESEARCH (TAG \"a\") ALL 7,1:3\r\n": func(w *Writer) { // RFC 5267, 3.2: in the order asked for
			w.ESearch(ESearchResult{Tag: "a", Return: SearchReturn{All: true}, Found: []imapnum.Range{{First: 7, Last: 7}, {First: 1, Last: 3}}})
		},
		"* ESEARCH (TAG \"a\") PARTIAL (2:3 2:3)\r\n": func(w *Writer) { // RFC 9394, 4
			w.ESearch(ESearchResult{Tag: "a", Return: SearchReturn{Partial: PartialRange{First: 3, Last: 2}}, Partial: []imapnum.Range{{First: 2, Last: 3}}})
		},
		"* ESEARCH (TAG \"a\") PARTIAL (-1:-9 NIL)\r\n": func(w *Writer) {
			w.ESearch(ESearchResult{Tag: "a", Return: SearchReturn{Partial: PartialRange{First: 1, Last: 9, FromEnd: true}}})
		},
		"* ESEARCH (TAG \"a\") UID ADDTO (0 1:3,7)\r\n": func(w *Writer) { // RFC 5267, 4.3.3
			w.ESearchUpdate(ESearchUpdate{Tag: "a", UID: true, Added: set})
		},
		"* ESEARCH (TAG \"a\") REMOVEFROM (0 1:3,7) ADDTO (0 5)\r\n": func(w *Writer) {
			w.ESearchUpdate(ESearchUpdate{Tag: "a"})
			w.ESearchUpdate(ESearchUpdate{Tag: "a", Removed: set, Added: imapnum.SetOf(5)})
		},
		"* ESEARCH (TAG \"a\" MAILBOX \"x y\" UIDVALIDITY 4) UID COUNT 4\r\n": func(w *Writer) { // RFC 7377, 2.1
			w.ESearch(ESearchResult{Tag: "a", Mailbox: "x y", UIDValidity: 4, UID: true, Return: SearchReturn{Count: true}, Found: set.Ranges()})
		},
	} {
		if got := printed(t, print); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}

func TestSections_RFC9051_7_5_2(t *testing.T) {
	for want, s := range map[string]Section{
		"BODY[]":                                 {Label: "BODY"},
		"BODY[1.2.HEADER.FIELDS (a \"b c\")]<5>": {Label: "BODY", Peek: true, Part: []uint32{1, 2}, Specifier: "HEADER.FIELDS", Fields: []string{"a", "b c"}, Partial: &Partial{5, 9}},
		"RFC822.TEXT":                            {Label: "RFC822.TEXT", Specifier: "TEXT"},
		"BINARY[1]<3>":                           {Label: "BINARY", Part: []uint32{1}, Partial: &Partial{3, 2}},
	} {
		if got := printed(t, func(w *Writer) { w.SectionLabel(&s) }); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}

// drawBytes draws octets of a header, nil for NIL.
func drawBytes(t *rapid.T, label string) []byte {
	return rapid.SampledFrom([][]byte{nil, {}, []byte("plain"), []byte(`quo"ted\`), []byte("ü"), []byte("\xff\x00"), []byte("a\r\nb"), []byte("NIL")}).Draw(t, label)
}

func drawEnvelope(t *rapid.T) *pb.Envelope {
	list := func(label string) []*pb.Address {
		return rapid.SliceOfN(rapid.Custom(func(t *rapid.T) *pb.Address {
			return &pb.Address{Name: drawBytes(t, "name"), Mailbox: drawBytes(t, "mailbox"), Host: drawBytes(t, "host")}
		}), 0, 3).Draw(t, label)
	}
	return &pb.Envelope{Date: drawBytes(t, "date"), Subject: drawBytes(t, "subject"), From: list("from"), Sender: list("sender"), ReplyTo: list("reply-to"),
		To: list("to"), Cc: list("cc"), Bcc: list("bcc"), InReplyTo: drawBytes(t, "in-reply-to"), MessageId: drawBytes(t, "message-id")}
}

func drawPart(t *rapid.T, depth int) *pb.BodyPart {
	param := rapid.Custom(func(t *rapid.T) *pb.Param { return &pb.Param{Name: drawBytes(t, "name"), Value: drawBytes(t, "value")} })
	p := &pb.BodyPart{
		Params: rapid.SliceOfN(param, 0, 2).Draw(t, "params"), Id: drawBytes(t, "id"), Description: drawBytes(t, "description"), Encoding: "7BIT",
		Size: rapid.Uint64Range(0, 1<<32-1).Draw(t, "size"), Lines: rapid.Uint64Range(0, 1000).Draw(t, "lines"), Md5: drawBytes(t, "md5"),
		Disposition: drawBytes(t, "disposition"), DispositionParams: rapid.SliceOfN(param, 0, 2).Draw(t, "disposition params"),
		Location: drawBytes(t, "location"),
	}
	for range rapid.IntRange(0, 2).Draw(t, "languages") {
		p.Language = append(p.Language, []byte("de"))
	}
	kinds := []string{"TEXT/PLAIN", "IMAGE/PNG", "MESSAGE/PARTIAL", "X-\xff/\"Y\""}
	if depth < 3 {
		kinds = append(kinds, "MULTIPART/MIXED", "MESSAGE/RFC822", "MESSAGE/GLOBAL")
	}
	p.Type, p.Subtype, _ = strings.Cut(rapid.SampledFrom(kinds).Draw(t, "type"), "/")
	switch {
	case p.Type == "MULTIPART":
		for range rapid.IntRange(1, 3).Draw(t, "parts") {
			p.Parts = append(p.Parts, drawPart(t, depth+1))
		}
	case p.Subtype == "RFC822" || p.Subtype == "GLOBAL":
		p.Parts, p.Envelope = []*pb.BodyPart{drawPart(t, depth+1)}, drawEnvelope(t)
	}
	return p
}

// What tokens an item must be read as.

func stringToken(b []byte) any {
	return append([]byte{}, bytes.ReplaceAll(b, []byte{0}, []byte{0x80})...)
}

func nstringToken(b []byte) any {
	if b == nil {
		return atomToken("NIL")
	}
	return stringToken(b)
}

func listToken[T any](list []T, item func(T) []any) any {
	if len(list) == 0 {
		return atomToken("NIL")
	}
	out := []any{}
	for _, v := range list {
		out = append(out, item(v)...)
	}
	return out
}

func envelopeTokens(e *pb.Envelope) any {
	address := func(a *pb.Address) []any {
		return []any{[]any{nstringToken(a.Name), atomToken("NIL"), nstringToken(a.Mailbox), nstringToken(a.Host)}}
	}
	out := []any{nstringToken(e.Date), nstringToken(e.Subject)}
	for _, list := range [][]*pb.Address{e.From, e.Sender, e.ReplyTo, e.To, e.Cc, e.Bcc} {
		out = append(out, listToken(list, address))
	}
	return append(out, nstringToken(e.InReplyTo), nstringToken(e.MessageId))
}

func partTokens(p *pb.BodyPart, extended bool) any {
	param := func(p *pb.Param) []any { return []any{stringToken(p.Name), stringToken(p.Value)} }
	number := func(n uint64) any { return atomToken(fmt.Sprint(n)) }
	out := []any{}
	params := listToken(p.Params, param)
	if p.Type == "MULTIPART" {
		for _, child := range p.Parts {
			out = append(out, partTokens(child, extended))
		}
		out = append(out, stringToken([]byte(p.Subtype)))
		if extended {
			out = append(out, params)
		}
	} else {
		out = append(out, stringToken([]byte(p.Type)), stringToken([]byte(p.Subtype)), params, nstringToken(p.Id), nstringToken(p.Description),
			stringToken([]byte(p.Encoding)), number(p.Size))
		if p.Envelope != nil {
			out = append(out, envelopeTokens(p.Envelope), partTokens(p.Parts[0], extended))
		}
		if p.Envelope != nil || p.Type == "TEXT" {
			out = append(out, number(p.Lines))
		}
		if extended {
			out = append(out, nstringToken(p.Md5))
		}
	}
	if !extended {
		return out
	}
	if p.Disposition == nil {
		out = append(out, atomToken("NIL"))
	} else {
		out = append(out, []any{stringToken(p.Disposition), listToken(p.DispositionParams, param)})
	}
	language := listToken(p.Language, func(l []byte) []any { return []any{stringToken(l)} })
	if len(p.Language) == 1 {
		language = stringToken(p.Language[0])
	}
	return append(out, language, nstringToken(p.Location))
}

func TestEnvelopeAndStructureAreReadAsTheyAre_RFC9051_7_5_2(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		e, p, utf8 := drawEnvelope(t), drawPart(t, 0), rapid.Bool().Draw(t, "utf8")
		var buf bytes.Buffer
		w := NewWriter(&buf)
		w.SetUTF8(utf8)
		w.Raw("* 1 FETCH (ENVELOPE ").Envelope(e).Raw(" BODY ").BodyStructure(p, false).Raw(" BODYSTRUCTURE ").BodyStructure(p, true).Raw(")").CRLF()
		if err := w.Flush(); err != nil {
			t.Fatal(err)
		}
		in := &tokenizer{in: buf.Bytes(), utf8: utf8}
		got, err := in.tokens()
		want := []any{atomToken("*"), atomToken("1"), atomToken("FETCH"), []any{
			atomToken("ENVELOPE"), envelopeTokens(e), atomToken("BODY"), partTokens(p, false), atomToken("BODYSTRUCTURE"), partTokens(p, true)}}
		if err != nil || !reflect.DeepEqual(got, want) || len(in.in) > 0 {
			t.Fatalf("%q:\n got %q, %v\nwant %q", buf.Bytes(), got, err, want)
		}
	})
}

// What storage should never hand out is printed in the grammar all the same.
func TestStructuresThatTheGrammarLacks(t *testing.T) {
	for want, p := range map[string]*pb.BodyPart{
		`("TEXT" "PLAIN" NIL NIL NIL "7BIT" 0 0)`:           nil,
		`(("TEXT" "PLAIN" NIL NIL NIL "7BIT" 0 0) "MIXED")`: {Type: "MULTIPART", Subtype: "MIXED"},
		`("MESSAGE" "RFC822" NIL NIL NIL "7BIT" 5 (NIL NIL NIL NIL NIL NIL NIL NIL NIL NIL) ("TEXT" "PLAIN" NIL NIL NIL "7BIT" 0 0) 1)`: {
			Type: "MESSAGE", Subtype: "RFC822", Encoding: "7BIT", Size: 5, Lines: 1},
	} {
		if got := printed(t, func(w *Writer) { w.BodyStructure(p, false) }); got != want {
			t.Errorf("%s, want %s", got, want)
		}
	}
}
