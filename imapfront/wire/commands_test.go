package wire

import (
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/emersion/go-imap/v2"
)

func reader(in string) *Reader {
	return NewReader(strings.NewReader(in), Limits{Line: 2000, Literal: 100, Append: 1000}, func() error { return nil })
}

func ptr[T any](v T) *T { return &v }

func nums(ranges ...uint32) NumSet {
	var s NumSet
	for i := 0; i < len(ranges); i += 2 {
		s.Ranges = append(s.Ranges, NumRange{ranges[i], ranges[i+1]})
	}
	return s
}

// check parses each command and compares what comes out; and prints it, parses
// that and compares again.
func check(t *testing.T, want map[string]Command) {
	t.Helper()
	for in, want := range want {
		for _, in := range []string{in, "a " + printCommand(want, false)} {
			in, _ = strings.CutPrefix(in, "a ")
			tag, cmd, err := reader("a1 " + in + "\r\n").ReadCommand()
			if err != nil || tag != "a1" || !reflect.DeepEqual(cmd, want) {
				t.Errorf("%q:\n got %s, %+v, %v\nwant %+v", in, tag, cmd, err, want)
			}
		}
	}
}

func TestCommands_RFC9051_6_1_and_6_2(t *testing.T) {
	check(t, map[string]Command{
		"noop":                               Noop{},
		"nOOp":                               Noop{},
		"CAPABILITY":                         Capability{},
		"logout":                             Logout{},
		"starttls":                           StartTLS{},
		"login bob secret]":                  Login{"bob", "secret]"},
		`login "bo b" "p\"w\\"`:              Login{"bo b", `p"w\`},
		"login {3}\r\nbob {2+}\r\npw":        Login{"bob", "pw"},
		"login {0}\r\n \"\"":                 Login{},
		"login \"\xc3\xa4\" {1}\r\n\xff":     Login{"ä", "\xff"},
		"authenticate plain":                 Authenticate{Mechanism: "PLAIN"},
		"AUTHENTICATE PLAIN AGEAYg==":        Authenticate{"PLAIN", []byte("\x00a\x00b")}, // RFC 4959
		"authenticate external =":            Authenticate{"EXTERNAL", []byte{}},
		"id nil":                             ID{},
		"id ()":                              ID{Fields: map[string]string{}},
		`id ("Name" "x" {2}` + "\r\nOS NIL)": ID{Fields: map[string]string{"name": "x", "os": ""}},
	})
}

func TestCommands_RFC9051_6_3(t *testing.T) {
	check(t, map[string]Command{
		"enable QRESYNC condstore":  Enable{[]string{"QRESYNC", "CONDSTORE"}},
		"compress deflate":          Compress{Algorithm: "DEFLATE"}, // RFC 4978, 5
		"select inbox":              Select{Mailbox: "INBOX"},
		"select iNbOx/X":            Select{Mailbox: "INBOX/X"},
		"select inboxes":            Select{Mailbox: "inboxes"},
		"examine X/inbox":           Select{Mailbox: "X/inbox", ReadOnly: true},
		"select NIL":                Select{Mailbox: "NIL"}, // RFC 9051, 4.5
		"create Entw&APw-rfe":       Create{Mailbox: "Entwürfe"},
		"create \"Entwu\u0308rfe\"": Create{Mailbox: "Entwürfe"}, // NFC (RFC 9051, 5.1)
		"delete \"\xc3\xbc\"":       Delete{"ü"},
		"rename {1+}\r\na \"b\"":    Rename{"a", "b"},
		"subscribe a":               Subscribe{Mailbox: "a"},
		"unsubscribe \"\"":          Subscribe{Unsubscribe: true},
		"namespace":                 Namespace{},
		"idle":                      Idle{},
		"unauthenticate":            Unauthenticate{}, // RFC 8437
		"status x (messages UIDNEXT highestmodseq mailboxid size deleted-storage)": Status{"x", []StatusItem{
			"MESSAGES", "UIDNEXT", "HIGHESTMODSEQ", "MAILBOXID", "SIZE", "DELETED-STORAGE"}},
		`create x (USE (\sENT \Custom))`: Create{"x", []string{`\Sent`, `\Custom`}}, // RFC 6154, 3
	})
}

func TestSelect_RFC7162_7(t *testing.T) {
	check(t, map[string]Command{
		"select x (CONDSTORE)":     Select{Mailbox: "x", CondStore: true},
		"select x (qresync (1 2))": Select{Mailbox: "x", QResync: &QResync{UIDValidity: 1, ModSeq: 2}},
		"examine x (qresync (1 2 (3 4)) condstore)": Select{Mailbox: "x", ReadOnly: true, CondStore: true, QResync: &QResync{UIDValidity: 1, ModSeq: 2,
			MatchSeqs: imap.SeqSet{{Start: 3, Stop: 3}}, MatchUIDs: imap.UIDSet{{Start: 4, Stop: 4}}}},
		"select x (QRESYNC (67890007 20050715194045000 41:211 (1:3,5 9:7,11)))": Select{Mailbox: "x", QResync: &QResync{
			UIDValidity: 67890007, ModSeq: 20050715194045000, KnownUIDs: imap.UIDSet{{Start: 41, Stop: 211}},
			MatchSeqs: imap.SeqSet{{Start: 1, Stop: 3}, {Start: 5, Stop: 5}}, MatchUIDs: imap.UIDSet{{Start: 7, Stop: 9}, {Start: 11, Stop: 11}}}},
		"select x (qresync (1 9223372036854775807 1:4294967295))": Select{Mailbox: "x", QResync: &QResync{UIDValidity: 1, ModSeq: 1<<63 - 1,
			KnownUIDs: imap.UIDSet{{Start: 1, Stop: 4294967295}}}},
	})
}

func TestList_RFC5258_6(t *testing.T) {
	check(t, map[string]Command{
		`list "" *`:              List{Patterns: []string{"*"}},
		`list "" ""`:             List{Patterns: []string{""}},
		`list a/ %]*`:            List{Reference: "a/", Patterns: []string{"%]*"}},
		`list "" {2}` + "\r\na%": List{Patterns: []string{"a%"}},
		`list "" &`:              List{Patterns: []string{"\x00"}}, // of no name (RFC 9051, 6.3.9)
		`lsub "" Entw&APw-%`:     List{LSUB: true, Patterns: []string{"Entwü%"}},
		`list () "" x`:           List{Extended: true, Patterns: []string{"x"}},
		`list "" (a "" inbox/%)`: List{Extended: true, Patterns: []string{"a", "", "INBOX/%"}},
		`list "" x return ()`:    List{Extended: true, Patterns: []string{"x"}},
		`list (recursivematch remote SUBSCRIBED) "" (*) return (children status (messages unseen) special-use)`: List{
			Extended: true, Patterns: []string{"*"}, Select: ListSelect{RecursiveMatch: true, Remote: true, Subscribed: true},
			Return: ListReturn{Children: true, SpecialUse: true, Status: []StatusItem{"MESSAGES", "UNSEEN"}}}, // RFC 5819, RFC 6154
		`list (special-use) "" % return (subscribed)`: List{Extended: true, Patterns: []string{"%"},
			Select: ListSelect{SpecialUse: true}, Return: ListReturn{Subscribed: true}},
	})
}

func TestCommands_RFC9051_6_4(t *testing.T) {
	check(t, map[string]Command{
		"check":                Check{},
		"close":                Close{},
		"unselect":             Unselect{},
		"expunge":              Expunge{},
		"uid expunge 3:5,9":    Expunge{UIDs: ptr(nums(3, 5, 9, 9))},
		"uid expunge $":        Expunge{UIDs: &NumSet{Saved: true}},
		"copy 1:*,*:4 y":       Copy{Set: nums(1, 0, 0, 4), Mailbox: "y"},
		"replace 4 x (a) {5+}": Replace{Num: 4, Mailbox: "x", Message: AppendMessage{Flags: []string{"a"}, Literal: Literal{Size: 5, NonSync: true}}}, // RFC 8508, 5
		"uid REPLACE * x ~{5}": Replace{UID: true, Mailbox: "x", Message: AppendMessage{Literal: Literal{Size: 5, Binary: true}}},
		"uid copy 5:3 y":       Copy{UID: true, Set: nums(5, 3), Mailbox: "y"},
		"move * y":             Copy{Move: true, Set: nums(0, 0), Mailbox: "y"}, // RFC 6851
		"uid move $ inbox":     Copy{Move: true, UID: true, Set: NumSet{Saved: true}, Mailbox: "INBOX"},
	})
}

func TestStore_RFC9051_6_4_6_RFC7162_3_1_3(t *testing.T) {
	check(t, map[string]Command{
		`store 1 flags ()`:                Store{Set: nums(1, 1), Op: imap.StoreFlagsSet, Flags: []string{}},
		`store 1 +flags \seen`:            Store{Set: nums(1, 1), Op: imap.StoreFlagsAdd, Flags: []string{`\Seen`}},
		`store 1 -FLAGS.silent a \Seen b`: Store{Set: nums(1, 1), Op: imap.StoreFlagsDel, Silent: true, Flags: []string{"a", `\Seen`, "b"}},
		`uid store $ (unchangedsince 0) +flags.silent ($Forwarded)`: Store{UID: true, Set: NumSet{Saved: true}, Op: imap.StoreFlagsAdd,
			Silent: true, Flags: []string{"$Forwarded"}, UnchangedSince: ptr(uint64(0))},
	})
}

func TestFetch_RFC9051_6_4_5(t *testing.T) {
	item := func(names ...string) (items []FetchItem) {
		for _, n := range names {
			items = append(items, FetchItem{Name: n})
		}
		return items
	}
	section := func(s Section) []FetchItem { return []FetchItem{{"SECTION", &s}} }
	for in, want := range map[string][]FetchItem{
		"all":  item("FLAGS", "INTERNALDATE", "RFC822.SIZE", "ENVELOPE"),
		"fast": item("FLAGS", "INTERNALDATE", "RFC822.SIZE"),
		"full": item("FLAGS", "INTERNALDATE", "RFC822.SIZE", "ENVELOPE", "BODY"),
		"(flags uid bodystructure body modseq emailid threadid savedate)": item("FLAGS", "UID", "BODYSTRUCTURE", "BODY", "MODSEQ", "EMAILID", "THREADID", "SAVEDATE"),
		"preview":              item("PREVIEW"), // RFC 8970
		"(preview (lazy) uid)": item("PREVIEW", "UID"),
		"body[]":               section(Section{Label: "BODY"}),
		"body.peek[text]":      section(Section{Label: "BODY", Peek: true, Specifier: "TEXT"}),
		"BODY[1.2.mime]<0.9>":  section(Section{Label: "BODY", Part: []uint32{1, 2}, Specifier: "MIME", Partial: &Partial{0, 9}}),
		"body[3]":              section(Section{Label: "BODY", Part: []uint32{3}}),
		"body[3.header]":       section(Section{Label: "BODY", Part: []uint32{3}, Specifier: "HEADER"}),
		"(body.peek[header.fields (From {4}\r\nX-Y] \"a b\")]<5.9223372036854775807>)": section(Section{Label: "BODY", Peek: true, Specifier: "HEADER.FIELDS",
			Fields: []string{"From", "X-Y]", "a b"}, Partial: &Partial{5, 1<<63 - 1}}),
		"body[4.header.fields.not (a)]": section(Section{Label: "BODY", Part: []uint32{4}, Specifier: "HEADER.FIELDS.NOT", Fields: []string{"a"}}),
		"rfc822":                        section(Section{Label: "RFC822"}),
		"rfc822.header":                 section(Section{Label: "RFC822.HEADER", Peek: true, Specifier: "HEADER"}),
		"rfc822.text":                   section(Section{Label: "RFC822.TEXT", Specifier: "TEXT"}),
		"binary[]":                      {{"BINARY", &Section{Label: "BINARY"}}}, // RFC 3516
		"binary.peek[1.2]<3.4>":         {{"BINARY", &Section{Label: "BINARY", Peek: true, Part: []uint32{1, 2}, Partial: &Partial{3, 4}}}},
		"binary.size[7]":                {{"BINARY.SIZE", &Section{Label: "BINARY", Peek: true, Part: []uint32{7}}}},
	} {
		check(t, map[string]Command{
			"fetch 1,2 " + in: Fetch{Set: nums(1, 1, 2, 2), Items: want},
			"uid fetch 1:* " + in + " (vanished changedsince 5)": Fetch{UID: true, Set: nums(1, 0), Items: want, ChangedSince: ptr(uint64(5)), Vanished: true}, // RFC 7162, 7
		})
	}
}

func day(y, m, d int) *time.Time { return ptr(time.Date(y, time.Month(m), d, 0, 0, 0, 0, time.UTC)) }

func TestSearch_RFC9051_6_4_4(t *testing.T) {
	for in, want := range map[string]SearchKey{
		"all":                                   SearchAll{},
		"1,3:*":                                 SearchNums{nums(1, 1, 3, 0)},
		"$":                                     SearchNums{NumSet{Saved: true}}, // RFC 5182
		"uid $":                                 SearchUIDs{NumSet{Saved: true}},
		"uid 7 unseen":                          SearchAnd{SearchUIDs{nums(7, 7)}, SearchNot{SearchFlag{`\Seen`}}},
		"(answered deleted) draft":              SearchAnd{SearchAnd{SearchFlag{`\Answered`}, SearchFlag{`\Deleted`}}, SearchFlag{`\Draft`}},
		"((flagged))":                           SearchFlag{`\Flagged`},
		"or not 1 (new old)":                    SearchOr{SearchNot{SearchNums{nums(1, 1)}}, SearchAnd{SearchAnd{SearchFlag{Recent}, SearchNot{SearchFlag{`\Seen`}}}, SearchNot{SearchFlag{Recent}}}},
		"recent":                                SearchFlag{`\Recent`},
		"keyword $Junk unkeyword a":             SearchAnd{SearchFlag{"$Junk"}, SearchNot{SearchFlag{"a"}}},
		"from a to \"b c\"":                     SearchAnd{SearchHeader{"From", "a"}, SearchHeader{"To", "b c"}},
		"cc {1}\r\na bcc {1+}\r\nb":             SearchAnd{SearchHeader{"Cc", "a"}, SearchHeader{"Bcc", "b"}},
		"header x-y \"\"":                       SearchHeader{"x-y", ""},
		"subject x body y text z":               SearchAnd{SearchHeader{"Subject", "x"}, SearchBody{"y"}, SearchText{"z"}},
		"larger 0 smaller 5000000000":           SearchAnd{SearchSize{Larger: ptr(uint64(0))}, SearchSize{Smaller: ptr(uint64(5000000000))}},
		"before 1-Jan-2024":                     SearchDate{Before: day(2024, 1, 1)},
		"on \"29-feb-2024\"":                    SearchDate{From: day(2024, 2, 29), Before: day(2024, 3, 1)},
		"since 01-DEC-1999":                     SearchDate{From: day(1999, 12, 1)},
		"sentbefore 1-Jan-2024":                 SearchDate{Field: SentDate, Before: day(2024, 1, 1)},
		"senton 1-Jan-2024":                     SearchDate{Field: SentDate, From: day(2024, 1, 1), Before: day(2024, 1, 2)},
		"sentsince 1-Jan-2024":                  SearchDate{Field: SentDate, From: day(2024, 1, 1)},
		"savedbefore 1-Jan-2024":                SearchDate{Field: SaveDate, Before: day(2024, 1, 1)}, // RFC 8514
		"savedon 1-Jan-2024":                    SearchDate{Field: SaveDate, From: day(2024, 1, 1), Before: day(2024, 1, 2)},
		"savedsince 1-Jan-2024":                 SearchDate{Field: SaveDate, From: day(2024, 1, 1)},
		"savedatesupported":                     SearchAll{},
		"modseq 0":                              SearchModSeq{0}, // RFC 7162, 7
		`modseq "/flags/\\draft" all 620162338`: SearchModSeq{620162338},
		`modseq "/flags/$MDNSent" priv 5`:       SearchModSeq{5},
		"older 3600 younger 5":                  SearchAnd{SearchAge{Older: ptr(uint64(3600))}, SearchAge{Younger: ptr(uint64(5))}}, // RFC 5032
		"emailid E1 threadid T2":                SearchAnd{SearchEmailID{"E1"}, SearchThreadID{"T2"}},                               // RFC 8474
		"undeleted undraft unflagged unanswered": SearchAnd{SearchNot{SearchFlag{`\Deleted`}}, SearchNot{SearchFlag{`\Draft`}},
			SearchNot{SearchFlag{`\Flagged`}}, SearchNot{SearchFlag{`\Answered`}}},
	} {
		check(t, map[string]Command{
			"search " + in: Search{Key: want},
			"uid search return (min save) charset utf-8 " + in: Search{UID: true, Charset: "UTF-8", Return: &SearchReturn{Min: true, Save: true}, Key: want},
		})
	}
	check(t, map[string]Command{
		"search return () all":                    Search{Return: &SearchReturn{All: true}, Key: SearchAll{}}, // RFC 4731, 3.1
		"search return (max all count max) 1":     Search{Return: &SearchReturn{Max: true, All: true, Count: true}, Key: SearchNums{nums(1, 1)}},
		"search charset \"iso-8859-1\" subject x": Search{Charset: "ISO-8859-1", Key: SearchHeader{"Subject", "x"}},
	})
}

func TestAppend_RFC9051_6_3_12(t *testing.T) {
	date := time.Date(1996, 7, 17, 2, 44, 25, 0, time.FixedZone("", -7*3600))
	for in, want := range map[string]AppendMessage{
		"{5}":                                {Literal: Literal{Size: 5}},
		"() {5+}":                            {Flags: []string{}, Literal: Literal{Size: 5, NonSync: true}},
		"(\\seen a) ~{0}":                    {Flags: []string{`\Seen`, "a"}, Literal: Literal{Binary: true}},             // RFC 3516, 4.4
		"utf8 (~{5}":                         {Literal: Literal{Size: 5, Binary: true, UTF8: true}},                       // RFC 6855, 4
		"UTF8 (~{99999999+}":                 {Literal: Literal{Size: 99999999, Binary: true, UTF8: true, NonSync: true}}, // the size is the session's matter
		"{99999999999999999999}":             {Literal: Literal{Size: 1<<63 - 1}},
		"\"17-Jul-1996 02:44:25 -0700\" {1}": {Date: date, Literal: Literal{Size: 1}},
		"(\\Draft) \" 7-Jul-1996 02:44:25 -0700\" {1}": {Flags: []string{`\Draft`}, Date: date.AddDate(0, 0, -10), Literal: Literal{Size: 1}},
	} {
		_, cmd, err := reader("a append inbox " + in + "\r\n").ReadCommand()
		got, ok := cmd.(Append)
		if err != nil || !ok || got.Mailbox != "INBOX" || !got.First.Date.Equal(want.Date) {
			t.Errorf("%q: %+v, %v", in, cmd, err)
			continue
		}
		if _, zone := got.First.Date.Zone(); !want.Date.IsZero() && zone != -7*3600 {
			t.Errorf("%q: zone %d", in, zone)
		}
		got.First.Date = want.Date
		if !reflect.DeepEqual(got.First, want) {
			t.Errorf("%q: %+v, want %+v", in, got.First, want)
		}
	}
}

// RFC 9051, 5.1 and RFC 6855, 3: what "&" is depends on what has been enabled.
func TestMailboxNamesInUTF8_RFC6855_3(t *testing.T) {
	r := reader("a select &APw-\r\nb select &APw-\r\nc select R&D\r\nd list \"\" R&D*\r\n")
	if _, cmd, err := r.ReadCommand(); err != nil || cmd.(Select).Mailbox != "ü" {
		t.Errorf("%v, %v", cmd, err)
	}
	r.SetUTF8(true)
	for _, want := range []Command{Select{Mailbox: "&APw-"}, Select{Mailbox: "R&D"}, List{Patterns: []string{"R&D*"}}} {
		if _, cmd, err := r.ReadCommand(); err != nil || !reflect.DeepEqual(cmd, want) {
			t.Errorf("%v, %v, want %v", cmd, err, want)
		}
	}
}
