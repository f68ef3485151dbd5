package imapfront_test

import (
	"strings"
	"testing"

	"github.com/quorumail/quorumail/imapfront"
	"github.com/quorumail/quorumail/node/nodetest"
)

func TestContactIsURI_RFC5464_3_2_1_1(t *testing.T) {
	c := nodetest.Start(t, nodetest.Options{Nodes: 1, Shards: 1}).Client(t)
	for contact, ok := range map[string]bool{
		"": true, "mailto:postmaster@example.org": true, "tel:+4930123456": true, "https://example.org/help": true,
		"postmaster@example.org": false, "+49 30 123456": false, ":": false, "mailto:%zz": true,
	} {
		_, err := imapfront.New(imapfront.Config{Client: c, Contact: contact})
		if (err == nil) != ok {
			t.Errorf("%q: %v", contact, err)
		}
	}
}

// UNAUTHENTICATE can be taken away (RFC 8437, 8).
func TestNoUnauthenticate_RFC8437_8(t *testing.T) {
	cluster := nodetest.Start(t, nodetest.Options{Nodes: 1, Shards: 1})
	cluster.CreateAccount(t, "alice", "secret")
	for _, off := range []bool{false, true} {
		addr, _ := front(t, cluster, func(cfg *imapfront.Config) { cfg.NoUnauthenticate = off })
		got := talk(t, addr, "a login alice secret\r\nb capability\r\nc unauthenticate\r\nd logout\r\n")
		answer := "c OK"
		if off {
			answer = "c BAD"
		}
		if strings.Contains(got, "REPLACE UNAUTHENTICATE ") == off || !strings.Contains(got, answer) {
			t.Errorf("off: %v: %q", off, got)
		}
	}
}
