package main

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// rsaFiles writes a key and its certificate as an operator has them.
func rsaFiles(t *testing.T) clientTLS {
	t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	tmpl := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour), DNSNames: []string{"localhost"}}
	cert, err := x509.CreateCertificate(rand.Reader, tmpl, tmpl, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	files := clientTLS{Cert: filepath.Join(dir, "cert.pem"), Key: filepath.Join(dir, "key.pem")}
	for file, block := range map[string]*pem.Block{
		files.Cert: {Type: "CERTIFICATE", Bytes: cert},
		files.Key:  {Type: "RSA PRIVATE KEY", Bytes: x509.MarshalPKCS1PrivateKey(key)},
	} {
		if err := os.WriteFile(file, pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return files
}

// RFC 9051, 11.1: TLS 1.2 with the suite that all have, and TLS 1.3; RFC 8996: nothing
// older.
func TestClientTLS_RFC9051_11_1(t *testing.T) {
	files := rsaFiles(t)
	server, err := files.load()
	if err != nil {
		t.Fatal(err)
	}
	for version, suites := range map[uint16][]uint16{
		tls.VersionTLS10: nil,
		tls.VersionTLS11: nil,
		tls.VersionTLS12: {tls.TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256},
		tls.VersionTLS13: nil,
	} {
		there, here := net.Pipe()
		deadline := time.Now().Add(30 * time.Second)
		if err := here.SetDeadline(deadline); err != nil {
			t.Fatal(err)
		}
		served := make(chan error, 1)
		go func() {
			err := tls.Server(there, server).Handshake()
			_ = there.Close() // the client has been told
			served <- err
		}()
		client := tls.Client(here, &tls.Config{ //nolint:gosec // old versions and the test's own certificate
			MinVersion: version, MaxVersion: version, CipherSuites: suites, InsecureSkipVerify: true,
		})
		err := client.Handshake()
		_ = here.Close() // or the server would wait
		if ok, wanted := err == nil, version >= tls.VersionTLS12; ok != wanted {
			t.Errorf("%s: %v, by the server %v", tls.VersionName(version), err, <-served)
		}
	}
	if cfg, err := (&clientTLS{}).load(); cfg != nil || err != nil {
		t.Errorf("without files: %v, %v", cfg, err)
	}
}
