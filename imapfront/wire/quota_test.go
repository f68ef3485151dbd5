package wire

import (
	"errors"
	"fmt"
	"strings"
	"testing"
)

// quota prints the commands of RFC 9208.
func (p *printer) quota(cmd Command) {
	switch c := cmd.(type) {
	case GetQuota:
		p.WriteString("getquota ")
		p.str(c.Root)
	case GetQuotaRoot:
		p.WriteString("getquotaroot ")
		p.mailbox(c.Mailbox)
	case SetQuota:
		p.WriteString("setquota ")
		p.str(c.Root)
		p.WriteByte(' ')
		p.list(len(c.Limits), func(i int) { fmt.Fprintf(p, "%s %d", c.Limits[i].Resource, c.Limits[i].Limit) })
	}
}

func TestQuota_RFC9208_7(t *testing.T) {
	check(t, map[string]Command{
		`getquota "!partition/sda4"`:           GetQuota{"!partition/sda4"},
		`GetQuota ""`:                          GetQuota{""},
		"getquota {11}\r\n#user/alice":         GetQuota{"#user/alice"},
		`getquotaroot inbox`:                   GetQuotaRoot{"INBOX"},
		`getquotaroot "to come"`:               GetQuotaRoot{"to come"},
		`setquota "#user/alice" (STORAGE 510)`: SetQuota{"#user/alice", []QuotaLimit{{"STORAGE", 510}}},
		`setquota "" ()`:                       SetQuota{Root: ""},
		`SetQuota x (storage 0 Message 9223372036854775807 mailbox 1 annotation-storage 2 x-new 3)`: SetQuota{"x", []QuotaLimit{
			{"STORAGE", 0}, {"MESSAGE", 1<<63 - 1}, {"MAILBOX", 1}, {"ANNOTATION-STORAGE", 2}, {"X-NEW", 3},
		}},
	})
}

func TestQuotaMistakes_RFC9208_7(t *testing.T) {
	many := strings.Builder{}
	for i := range maxQuotaLimits + 1 {
		fmt.Fprintf(&many, " x%d 1", i)
	}
	for _, in := range []string{
		"getquota", "getquota ", "getquota (x)", "getquota x y", "getquotaroot", "getquotaroot ()", "getquotaroot x y",
		"setquota", "setquota x", "setquota x STORAGE 1", "setquota x (STORAGE)", "setquota x (STORAGE 1 2)", "setquota x (STORAGE -1)",
		"setquota x (STORAGE 9223372036854775808)", "setquota x (STORAGE 1 storage 2)", "setquota x (\"STORAGE\" 1)", "setquota x (STORAGE 1) y",
		"setquota x ( )", "setquota x (STORAGE 1", "setquota x (STORAGE 1k)", "setquota (STORAGE 1)", "setquota x (" + many.String()[1:] + ")",
	} {
		r := NewReader(strings.NewReader("a "+in+"\r\nb noop\r\n"), Limits{}, func() error { return errors.New("asked for") })
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

func TestQuotaResponses_RFC9208_4_2(t *testing.T) {
	var sb strings.Builder
	w := NewWriter(&sb)
	w.Quota("alice@example.org", []Quota{{"STORAGE", 10, 512}, {"MESSAGE", 1<<63 - 1, 0}})
	w.Quota("", nil)
	w.QuotaRoot("INBOX", "alice@example.org", "")
	w.QuotaRoot("Müll")
	w.QuotaRoot("a b", "a\"b")
	if err := w.Flush(); err != nil {
		t.Fatal(err)
	}
	want := "* QUOTA alice@example.org (STORAGE 10 512 MESSAGE 9223372036854775807 0)\r\n" +
		"* QUOTA \"\" ()\r\n" +
		"* QUOTAROOT INBOX alice@example.org \"\"\r\n" +
		"* QUOTAROOT M&APw-ll\r\n" +
		"* QUOTAROOT \"a b\" \"a\\\"b\"\r\n"
	if sb.String() != want {
		t.Errorf("printed\n%s\nwant\n%s", sb.String(), want)
	}
}
