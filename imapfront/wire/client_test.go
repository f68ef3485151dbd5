package wire_test

import (
	"net"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/emersion/go-imap/v2"
	"github.com/emersion/go-imap/v2/imapclient"

	"github.com/quorumail/quorumail/imapfront/wire"
	"github.com/quorumail/quorumail/proto/imapnum"
	pb "github.com/quorumail/quorumail/proto/quorumail/v1"
)

// serve answers a client's commands with what answer prints, until it leaves.
func serve(t *testing.T, answer func(w *wire.Writer, tag string, cmd wire.Command)) *imapclient.Client {
	t.Helper()
	ours, theirs := net.Pipe()
	done := make(chan struct{})
	go func() {
		defer close(done)
		w := wire.NewWriter(ours)
		r := wire.NewReader(ours, wire.Limits{}, func() error { w.Continue("go on"); return w.Flush() })
		w.Status("*", "PREAUTH", "CAPABILITY IMAP4rev2 IMAP4rev1", "hello")
		for w.Flush() == nil {
			tag, cmd, err := r.ReadCommand()
			if err != nil {
				return // the client has left, or its test fails for want of an answer
			}
			answer(w, tag, cmd)
			w.Status(tag, "OK", "", "done")
		}
	}()
	c := imapclient.New(theirs, nil)
	t.Cleanup(func() {
		_ = ours.Close() // the client may have closed it
		_ = c.Close()
		<-done
	})
	if err := c.WaitGreeting(); err != nil {
		t.Fatal(err)
	}
	return c
}

// A client that shares no code with this package reads what is printed, and its
// commands are read here.
func TestFetchWithGoIMAPClient(t *testing.T) {
	date := time.Date(2024, 2, 29, 12, 0, 0, 0, time.FixedZone("", 3600))
	got := make(chan wire.Command, 10)
	c := serve(t, func(w *wire.Writer, tag string, cmd wire.Command) {
		got <- cmd
		fetch, ok := cmd.(wire.Fetch)
		if !ok {
			return
		}
		w.Raw("* 2 FETCH (UID 7 FLAGS ").Flags([]string{`\Seen`, "$Junk"}).Raw(" MODSEQ (99) INTERNALDATE ").DateTime(date)
		w.Raw(" RFC822.SIZE 1234 ENVELOPE ")
		w.Envelope(&pb.Envelope{Subject: []byte("grüße \"x\""), From: []*pb.Address{{Name: []byte("A"), Mailbox: []byte("a"), Host: []byte("b")}}, MessageId: []byte("<1@x>")})
		w.Raw(" BODYSTRUCTURE ").BodyStructure(&pb.BodyPart{Type: "MULTIPART", Subtype: "MIXED", Params: []*pb.Param{{Name: []byte("BOUNDARY"), Value: []byte("x")}}, Parts: []*pb.BodyPart{
			{Type: "TEXT", Subtype: "PLAIN", Encoding: "8BIT", Size: 3, Lines: 1},
			{Type: "MESSAGE", Subtype: "RFC822", Encoding: "7BIT", Size: 9, Envelope: &pb.Envelope{}, Parts: []*pb.BodyPart{{Type: "TEXT", Subtype: "HTML", Encoding: "7BIT"}}},
		}}, true)
		for _, item := range fetch.Items {
			if item.Name == "SECTION" {
				w.Raw(" ").SectionLabel(item.Section).Raw(" ").Literal(8, strings.NewReader("octets\r\n"), false)
			}
		}
		w.Raw(")").CRLF()
	})
	section := &imap.FetchItemBodySection{Specifier: imap.PartSpecifierHeader, HeaderFields: []string{"From", "X Y"}, Part: []int{1, 2}, Peek: true,
		Partial: &imap.SectionPartial{Offset: 3, Size: 8}}
	msgs, err := c.Fetch(imap.SeqSetNum(2), &imap.FetchOptions{UID: true, Flags: true, ModSeq: true, InternalDate: true, RFC822Size: true, Envelope: true,
		BodyStructure: &imap.FetchItemBodyStructure{Extended: true}, BodySection: []*imap.FetchItemBodySection{section}}).Collect()
	if err != nil || len(msgs) != 1 {
		t.Fatalf("%v, %v", msgs, err)
	}
	m := msgs[0]
	if m.SeqNum != 2 || m.UID != 7 || len(m.Flags) != 2 || m.ModSeq != 99 || !m.InternalDate.Equal(date) || m.RFC822Size != 1234 {
		t.Errorf("%+v", m)
	}
	if e := m.Envelope; e.Subject != "grüße \"x\"" || len(e.From) != 1 || e.From[0].Addr() != "a@b" || e.MessageID != "1@x" {
		t.Errorf("%+v", e)
	}
	var types []string
	m.BodyStructure.Walk(func(_ []int, part imap.BodyStructure) bool { types = append(types, part.MediaType()); return true })
	if strings.Join(types, " ") != "multipart/mixed text/plain message/rfc822" {
		t.Errorf("%v", types)
	}
	if octets := m.FindBodySection(section); string(octets) != "octets\r\n" {
		t.Errorf("%q", octets)
	}
	want := &wire.Section{Label: "BODY", Peek: true, Part: []uint32{1, 2}, Specifier: "HEADER.FIELDS", Fields: []string{"From", "X Y"}, Partial: &wire.Partial{Offset: 3, Length: 8}}
	for _, item := range (<-got).(wire.Fetch).Items {
		if item.Name == "SECTION" && !reflect.DeepEqual(item.Section, want) {
			t.Errorf("%+v", item.Section)
		}
	}
}

