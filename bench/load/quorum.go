package load

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/quorumail/quorumail/bench/fault"
)

// quorumail is a cluster of processes: three storage nodes, a frontend in the
// clear that scenarios drive, and a second one that speaks TLS, where sessions
// idle.
type quorumail struct {
	*fault.Cluster
	target Target
	trust  *tls.Config
	flags  [2][]string // of the frontends, which keep their ports
	fronts []*fault.Process
}

// stopTimeout is how long a process may take to stop.
const stopTimeout = 30 * time.Second

// startQuorumail starts a cluster below dir; binary empty means this one.
func startQuorumail(ctx context.Context, binary, dir string) (*Target, func() error, error) {
	var err error
	if binary, err = binaryOr(binary); err != nil {
		return nil, nil, err
	}
	dir = filepath.Join(dir, "quorumail")
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, nil, err
	}
	q := &quorumail{target: Target{
		Name: "Quorumail", Version: "Quorumail " + binaryVersion(ctx, binary) + " (three storage nodes, two frontends)",
		Accounts: benchAccounts(),
	}}
	cert, err := q.certify(dir)
	if err != nil {
		return nil, nil, err
	}
	if err := q.chooseFlags(cert); err != nil {
		return nil, nil, err
	}
	if q.Cluster, err = fault.StartCluster(ctx, binary, dir, 3, 0); err != nil {
		return nil, nil, err
	}
	if err := q.setUp(ctx); err != nil {
		return nil, nil, errors.Join(err, q.Close())
	}
	return &q.target, q.Close, nil
}

// binaryVersion is what the binary says of itself, as far as it does.
func binaryVersion(ctx context.Context, binary string) string {
	out, err := exec.CommandContext(ctx, binary, "version").Output()
	if err != nil {
		return "of unknown version"
	}
	line, _, _ := strings.Cut(string(out), "\n")
	return strings.TrimPrefix(line, "quorumail ")
}

// setUp starts the frontends and creates the accounts.
func (q *quorumail) setUp(ctx context.Context) error {
	if err := q.startFronts(ctx); err != nil {
		return err
	}
	err := parallel(ctx, len(q.target.Accounts), 4, func(ctx context.Context, i int) error {
		return q.AddUser(ctx, q.target.Accounts[i].Name, q.target.Accounts[i].Password)
	})
	if err != nil {
		return err
	}
	q.target.Restart = q.restart
	q.target.Memory = func() ([]int, error) { return []int{q.fronts[1].PID()}, nil }
	q.target.Processes = func() map[string]int {
		pids := map[string]int{"frontend": q.fronts[0].PID()}
		for _, id := range q.Nodes() {
			pids["node "+id] = q.Node(id).PID()
		}
		return pids
	}
	return nil
}

// chooseFlags chooses the frontends' ports.
func (q *quorumail) chooseFlags(cert [2]string) error {
	addrs := make([]string, 3)
	for i := range addrs {
		lis, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			return err
		}
		defer lis.Close() // all are held until all are chosen
		addrs[i] = lis.Addr().String()
	}
	q.flags[0] = []string{"--imap", addrs[0], "--lmtp", addrs[1]}
	q.flags[1] = []string{"--imaps", addrs[2], "--tls-cert", cert[0], "--tls-key", cert[1]}
	q.target.IMAP = []Endpoint{{Addr: addrs[0]}, {Addr: addrs[2], TLS: q.trust}}
	q.target.LMTP = addrs[1]
	return nil
}

func (q *quorumail) startFronts(ctx context.Context) error {
	q.fronts = nil
	for i, flags := range q.flags {
		p, err := q.StartFront(ctx, fmt.Sprintf("bench-front%d", i+1), flags...)
		if err != nil {
			return err
		}
		q.fronts = append(q.fronts, p)
	}
	return nil
}

// restart stops all processes in order and starts them again.
func (q *quorumail) restart(ctx context.Context) error {
	for _, p := range q.fronts {
		if err := p.Stop(stopTimeout); err != nil {
			return err
		}
	}
	ids := q.Nodes()
	// All at once: a node that stops alone hands its leaderships over.
	err := parallel(ctx, len(ids), len(ids), func(_ context.Context, i int) error {
		return q.Node(ids[i]).Stop(stopTimeout)
	})
	if err != nil {
		return err
	}
	for _, id := range ids {
		if err := q.StartNode(ctx, id); err != nil {
			return err
		}
	}
	return q.startFronts(ctx)
}

// certify makes a certificate for the second frontend, for this run only, and
// returns the files of certificate and key.
func (q *quorumail) certify(dir string) (files [2]string, err error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return files, err
	}
	now := time.Now()
	template := &x509.Certificate{
		SerialNumber: big.NewInt(now.UnixNano()), Subject: pkix.Name{CommonName: "bench"},
		NotBefore: now.Add(-time.Hour), NotAfter: now.AddDate(0, 0, 7),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		KeyUsage:    x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign, IsCA: true, BasicConstraintsValid: true,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	cert, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		return files, err
	}
	secret, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return files, err
	}
	files = [2]string{filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")}
	certPEM := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: cert})
	if err := os.WriteFile(files[0], certPEM, 0o600); err != nil {
		return files, err
	}
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(certPEM)
	q.trust = &tls.Config{RootCAs: pool}
	return files, os.WriteFile(files[1], pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: secret}), 0o600)
}
