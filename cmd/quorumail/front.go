package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/url"
	"time"

	"github.com/spf13/cobra"

	"github.com/quorumail/quorumail/node/client"
	"github.com/quorumail/quorumail/proto/imapnum"
)

// frontStart bounds how long a frontend waits for the cluster before it gives up.
const frontStart = 2 * time.Minute

// frontConfig is the configuration of "quorumail front", as flags and as a file.
type frontConfig struct {
	// Nodes are storage nodes to learn the cluster from; one that answers is
	// enough.
	Nodes []string `yaml:"nodes"`
	// IMAP, IMAPS and LMTP are the addresses to listen on; empty: not to. IMAPS
	// speaks TLS from the first octet, IMAP after STARTTLS.
	IMAP  string `yaml:"imap"`
	IMAPS string `yaml:"imaps"`
	LMTP  string `yaml:"lmtp"`
	// Comment and Contact are told to mail clients that ask for the server's
	// annotations: a note for all users, and the URI of who runs it.
	Comment string `yaml:"comment"`
	Contact string `yaml:"contact"`
	// Admins are the accounts whose users may set quotas with IMAP's SETQUOTA, and
	// see those of all accounts.
	Admins []string `yaml:"admins"`
	// NoUnauthenticate takes IMAP's UNAUTHENTICATE away, for frontends behind a proxy
	// that checks who logs in.
	NoUnauthenticate bool `yaml:"no_unauthenticate"`
	// Scram offers IMAP's SCRAM-SHA-256, which clients then choose: those that use
	// Cyrus SASL refuse as many iterations as accounts have by default.
	Scram bool `yaml:"scram"`
	// TLS is what mail clients see. Without it, passwords travel in the clear.
	TLS clientTLS `yaml:"tls"`
	// Cluster secures the connections to the nodes.
	Cluster clusterTLS `yaml:"cluster_tls"`
}

// clientTLS names the files of a certificate chain and its key.
type clientTLS struct {
	Cert string `yaml:"cert"`
	Key  string `yaml:"key"`
}

// Validate says what is wrong with the configuration, or nil.
func (c *frontConfig) Validate() error {
	if len(c.Nodes) == 0 {
		return errors.New("front: config: no nodes given")
	}
	for _, n := range c.Nodes {
		if _, _, err := net.SplitHostPort(n); err != nil {
			return fmt.Errorf("front: config: node %q: %w", n, err)
		}
	}
	if err := c.Cluster.Validate(); err != nil {
		return fmt.Errorf("front: config: %w", err)
	}
	return c.validateListeners("front: config")
}

// validateListeners checks what dev has in common with front.
func (c *frontConfig) validateListeners(op string) error {
	if c.IMAP == "" && c.IMAPS == "" && c.LMTP == "" {
		return fmt.Errorf("%s: nothing to listen on: neither IMAP nor LMTP", op)
	}
	for name, addr := range map[string]string{"imap": c.IMAP, "imaps": c.IMAPS, "lmtp": c.LMTP} {
		if addr == "" {
			continue
		}
		if _, _, err := net.SplitHostPort(addr); err != nil {
			return fmt.Errorf("%s: %s %q: %w", op, name, addr, err)
		}
	}
	if c.Contact != "" {
		if u, err := url.Parse(c.Contact); err != nil || u.Scheme == "" {
			return fmt.Errorf("%s: contact: %q is no URI", op, c.Contact)
		}
	}
	for _, name := range c.Admins {
		if _, err := imapnum.AccountName(name); err != nil {
			return fmt.Errorf("%s: admin %q: %w", op, name, err)
		}
	}
	if (c.TLS.Cert == "") != (c.TLS.Key == "") {
		return fmt.Errorf("%s: TLS needs both certificate and key", op)
	}
	if c.IMAPS != "" && c.TLS.Cert == "" {
		return fmt.Errorf("%s: imaps needs a TLS certificate", op)
	}
	return nil
}

