package session

import (
	"context"
	"crypto/tls"
	"errors"

	"github.com/quorumail/quorumail/imapfront/auth"
)

// The SASL mechanisms SCRAM-SHA-256 and SCRAM-SHA-256-PLUS (RFC 5802; RFC 7677). They
// are offered where PLAIN is: what is seen of an exchange lets passwords be tried
// at home, so it is for TLS too.
const (
	scramSHA256     = "SCRAM-SHA-256"
	scramSHA256Plus = "SCRAM-SHA-256-PLUS"
)

// binding is what the connection can be bound to (RFC 9266): nothing without TLS that
// ends here.
func (c *Conn) binding() auth.Binding {
	t, ok := c.net.(*tls.Conn)
	if !ok {
		return auth.Binding{}
	}
	state := t.ConnectionState()
	if !state.HandshakeComplete {
		return auth.Binding{}
	}
	b, err := auth.Exporter(&state)
	if err != nil {
		return auth.Binding{} // before TLS 1.3 without its extension (RFC 9266, 4.2)
	}
	return b
}

// scram runs the exchange; bound: with SCRAM-SHA-256-PLUS.
func (c *Conn) scram(ctx context.Context, msg []byte, bound bool) error {
	var answered bool
	var err error
	if msg == nil {
		if msg, answered, err = c.challenge(ctx, ""); answered {
			return err
		}
	}
	e, err := auth.NewExchange(ctx, c.binding(), bound, c.credentials, c.cfg.Secret)
	if err != nil {
		return c.fail("AUTHENTICATE", err)
	}
	first, err := e.First(string(msg))
	switch {
	case errors.Is(err, auth.ErrDenied):
		return c.failLogin("malformed response")
	case err != nil:
		return c.fail("AUTHENTICATE", err)
	}
	if msg, answered, err = c.challenge(ctx, first); answered {
		return err
	}
	last, account, identity, err := e.Final(string(msg))
	switch {
	case err != nil:
		return c.failLogin(err.Error())
	case !mayActAs(account, identity):
		return c.notAllowedToAct()
	}
	// The answer OK takes no data (RFC 9051, 6.2.2), so the last message is a challenge.
	if msg, answered, err = c.challenge(ctx, last); answered {
		return err
	}
	if len(msg) > 0 {
		return c.failLogin("malformed response")
	}
	return c.loggedIn(account)
}
