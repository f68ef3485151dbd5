// Package auth checks passwords against an account's SCRAM-SHA-256 keys (RFC
// 5802, 3; RFC 7677), for LOGIN and for the SASL mechanism PLAIN (RFC 4616), and is
// the server's side of the mechanism SCRAM-SHA-256 itself.
package auth

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/pbkdf2"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"errors"
	"fmt"
	"sync"

	"github.com/xdg-go/stringprep"

	"github.com/quorumail/quorumail/proto/imapnum"
	pb "github.com/quorumail/quorumail/proto/quorumail/v1"
)

// ErrDenied says that name and password do not fit. It never says which.
var ErrDenied = errors.New("wrong name or password")

// Lookup returns an account's credentials; nil and no error if there is no such
// account.
type Lookup func(ctx context.Context, account string) (*pb.Credentials, error)

const (
	// cacheSize bounds the passwords remembered as right.
	cacheSize = 20_000
	// decoyIterations is what a check for an unknown user costs: as much as for
	// one that exists, so that the time does not tell which names do.
	decoyIterations = 600_000
	// maxIterations bounds what stored credentials can make a check cost.
	maxIterations = 10_000_000
	// checkers bounds the checks under way at once: each takes a core for a
	// fifth of a second.
	checkers = 4
)

// Verifier checks passwords. It is safe for concurrent use.
type Verifier struct {
	key    [32]byte
	slots  chan struct{}
	derive func(password string, c *pb.Credentials) (bool, error) // matches, but in tests

	mu struct {
		sync.Mutex
		// right holds an HMAC, under a key of this process, over account, password
		// and stored keys of logins that were right, so that a storm of reconnects
		// does not derive each key again. A changed password changes the stored
		// keys, and with them the HMAC.
		right map[[32]byte]struct{}
		// underway are checks by the same HMAC, which whoever asks the same waits for:
		// a client that opens its connections all at once costs one derivation.
		underway map[[32]byte]*check
	}
}

// check is a derivation under way. What it found is read once done is closed.
type check struct {
	done  chan struct{}
	right bool
	err   error // also that of a caller who did not wait for its turn
}

// New returns a Verifier that knows no password yet.
func New() *Verifier {
	v := &Verifier{slots: make(chan struct{}, checkers), derive: matches}
	rand.Read(v.key[:]) //nolint:errcheck // never fails (crypto/rand)
	v.mu.right = make(map[[32]byte]struct{})
	v.mu.underway = make(map[[32]byte]*check)
	return v
}

// Verify checks a name as typed and a password, and returns the account's
// normalised name, or ErrDenied. Other errors are those of lookup and ctx.
func (v *Verifier) Verify(ctx context.Context, name, password string, lookup Lookup) (string, error) {
	account, err := imapnum.AccountName(name)
	var creds *pb.Credentials
	if err == nil {
		if creds, err = lookup(ctx, account); err != nil {
			return "", err
		}
	}
	prepared, err := stringprep.SASLprep.Prepare(password)
	if err != nil {
		prepared = password
	}
	known := usable(creds)
	if !known {
		creds = &pb.Credentials{Salt: v.key[:16], Iterations: decoyIterations, StoredKey: v.key[:]}
	}
	right, err := v.check(ctx, v.mac(account, prepared, creds), prepared, creds)
	switch {
	case err != nil:
		return "", err
	case !right || !known:
		return "", ErrDenied
	}
	return account, nil
}

// check reports whether a password is right: as is remembered, as a check under way
// finds, or by one of its own.
func (v *Verifier) check(ctx context.Context, mac [32]byte, password string, creds *pb.Credentials) (right bool, err error) {
	for {
		c, mine := v.begin(mac)
		if mine {
			c.right, c.err = v.inTurn(ctx, password, creds)
			v.end(mac, c)
			return c.right, c.err
		}
		select {
		case <-c.done:
		case <-ctx.Done():
			return false, ctx.Err()
		}
		if c.err == nil {
			return c.right, nil
		}
		// That was the other's error: its connection may have ended.
	}
}

// begin returns a check that is done or under way or, if there is none, a new one,
// which the caller must end.
func (v *Verifier) begin(mac [32]byte) (c *check, mine bool) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if c = v.mu.underway[mac]; c != nil {
		return c, false
	}
	c = &check{done: make(chan struct{})}
	if _, c.right = v.mu.right[mac]; c.right {
		close(c.done)
		return c, false
	}
	v.mu.underway[mac] = c
	return c, true
}

// end ends a check that begin has begun, and remembers it if the password was right.
func (v *Verifier) end(mac [32]byte, c *check) {
	v.mu.Lock()
	defer v.mu.Unlock()
	delete(v.mu.underway, mac)
	if c.right {
		if len(v.mu.right) >= cacheSize {
			clear(v.mu.right) // rare, and costs each one derivation again
		}
		v.mu.right[mac] = struct{}{}
	}
	close(c.done)
}

// inTurn derives the keys of a password once there are few enough who do.
func (v *Verifier) inTurn(ctx context.Context, password string, creds *pb.Credentials) (bool, error) {
	select {
	case v.slots <- struct{}{}:
		defer func() { <-v.slots }()
	case <-ctx.Done():
		return false, ctx.Err()
	}
	return v.derive(password, creds)
}

// matches derives StoredKey from a password and compares (RFC 5802, 3).
func matches(password string, c *pb.Credentials) (bool, error) {
	salted, err := pbkdf2.Key(sha256.New, password, c.GetSalt(), int(c.GetIterations()), sha256.Size)
	if err != nil {
		return false, fmt.Errorf("auth: %w", err)
	}
	h := hmac.New(sha256.New, salted)
	h.Write([]byte("Client Key"))
	stored := sha256.Sum256(h.Sum(nil))
	return subtle.ConstantTimeCompare(stored[:], c.GetStoredKey()) == 1, nil
}

func (v *Verifier) mac(account, password string, c *pb.Credentials) (sum [32]byte) {
	h := hmac.New(sha256.New, v.key[:])
	for _, part := range [][]byte{[]byte(account), []byte(password), c.GetSalt(), c.GetStoredKey()} {
		fmt.Fprintf(h, "%d:", len(part))
		h.Write(part)
	}
	h.Sum(sum[:0])
	return sum
}

// ParsePlain takes a PLAIN message apart (RFC 4616, 2): the authorization
// identity, which may be empty, the authentication identity and the password.
func ParsePlain(msg []byte) (identity, name, password string, ok bool) {
	parts := bytes.Split(msg, []byte{0})
	if len(parts) != 3 || len(parts[1]) == 0 {
		return "", "", "", false
	}
	return string(parts[0]), string(parts[1]), string(parts[2]), true
}
