package load

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"time"

	"github.com/quorumail/quorumail/bench/traffic"
)

// Account is a mail account of a target.
type Account struct {
	Name, Password string
}

// Endpoint is where a server listens.
type Endpoint struct {
	// Addr is host and port.
	Addr string
	// TLS is spoken from the first octet; nil means in the clear.
	TLS *tls.Config
}

// Target is a mail server as scenarios see it. What it lacks, scenarios that
// need it pass over.
type Target struct {
	// Name is for tables.
	Name string
	// Version is what the server calls itself.
	Version string
	// IMAP are its frontends, at least one. Scenarios drive the first; those about
	// several sessions watch on the last.
	IMAP []Endpoint
	// LMTP is where mail comes in; empty if nowhere.
	LMTP string
	// Accounts are at least one; the more, the more of them scenarios with many
	// clients use.
	Accounts []Account
	// Restart stops the server and starts it again on the same data; it returns
	// when the server greets. Nil if it can't be.
	Restart func(ctx context.Context) error
	// Memory returns the processes that hold the sessions of the last IMAP
	// frontend; nil if they are not known.
	Memory func() ([]int, error)
	// Processes names all processes of the server, to tell how much memory a
	// large message takes there; nil if they are not known.
	Processes func() map[string]int
	// MaxIdle bounds how many idle sessions it is asked to hold; 0: no bound.
	MaxIdle int
}

// Validate says what is wrong with the target, or nil.
func (t *Target) Validate() error {
	switch {
	case len(t.IMAP) == 0:
		return errors.New("load: target without an IMAP address")
	case len(t.Accounts) == 0:
		return errors.New("load: target without accounts")
	}
	return nil
}

// account returns the i-th account, again from the first after the last.
func (t *Target) account(i int) Account { return t.Accounts[i%len(t.Accounts)] }

// login returns an authenticated connection to a frontend.
func (t *Target) login(ctx context.Context, at Endpoint, acct Account, buffer int) (*traffic.Conn, error) {
	return t.loginBy(ctx, traffic.Dialer{Buffer: buffer}, at, acct)
}

// loginBy is login with a dialer of the caller's.
func (t *Target) loginBy(ctx context.Context, d traffic.Dialer, at Endpoint, acct Account) (*traffic.Conn, error) {
	d.TLS, d.Timeout = at.TLS, commandTimeout
	c, err := d.Dial(ctx, at.Addr)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", t.Name, err)
	}
	if err := c.Login(acct.Name, acct.Password); err != nil {
		c.Close()
		return nil, fmt.Errorf("%s: account %s: %w", t.Name, acct.Name, err)
	}
	return c, nil
}

// commandTimeout bounds each command: generous, since a COPY of many messages
// on a busy machine is one.
const commandTimeout = 3 * time.Minute

// open returns an authenticated connection to the first frontend.
func (t *Target) open(ctx context.Context, acct Account) (*traffic.Conn, error) {
	return t.login(ctx, t.IMAP[0], acct, 0)
}

// openAll returns one connection for each of n clients, the i-th of account i.
func (t *Target) openAll(ctx context.Context, n int) (conns []*traffic.Conn, closeAll func(), err error) {
	conns = make([]*traffic.Conn, n)
	closeAll = func() {
		for _, c := range conns {
			if c != nil {
				c.Close()
			}
		}
	}
	err = parallel(ctx, n, 16, func(ctx2 context.Context, i int) error {
		var err error
		conns[i], err = t.open(ctx, t.account(i)) // ctx: the connection outlives ctx2
		return err
	})
	if err != nil {
		closeAll()
		return nil, nil, err
	}
	return conns, closeAll, nil
}
