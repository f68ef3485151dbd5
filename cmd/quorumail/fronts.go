package main

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"sync"

	"github.com/quorumail/quorumail/imapfront"
	"github.com/quorumail/quorumail/lmtpfront"
	"github.com/quorumail/quorumail/node/client"
)

// server is what imapfront and lmtpfront have in common.
type server interface {
	// Serve returns nil after Shutdown.
	Serve(net.Listener) error
	// Shutdown lets commands end until ctx does, then cuts them off.
	Shutdown(ctx context.Context) error
}

// fronts are the frontends that run in this process.
type fronts struct {
	log     *slog.Logger
	running []front
	failed  chan error // what Serve returned, if it was an error
	wg      sync.WaitGroup
}

// front is one listener with its server.
type front struct {
	name, addr string
	server     server
}

// startFronts opens the listeners that cfg names and serves them. All are open
// when it returns; on an error none is.
func startFronts(c *client.Client, cfg *frontConfig, log *slog.Logger) (*fronts, error) {
	tlsConfig, err := cfg.TLS.load()
	if err != nil {
		return nil, err
	}
	imap := imapfront.Config{Client: c, TLS: tlsConfig, Log: log, Version: version(), Comment: cfg.Comment, Contact: cfg.Contact, Admins: cfg.Admins, NoUnauthenticate: cfg.NoUnauthenticate, Scram: cfg.Scram}
	imaps := imap
	imaps.Implicit = true
	f := &fronts{log: log, failed: make(chan error, 3)}
	var listeners []net.Listener
	for _, want := range []struct {
		name, addr string
		server     func() (server, error)
	}{
		{"IMAP", cfg.IMAP, func() (server, error) { return imapfront.New(imap) }},
		{"IMAPS", cfg.IMAPS, func() (server, error) { return imapfront.New(imaps) }},
		{"LMTP", cfg.LMTP, func() (server, error) {
			return lmtpfront.New(lmtpfront.Config{Client: c, TLS: tlsConfig, Log: log})
		}},
	} {
		if want.addr == "" {
			continue
		}
		lis, err := net.Listen("tcp", want.addr)
		if err == nil {
			listeners = append(listeners, lis)
			var srv server
			if srv, err = want.server(); err == nil {
				f.running = append(f.running, front{want.name, lis.Addr().String(), srv})
			}
		}
		if err != nil {
			for _, l := range listeners {
				l.Close()
			}
			return nil, fmt.Errorf("%s: %w", want.name, err)
		}
	}
	for i, lis := range listeners {
		f.wg.Go(func() {
			if err := f.running[i].server.Serve(lis); err != nil {
				f.failed <- fmt.Errorf("%s: %w", f.running[i].name, err)
			}
		})
		log.Info("frontend listens", "protocol", f.running[i].name, "addr", f.running[i].addr, "tls", tlsConfig != nil)
	}
	return f, nil
}

// load reads the files; nil without any.
func (c *clientTLS) load() (*tls.Config, error) {
	if c.Cert == "" {
		return nil, nil
	}
	cert, err := tls.LoadX509KeyPair(c.Cert, c.Key)
	if err != nil {
		return nil, fmt.Errorf("TLS: %w", err)
	}
	// RFC 8996: nothing below TLS 1.2.
	return &tls.Config{MinVersion: tls.VersionTLS12, Certificates: []tls.Certificate{cert}}, nil
}

// print tells where each listens, one line each.
func (f *fronts) print(w io.Writer) {
	for _, r := range f.running {
		fmt.Fprintf(w, "%-5s %s\n", r.name, r.addr)
	}
}

// wait serves until ctx ends or a server fails, then stops all of them.
func (f *fronts) wait(ctx context.Context) error {
	var err error
	select {
	case <-ctx.Done():
	case err = <-f.failed:
	}
	f.log.Info("frontends stop")
	stopping, cancel := graceful(ctx)
	defer cancel()
	var stopped sync.WaitGroup
	for _, r := range f.running {
		stopped.Go(func() {
			if err := r.server.Shutdown(stopping); err != nil {
				f.log.Warn("clients were cut off", "protocol", r.name, "err", err)
			}
		})
	}
	stopped.Wait()
	f.wg.Wait()
	close(f.failed)
	for more := range f.failed {
		err = errors.Join(err, more)
	}
	return err
}