func newFront(process *processFlags) *cobra.Command {
	var file string
	var given frontConfig
	cmd := &cobra.Command{
		Use:   "front",
		Short: "Run an IMAP and LMTP frontend",
		Long: `Runs a frontend: IMAP for mail clients, LMTP for mail transfer agents. It keeps
nothing; any number of them serve the same mail.

Prints "ready" when it has reached all shards of the cluster and listens.`,
		Example: `  quorumail front --nodes 10.0.0.1:7000,10.0.0.2:7000,10.0.0.3:7000 \
      --imap :143 --imaps :993 --lmtp :24 --tls-cert mail.pem --tls-key mail.key`,
		Args: exactArgs(0),
		RunE: func(cmd *cobra.Command, _ []string) error {
			var cfg frontConfig
			if file != "" {
				if err := loadYAML(file, &cfg); err != nil {
					return err
				}
			}
			flags := cmd.Flags()
			override(flags, "nodes", &cfg.Nodes, given.Nodes)
			override(flags, "imap", &cfg.IMAP, given.IMAP)
			override(flags, "imaps", &cfg.IMAPS, given.IMAPS)
			override(flags, "lmtp", &cfg.LMTP, given.LMTP)
			override(flags, "comment", &cfg.Comment, given.Comment)
			override(flags, "contact", &cfg.Contact, given.Contact)
			override(flags, "admin", &cfg.Admins, given.Admins)
			override(flags, "no-unauthenticate", &cfg.NoUnauthenticate, given.NoUnauthenticate)
			override(flags, "scram", &cfg.Scram, given.Scram)
			override(flags, "tls-cert", &cfg.TLS.Cert, given.TLS.Cert)
			override(flags, "tls-key", &cfg.TLS.Key, given.TLS.Key)
			given.Cluster.override(flags, &cfg.Cluster)
			if err := cfg.Validate(); err != nil {
				return usage(err)
			}
			log, err := process.logger(cmd.ErrOrStderr())
			if err != nil {
				return err
			}
			stopPprof, err := process.profiles.start(cmd.OutOrStdout(), log)
			if err != nil {
				return err
			}
			defer stopPprof()
			return runFront(cmd.Context(), &cfg, cmd.OutOrStdout(), log)
		},
	}
	flags := cmd.Flags()
	flags.StringVar(&file, "config", "", "YAML `file`; flags win over it")
	flags.StringSliceVar(&given.Nodes, "nodes", nil, "`addresses` of storage nodes, with commas; one that answers is enough")
	flags.StringVar(&given.IMAP, "imap", "", "`address` for IMAP, with STARTTLS if there is a certificate")
	flags.StringVar(&given.IMAPS, "imaps", "", "`address` for IMAP over TLS")
	flags.StringVar(&given.LMTP, "lmtp", "", "`address` for LMTP")
	flags.StringVar(&given.Comment, "comment", "", "`text` for all users, which IMAP clients see as the server's comment")
	flags.StringVar(&given.Contact, "contact", "", "`URI` of who runs the server, as mailto:postmaster@example.org, for IMAP clients that ask")
	flags.StringSliceVar(&given.Admins, "admin", nil, "an `account` whose user may set quotas by IMAP; repeatable")
	flags.BoolVar(&given.Scram, "scram", false, "offer SCRAM-SHA-256; clients that use Cyrus SASL refuse the iterations that accounts have by default")
	flags.BoolVar(&given.NoUnauthenticate, "no-unauthenticate", false, "no UNAUTHENTICATE, for a frontend behind a proxy that checks who logs in")
	flags.StringVar(&given.TLS.Cert, "tls-cert", "", "PEM `file` of the certificate chain that mail clients see")
	flags.StringVar(&given.TLS.Key, "tls-key", "", "PEM `file` of its key")
	given.Cluster.addFlags(flags)
	return cmd
}

// runFront runs until ctx ends.
func runFront(ctx context.Context, cfg *frontConfig, stdout io.Writer, log *slog.Logger) error {
	_, creds, err := cfg.Cluster.credentials()
	if err != nil {
		return err
	}
	c, err := client.New(client.Config{Nodes: cfg.Nodes, TLS: creds, Log: log})
	if err != nil {
		return err
	}
	defer c.Close()
	starting, cancel := context.WithTimeoutCause(ctx, frontStart, fmt.Errorf("not ready after %v", frontStart))
	defer cancel()
	if err := c.WaitReady(starting); err != nil {
		return stoppedOr(ctx, fmt.Errorf("front: %w", err))
	}
	f, err := startFronts(c, cfg, log)
	if err != nil {
		return err
	}
	f.print(stdout)
	fmt.Fprintln(stdout, "ready")
	return f.wait(ctx)
}