func TestListStatusSearchWithGoIMAPClient(t *testing.T) {
	c := serve(t, func(w *wire.Writer, tag string, cmd wire.Command) {
		switch cmd := cmd.(type) {
		case wire.List:
			w.List(wire.ListEntry{Name: "INBOX", Attrs: []string{`\HasChildren`}, ChildInfo: []string{"SUBSCRIBED"}})
			w.List(wire.ListEntry{Name: "Entwürfe & mehr", OldName: "x y"})
			w.Raw("* STATUS ").Mailbox("INBOX").Raw(" (MESSAGES 3)").CRLF()
		case wire.Status:
			w.Raw("* STATUS ").Mailbox(cmd.Mailbox).Raw(" (UIDNEXT 5 HIGHESTMODSEQ 77)").CRLF()
		case wire.Search:
			w.ESearch(wire.ESearchResult{Tag: tag, UID: cmd.UID, Return: *cmd.Return, Found: imapnum.SetOf(3, 4, 5, 9).Ranges(), ModSeq: 8})
		}
	})
	list, err := c.List("", "*", &imap.ListOptions{SelectRecursiveMatch: true, SelectSubscribed: true, ReturnStatus: &imap.StatusOptions{NumMessages: true}}).Collect()
	if err != nil || len(list) != 2 {
		t.Fatalf("%v, %v", list, err)
	}
	if l := list[0]; l.Mailbox != "INBOX" || l.Delim != '/' || l.ChildInfo == nil || !l.ChildInfo.Subscribed {
		t.Errorf("%+v", l)
	}
	if l := list[1]; l.Mailbox != "Entwürfe & mehr" || l.OldName != "x y" {
		t.Errorf("%+v", l)
	}
	status, err := c.Status("Entwürfe", &imap.StatusOptions{UIDNext: true, HighestModSeq: true}).Wait()
	if err != nil || status.Mailbox != "Entwürfe" || status.UIDNext != 5 || status.HighestModSeq != 77 {
		t.Errorf("%+v, %v", status, err)
	}
	found, err := c.UIDSearch(&imap.SearchCriteria{Body: []string{"ü"}, Or: [][2]imap.SearchCriteria{{{Flag: []imap.Flag{imap.FlagSeen}}, {Larger: 5}}}},
		&imap.SearchOptions{ReturnAll: true, ReturnMin: true, ReturnCount: true}).Wait()
	if err != nil || found.Min != 3 || found.Count != 4 || found.All.String() != "3:5,9" || found.ModSeq != 8 {
		t.Errorf("%+v, %v", found, err)
	}
}
