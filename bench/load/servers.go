package load

import (
	"context"
	"fmt"
	"os"
	"path/filepath"

	"github.com/quorumail/quorumail/bench/dovecot"
)

// serverAccounts is how many accounts the servers of a comparison have: one for
// each client of the scenarios with many.
const serverAccounts = 64

// benchAccounts are those that servers are set up with.
func benchAccounts() []Account {
	list := make([]Account, serverAccounts)
	for i := range list {
		list[i] = Account{Name: fmt.Sprintf("bench%02d@example.org", i), Password: "measured"}
	}
	return list
}

// dovecotIdle bounds the idle sessions that Dovecot is asked to hold: each is a
// process of half a mebibyte and more, and its price doesn't fall with the
// number.
const dovecotIdle = 200

// startDovecot starts a private Dovecot below dir.
func startDovecot(ctx context.Context, dir string) (*Target, func() error, error) {
	version, err := dovecot.Version(ctx)
	if err != nil {
		return nil, nil, err
	}
	t := &Target{
		Name: "Dovecot", Version: "Dovecot " + version + " (sdbox, its defaults, fsync on, single copy)",
		Accounts: benchAccounts(), MaxIdle: dovecotIdle,
	}
	cfg := dovecot.Config{Dir: filepath.Join(dir, "dovecot"), Users: make(map[string]string)}
	for _, a := range t.Accounts {
		cfg.Users[a.Name] = a.Password
	}
	if err := os.MkdirAll(cfg.Dir, 0o755); err != nil {
		return nil, nil, err
	}
	s, err := dovecot.Start(ctx, cfg)
	if err != nil {
		return nil, nil, err
	}
	t.IMAP = []Endpoint{{Addr: s.Addr()}}
	t.Restart = s.Restart
	t.Memory = func() ([]int, error) { return processTree(s.Pid()) }
	return t, s.Close, nil
}
