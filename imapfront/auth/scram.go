package auth

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"crypto/tls"
	"errors"

	"github.com/xdg-go/scram"

	"github.com/quorumail/quorumail/proto/imapnum"
	pb "github.com/quorumail/quorumail/proto/quorumail/v1"
)

// Exchange is one authentication by SCRAM-SHA-256 (RFC 5802; RFC 7677): First, then
// Final. It needs what is stored of the password and never the password, and costs a
// few hashes.
//
// For a name that no account has it goes on to the end as for one that has, and ends
// in ErrDenied: with a salt that is the same each time, on each frontend of a
// cluster, and as many iterations as accounts have unless they were made otherwise.
// So neither tells which accounts exist.
type Exchange struct {
	server *scram.Server
	conv   *scram.ServerConversation

	account string // once First is done
	known   bool   // there is such an account, and it has a password
	failed  error  // of the lookup
}

// Binding is what a TLS connection can be told by (RFC 5056); the zero value: by
// nothing.
type Binding = scram.ChannelBinding

// Exporter returns what a TLS connection can be bound to by tls-exporter (RFC 9266).
func Exporter(state *tls.ConnectionState) (Binding, error) { return scram.NewTLSExporterBinding(state) }

// NewExchange begins an authentication on a connection. required: the mechanism is
// SCRAM-SHA-256-PLUS, which is bound to it. secret is the same for all frontends of a
// cluster and not known to clients; it is asked for after lookup.
func NewExchange(ctx context.Context, bound Binding, required bool, lookup Lookup, secret func() string) (*Exchange, error) {
	e := &Exchange{}
	find := func(name string) (scram.StoredCredentials, error) {
		creds, err := e.find(ctx, name, lookup)
		if err != nil {
			e.failed = err
			return scram.StoredCredentials{}, err
		}
		if !e.known {
			creds = decoy(secret(), e.account)
		}
		return scram.StoredCredentials{
			KeyFactors: scram.KeyFactors{Salt: string(creds.GetSalt()), Iters: int(creds.GetIterations())},
			StoredKey:  creds.GetStoredKey(), ServerKey: creds.GetServerKey(),
		}, nil
	}
	var err error
	if e.server, err = scram.SHA256.NewServer(find); err != nil {
		return nil, err
	}
	if required {
		e.conv = e.server.NewConversationWithChannelBindingRequired(bound)
	} else {
		e.conv = e.server.NewConversationWithChannelBinding(bound)
	}
	return e, nil
}

// find looks a name up as typed.
func (e *Exchange) find(ctx context.Context, name string, lookup Lookup) (*pb.Credentials, error) {
	account, err := imapnum.AccountName(name)
	if err != nil {
		e.account = name // of no account
		return nil, nil
	}
	e.account = account
	creds, err := lookup(ctx, account)
	e.known = err == nil && usable(creds) && len(creds.GetServerKey()) == sha256.Size
	return creds, err
}

// usable reports whether a password can be checked against credentials.
func usable(c *pb.Credentials) bool {
	return c.GetIterations() > 0 && c.GetIterations() <= maxIterations && len(c.GetStoredKey()) == sha256.Size
}

// decoy returns the credentials of an account that does not exist. No password is
// theirs.
func decoy(secret, account string) *pb.Credentials {
	derived := func(what string) []byte {
		h := hmac.New(sha256.New, []byte(secret))
		h.Write([]byte("decoy " + what + "\x00" + account))
		return h.Sum(nil)
	}
	return &pb.Credentials{Salt: derived("salt")[:16], Iterations: decoyIterations, StoredKey: derived("stored key"), ServerKey: derived("server key")}
}

// First takes the client's first message and returns the server's. The error is
// ErrDenied, or one of the lookup.
func (e *Exchange) First(msg string) (string, error) {
	answer, err := e.conv.Step(msg)
	switch {
	case e.failed != nil:
		return "", e.failed
	case err != nil:
		return "", errors.Join(ErrDenied, err)
	}
	return answer, nil
}

// Final takes the client's final message and returns the server's, which proves to
// the client that the server knows the password's keys; the account that has been
// authenticated, and the identity that the client wants to act as, which may be
// empty. The error is ErrDenied.
func (e *Exchange) Final(msg string) (answer, account, identity string, err error) {
	answer, err = e.conv.Step(msg)
	if err != nil || !e.conv.Valid() || !e.known {
		return "", "", "", ErrDenied
	}
	return answer, e.account, e.conv.AuthzID(), nil
}
