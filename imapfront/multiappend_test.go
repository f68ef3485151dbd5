package imapfront_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/quorumail/quorumail/node/nodetest"
)

// A MULTIAPPEND is all or nothing however large it is: bodies and what describes
// them do not fit into one entry here (RFC 3502, 6.3.11).
func TestMultiAppendLarge_RFC3502_6_3_11(t *testing.T) {
	cluster := nodetest.Start(t, nodetest.Options{Nodes: 1, Shards: 1})
	cluster.CreateAccount(t, "alice@example.org", "secret")
	addr, _ := front(t, cluster, nil)
	var to strings.Builder
	for i := range 400 {
		fmt.Fprintf(&to, " Somebody Number %d <somebody%d@department.example.org>,\r\n", i, i)
	}
	const n = 200
	var msgs strings.Builder
	for i := range n {
		mail := fmt.Sprintf("Subject: number %d\r\nTo: \r\n%s nobody@example.org\r\n\r\n%s\r\n", i, to.String(), strings.Repeat(fmt.Sprint(i*i*i), 1000))
		fmt.Fprintf(&msgs, " (\\Seen) {%d+}\r\n%s", len(mail), mail)
	}
	if msgs.Len() < 5<<20 {
		t.Fatalf("%d octets", msgs.Len())
	}
	got := talk(t, addr, "a login alice@example.org secret\r\nb append inbox"+msgs.String()+" {0+}\r\n\r\nc status inbox (messages)\r\n"+
		"d append inbox"+msgs.String()+"\r\ne status inbox (messages unseen)\r\nf examine inbox\r\ng fetch 200 (envelope body.peek[header.fields (subject)])\r\nz logout\r\n")
	for _, say := range []string{
		"b NO ", "* STATUS INBOX (MESSAGES 0)", "d OK [APPENDUID ", " 1:200] ", "* STATUS INBOX (MESSAGES 200 UNSEEN 0)",
		`NIL "somebody399" "department.example.org"`, "Subject: number 199\r\n", "z OK",
	} {
		if !strings.Contains(got, say) {
			t.Errorf("%q is missing in %.2500q", say, got)
		}
	}
	if strings.Contains(got, "\r\nd NO") {
		t.Error("refused")
	}
}

// 1,000 messages are one command; one more is too many, and then there are none.
func TestMultiAppendMany_RFC3502_6_3_11(t *testing.T) {
	cluster := nodetest.Start(t, nodetest.Options{Nodes: 1, Shards: 1})
	cluster.CreateAccount(t, "alice@example.org", "secret")
	addr, _ := front(t, cluster, nil)
	msgs := strings.Repeat(" {9+}\r\nA: b\r\n\r\nc", 1000)
	got := talk(t, addr, "a login alice@example.org secret\r\nb append inbox"+msgs+" {9+}\r\nA: b\r\n\r\nc\r\nc status inbox (messages)\r\n"+
		"d append inbox"+msgs+"\r\ne status inbox (messages)\r\nz logout\r\n")
	for _, say := range []string{"b NO [LIMIT]", "* STATUS INBOX (MESSAGES 0)", "d OK [APPENDUID ", " 1:1000] ", "* STATUS INBOX (MESSAGES 1000)", "z OK"} {
		if !strings.Contains(got, say) {
			t.Errorf("%q is missing in %.2500q", say, got)
		}
	}
}
