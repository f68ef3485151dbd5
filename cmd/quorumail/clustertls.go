package main

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"os"

	"github.com/spf13/pflag"
	"google.golang.org/grpc/credentials"
)

// clusterTLS secures what nodes, frontends and operators say to nodes, with
// certificates on both sides. The zero value means in the clear.
type clusterTLS struct {
	// CA is the file of the certificates that sign those of the cluster: whoever
	// has a certificate of it is let in.
	CA string `yaml:"ca"`
	// Cert and Key are the files of this process's own. A node's certificate names
	// the host that others reach it by.
	Cert string `yaml:"cert"`
	Key  string `yaml:"key"`
}

// addFlags adds the flags that set it.
func (c *clusterTLS) addFlags(flags *pflag.FlagSet) {
	flags.StringVar(&c.CA, "cluster-ca", "", "`file` of the CA certificates of the cluster; with it, nodes are reached by mutual TLS")
	flags.StringVar(&c.Cert, "cluster-cert", "", "`file` of this process's certificate in the cluster")
	flags.StringVar(&c.Key, "cluster-key", "", "`file` of its key")
}

// override takes the flags that were given from c into dst.
func (c *clusterTLS) override(flags *pflag.FlagSet, dst *clusterTLS) {
	override(flags, "cluster-ca", &dst.CA, c.CA)
	override(flags, "cluster-cert", &dst.Cert, c.Cert)
	override(flags, "cluster-key", &dst.Key, c.Key)
}

// Validate says what is wrong with the setting, or nil.
func (c *clusterTLS) Validate() error {
	set := 0
	for _, s := range []string{c.CA, c.Cert, c.Key} {
		if s != "" {
			set++
		}
	}
	if set != 0 && set != 3 {
		return errors.New("cluster TLS needs all of CA, certificate and key")
	}
	return nil
}

// credentials reads the files. Both results are nil for the zero value.
func (c *clusterTLS) credentials() (server, client credentials.TransportCredentials, err error) {
	if c.CA == "" {
		return nil, nil, nil
	}
	pem, err := os.ReadFile(c.CA)
	if err != nil {
		return nil, nil, fmt.Errorf("cluster TLS: %w", err)
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(pem) {
		return nil, nil, fmt.Errorf("cluster TLS: %s: no certificate in it", c.CA)
	}
	cert, err := tls.LoadX509KeyPair(c.Cert, c.Key)
	if err != nil {
		return nil, nil, fmt.Errorf("cluster TLS: %w", err)
	}
	base := tls.Config{MinVersion: tls.VersionTLS13, Certificates: []tls.Certificate{cert}}
	s, cl := base.Clone(), base.Clone()
	s.ClientCAs, s.ClientAuth = pool, tls.RequireAndVerifyClientCert
	cl.RootCAs = pool
	return credentials.NewTLS(s), credentials.NewTLS(cl), nil
}
