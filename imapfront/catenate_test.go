package imapfront_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/quorumail/quorumail/imapfront"
	"github.com/quorumail/quorumail/imapfront/wire"
	"github.com/quorumail/quorumail/node/nodetest"
)

// Parts of many chunks are catenated octet by octet; what would be larger than a
// message may be is refused, wherever that shows (RFC 4469, 4.2).
func TestCatenateLarge_RFC4469_3(t *testing.T) {
	cluster := nodetest.Start(t, nodetest.Options{Nodes: 1, Shards: 1})
	cluster.CreateAccount(t, "alice@example.org", "secret")
	addr, _ := front(t, cluster, func(cfg *imapfront.Config) { cfg.Limits = wire.Limits{Append: 3 << 20} })
	var body strings.Builder
	for i := range 70_000 {
		fmt.Fprintf(&body, "line %d\r\n", i*i)
	}
	head := "Subject: large\r\n" + strings.Repeat("X-Filler: "+strings.Repeat("x", 70)+"\r\n", 2000) + "\r\n"
	mail := head + body.String()
	if len(mail) < 1<<20 || len(mail) > 3<<19 {
		t.Fatalf("%d octets", len(mail))
	}
	url := "/inbox/;uid=1"
	got := talk(t, addr, fmt.Sprintf("a login alice@example.org secret\r\nb append inbox {%d+}\r\n%s\r\n", len(mail), mail)+
		"c append inbox catenate (url "+url+"/;section=text text {5+}\r\n\r\nab\n url "+url+"/;section=header/;partial=100000)\r\n"+
		"d append inbox catenate (url "+url+" url "+url+" url "+url+")\r\n"+
		"e append inbox catenate (url "+url+" url "+url+" text {1000000+}\r\n"+strings.Repeat("x", 1_000_000)+")\r\n"+
		"f append inbox catenate (url "+url+strings.Repeat(" url \""+url+"/;section=header.fields%20(x-filler)\"", 20)+")\r\n"+
		"g append inbox catenate (url "+url+"/;partial=0.1"+strings.Repeat(" url "+url+"/;partial=0.1", 1000)+")\r\n"+
		"h examine inbox\r\ni fetch 2 body.peek[]\r\nz logout\r\n")
	want := body.String() + "\r\nab\n" + head[100_000:]
	for _, say := range []string{
		"b OK [APPENDUID ", "c OK [APPENDUID ", "d NO [TOOBIG]", "e NO [TOOBIG]", "f NO [TOOBIG]", "g NO [LIMIT]", "* 2 EXISTS",
		fmt.Sprintf("BODY[] {%d}\r\n%s)", len(want), want),
	} {
		if !strings.Contains(got, say) {
			t.Errorf("%.60q is missing in %.1500q", say, got)
		}
	}
}
