package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"net"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/spf13/cobra"

	"github.com/quorumail/quorumail/node"
	"github.com/quorumail/quorumail/node/client"
	"github.com/quorumail/quorumail/proto/imapnum"
)

// devStart bounds the start of the whole cluster: replay of what was on disk,
// elections, accounts.
const devStart = 2 * time.Minute

// devLogCache is how many octets of log entries each of the three nodes keeps in
// memory. They are in one process, and nothing that was cut off needs the older
// ones.
const devLogCache = 8 << 20

// devUser is an account that dev creates.
type devUser struct{ name, password string }

// devConfig is the configuration of "quorumail dev".
type devConfig struct {
	data   string
	fronts frontConfig
	users  []devUser
	// setPasswords: the users were asked for, so that those who exist get the
	// password given. The default ones keep what they have.
	setPasswords bool
	demo         bool
}

// Validate says what is wrong with the configuration, or nil.
func (c *devConfig) Validate() error {
	if c.data == "" {
		return errors.New("dev: --data is empty")
	}
	if c.demo && len(c.users) == 0 {
		return errors.New("dev: --demo needs a user")
	}
	return c.fronts.validateListeners("dev")
}

func newDev(process *processFlags) *cobra.Command {
	var cfg devConfig
	users := []string{"alice@example.org:secret", "bob@example.org:secret"}
	cmd := &cobra.Command{
		Use:   "dev",
		Short: "Run a whole cluster in one process",
		Long: `Runs three storage nodes, an IMAP and an LMTP frontend in one process, on disk.
Prints "ready" when mail can be read and delivered. Started again on the same
--data, everything is still there. The first user is the administrator, who may set
quotas by IMAP, unless --admin says otherwise.`,
		Example: `  quorumail dev --demo
  curl -u alice@example.org:secret imap://127.0.0.1:1143/INBOX?ALL`,
		Args: exactArgs(0),
		RunE: func(cmd *cobra.Command, _ []string) error {
			var err error
			if cfg.users, err = parseUsers(users); err != nil {
				return usage(err)
			}
			cfg.setPasswords = cmd.Flags().Changed("user")
			if !cmd.Flags().Changed("admin") && len(cfg.users) > 0 {
				cfg.fronts.Admins = []string{cfg.users[0].name}
			}
			if err := cfg.Validate(); err != nil {
				return usage(err)
			}
			log, err := process.logger(cmd.ErrOrStderr())
			if err != nil {
				return err
			}
			raiseGOMAXPROCS(log)
			stopPprof, err := process.profiles.start(cmd.OutOrStdout(), log)
			if err != nil {
				return err
			}
			defer stopPprof()
			return runDev(cmd.Context(), &cfg, cmd.OutOrStdout(), cmd.ErrOrStderr(), log)
		},
	}
	flags := cmd.Flags()
	flags.StringVar(&cfg.data, "data", "quorumail-data", "`directory` for everything that is kept")
	flags.StringVar(&cfg.fronts.IMAP, "imap", "127.0.0.1:1143", "`address` for IMAP; empty: none")
	flags.StringVar(&cfg.fronts.LMTP, "lmtp", "127.0.0.1:1024", "`address` for LMTP; empty: none")
	flags.StringArrayVar(&users, "user", users, "an account as `name:password`; repeatable")
	flags.StringSliceVar(&cfg.fronts.Admins, "admin", nil, "an `account` whose user may set quotas by IMAP; repeatable; empty: nobody (default the first --user)")
	flags.BoolVar(&cfg.demo, "demo", false, "on the first start, fill the first user's INBOX with a few hundred messages")
	return cmd
}

// parseUsers reads name:password pairs.
func parseUsers(list []string) ([]devUser, error) {
	var users []devUser
	for _, s := range list {
		name, password, ok := strings.Cut(s, ":")
		if !ok || password == "" {
			return nil, fmt.Errorf("--user %q: want name:password", s)
		}
		account, err := imapnum.AccountName(name)
		if err != nil {
			return nil, fmt.Errorf("--user %q: %w", s, err)
		}
		users = append(users, devUser{account, password})
	}
	return users, nil
}

