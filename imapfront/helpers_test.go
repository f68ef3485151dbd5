package imapfront_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"math/big"
	"testing"
	"time"

	"github.com/quorumail/quorumail/node/nodetest"
)

// certificate makes a certificate for a test's server.
func certificate(t testing.TB) tls.Certificate {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	tmpl := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour), DNSNames: []string{"localhost"}}
	der, err := x509.CreateCertificate(rand.Reader, tmpl, tmpl, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
}

// another returns what makes more accounts for a transcript of user's, each in
// another shard than the one before, if there are several.
func another(t testing.TB, c *nodetest.Cluster, user string) func() string {
	n := 0
	last := c.ShardOf(user)
	return func() string {
		t.Helper()
		for tries := 0; ; tries++ {
			n++
			name := fmt.Sprintf("friend%d-of-%s", n, user)
			if shard := c.ShardOf(name); shard != last || tries == 100 {
				last = shard
				c.CreateAccount(t, name, "secret")
				return name
			}
		}
	}
}
