package wire

import (
	"errors"
	"strings"
	"testing"

	"github.com/quorumail/quorumail/proto/imapnum"
)

// acl prints the commands of RFC 4314.
func (p *printer) acl(cmd Command) {
	args := func(name, mailbox string, strs ...string) {
		p.WriteString(name + " ")
		p.mailbox(mailbox)
		for _, s := range strs {
			p.WriteByte(' ')
			p.str(s)
		}
	}
	switch c := cmd.(type) {
	case SetACL:
		op := ""
		if c.Op != 0 {
			op = string(c.Op)
		}
		args("setacl", c.Mailbox, c.Identifier, op+c.Rights.String())
	case DeleteACL:
		args("deleteacl", c.Mailbox, c.Identifier)
	case GetACL:
		args("getacl", c.Mailbox)
	case ListRights:
		args("listrights", c.Mailbox, c.Identifier)
	case MyRights:
		args("myrights", c.Mailbox)
	}
}

func TestACLCommands_RFC4314_7(t *testing.T) {
	rights := func(s string) imapnum.Rights {
		r, err := imapnum.ParseRights(s)
		if err != nil {
			t.Fatal(err)
		}
		return r
	}
	check(t, map[string]Command{
		`setacl INBOX/Drafts David lrswida`:           SetACL{"INBOX/Drafts", "David", 0, rights("lrswitea")},
		`SetACL inbox/Drafts "Chris" +cda`:            SetACL{"INBOX/Drafts", "Chris", '+', rights("kxtea")},
		`setacl a -fred "-w"`:                         SetACL{"a", "-fred", '-', rights("w")},
		`setacl a anyone ""`:                          SetACL{"a", "anyone", 0, 0},
		`setacl a anyone +`:                           SetACL{"a", "anyone", '+', 0},
		"setacl a {3}\r\n-\xc3\xa4 {2}\r\nlr":         SetACL{"a", "-ä", 0, rights("lr")},
		`deleteacl INBOX "b c"`:                       DeleteACL{"INBOX", "b c"},
		`GETACL "Other Users/a@b/x"`:                  GetACL{"Other Users/a@b/x"},
		`listrights ~/Mail/saved smith`:               ListRights{"~/Mail/saved", "smith"},
		`MyRights inbox`:                              MyRights{"INBOX"},
		`list "" % return (myrights)`:                 List{Patterns: []string{"%"}, Extended: true, Return: ListReturn{MyRights: true}},
		`list "" % return (MYRIGHTS status (unseen))`: List{Patterns: []string{"%"}, Extended: true, Return: ListReturn{MyRights: true, Status: []StatusItem{"UNSEEN"}}},
	})
}

// An unknown right is BAD, and never passed over (RFC 4314, 3.1).
func TestBadACLCommands_RFC4314_3_1(t *testing.T) {
	for _, in := range []string{
		"setacl", "setacl INBOX", "setacl INBOX bob", "setacl INBOX bob lrq", "setacl INBOX bob lR", "setacl INBOX bob +-l", "setacl INBOX bob 1",
		"setacl INBOX bob l r", "setacl INBOX bob (l)", "deleteacl", "deleteacl INBOX", "deleteacl INBOX bob x", "getacl", "getacl INBOX x",
		"listrights INBOX", "listrights INBOX bob x", "myrights", "myrights INBOX x", `list "" % return (myrights ())`,
	} {
		r := NewReader(strings.NewReader("a "+in+"\r\nb noop\r\n"), Limits{}, nil)
		_, cmd, err := r.ReadCommand()
		var syntax *SyntaxError
		if !errors.As(err, &syntax) || syntax.No {
			t.Errorf("%q is %+v, %v", in, cmd, err)
		}
		if tag, _, err := r.ReadCommand(); tag != "b" || err != nil {
			t.Errorf("%q: then %s, %v", in, tag, err)
		}
	}
}

func TestACLResponses_RFC4314_7(t *testing.T) {
	const lr = imapnum.RightLookup | imapnum.RightRead
	for want, print := range map[string]func(w *Writer){
		"* ACL INBOX\r\n": func(w *Writer) { w.ACL("INBOX", nil) },
		"* ACL \"a b\" bob lr -fred td {2}\r\nü \"\"\r\n": func(w *Writer) {
			w.ACL("a b", []ACLEntry{{"bob", lr}, {"-fred", imapnum.RightDeleted}, {"ü", 0}})
		},
		"* MYRIGHTS INBOX lrswipkxteacd\r\n":                    func(w *Writer) { w.MyRights("INBOX", imapnum.AllRights) },
		"* MYRIGHTS a&APw- \"\"\r\n":                            func(w *Writer) { w.MyRights("aü", 0) },
		"* LISTRIGHTS a bob \"\" l r s w i p k x t e a c d\r\n": func(w *Writer) { w.ListRights("a", "bob", 0, true) },
		"* LISTRIGHTS a bob lrswipkxteacd\r\n":                  func(w *Writer) { w.ListRights("a", "bob", imapnum.AllRights, true) },
		"* LISTRIGHTS a -bob \"\"\r\n":                          func(w *Writer) { w.ListRights("a", "-bob", 0, false) },
	} {
		var sb strings.Builder
		w := NewWriter(&sb)
		print(w)
		if err := w.Flush(); err != nil || sb.String() != want {
			t.Errorf("got  %q, %v\nwant %q", sb.String(), err, want)
		}
	}
}