// runDev runs until ctx ends. What was started is stopped in reverse order:
// frontends finish their commands while there still is a cluster to do them.
func runDev(ctx context.Context, cfg *devConfig, stdout, stderr io.Writer, log *slog.Logger) (err error) {
	dir, err := openDevDir(cfg.data)
	if err != nil {
		return err
	}
	defer dir.Close()
	nodes, err := openDevNodes(ctx, dir, log)
	defer func() { err = errors.Join(err, closeDevNodes(ctx, nodes)) }()
	if err != nil {
		return err
	}
	addrs := slices.Sorted(maps.Values(dir.state.Nodes))
	c, err := client.New(client.Config{Nodes: addrs, Log: log})
	if err != nil {
		return err
	}
	defer c.Close()

	starting, cancel := context.WithTimeoutCause(ctx, devStart, fmt.Errorf("not ready after %v", devStart))
	defer cancel()
	if err := c.WaitReady(starting); err != nil {
		return stoppedOr(ctx, err)
	}
	if err := createUsers(starting, c, cfg); err != nil {
		return stoppedOr(ctx, err)
	}
	if err := fillDemo(ctx, c, cfg, dir, stderr); err != nil {
		return stoppedOr(ctx, err)
	}
	f, err := startFronts(c, &cfg.fronts, log)
	if err != nil {
		return err
	}
	printDev(stdout, cfg, f, addrs)
	fmt.Fprintln(stdout, "ready")
	return f.wait(ctx)
}

// stoppedOr is err, unless the process was told to stop: then that is why.
func stoppedOr(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return nil
	}
	return err
}

// openDevNodes starts the three nodes. On an error it returns those that it had
// started.
func openDevNodes(ctx context.Context, dir *devDir, log *slog.Logger) ([]*node.Node, error) {
	ids := []string{"n1", "n2", "n3"}
	listeners, err := dir.listen(ids)
	if err != nil {
		return nil, err
	}
	if err := dir.save(); err != nil {
		closeAll(listeners)
		return nil, err
	}
	var nodes []*node.Node
	for _, id := range ids {
		n, err := node.Open(ctx, node.Config{
			ID: id, DataDir: filepath.Join(dir.path, id), Listener: listeners[id],
			Peers: maps.Clone(dir.state.Nodes), Log: log, LogCache: devLogCache,
		})
		if err != nil {
			closeAll(listeners)
			return nodes, fmt.Errorf("dev: node %s: %w", id, err)
		}
		nodes = append(nodes, n)
	}
	return nodes, nil
}

func closeAll(listeners map[string]net.Listener) {
	for _, l := range listeners {
		l.Close()
	}
}

// closeDevNodes closes the nodes together: one after the other each would hand its
// leaderships to the next, which is about to stop too.
func closeDevNodes(ctx context.Context, nodes []*node.Node) error {
	ctx, cancel := graceful(ctx)
	defer cancel()
	errs := make([]error, len(nodes))
	var wg sync.WaitGroup
	for i, n := range nodes {
		wg.Go(func() { errs[i] = n.Close(ctx) })
	}
	wg.Wait()
	return errors.Join(errs...)
}

// createUsers makes sure that the accounts exist.
func createUsers(ctx context.Context, c *client.Client, cfg *devConfig) error {
	for _, u := range cfg.users {
		s := c.Session(u.name)
		_, err := s.GetAccount(ctx)
		switch {
		case errors.Is(err, client.ErrNoAccount):
			err = addUser(ctx, s, u.password, client.DefaultIterations, nil)
		case err == nil && cfg.setPasswords:
			err = setPassword(ctx, s, u.password, client.DefaultIterations)
		}
		if err != nil {
			return fmt.Errorf("dev: user %s: %w", u.name, err)
		}
	}
	return nil
}

// printDev says where to connect to.
func printDev(w io.Writer, cfg *devConfig, f *fronts, nodes []string) {
	f.print(w)
	fmt.Fprintf(w, "%-5s %s\n", "nodes", strings.Join(nodes, ","))
	for _, u := range cfg.users {
		if cfg.setPasswords {
			fmt.Fprintf(w, "%-5s %s\n", "user", u.name)
		} else { // that of the defaults is no secret
			fmt.Fprintf(w, "%-5s %s, password %s\n", "user", u.name, u.password)
		}
	}
}
