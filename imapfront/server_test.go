package imapfront_test

import (
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
