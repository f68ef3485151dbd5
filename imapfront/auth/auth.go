// Package auth checks passwords against an account's SCRAM-SHA-256 keys (RFC
// 5802, 3; RFC 7677), for LOGIN and for the SASL mechanism PLAIN (RFC 4616).
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
	key   [32]byte
	slots chan struct{}

	mu struct {
		sync.Mutex
		// right holds an HMAC, under a key of this process, over account, password
		// and stored keys of logins that were right, so that a storm of reconnects
		// does not derive each key again. A changed password changes the stored
		// keys, and with them the HMAC.
		right map[[32]byte]struct{}
	}
}

// New returns a Verifier that knows no password yet.
func New() *Verifier {
	v := &Verifier{slots: make(chan struct{}, checkers)}
	rand.Read(v.key[:]) //nolint:errcheck // never fails (crypto/rand)
	v.mu.right = make(map[[32]byte]struct{})
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
	known := creds != nil && creds.GetIterations() > 0 && creds.GetIterations() <= maxIterations && len(creds.GetStoredKey()) == sha256.Size
	if !known {
		creds = &pb.Credentials{Salt: v.key[:16], Iterations: decoyIterations, StoredKey: v.key[:]}
	}
	mac := v.mac(account, prepared, creds)
	if known && v.remembered(mac) {
		return account, nil
	}
	select {
	case v.slots <- struct{}{}:
		defer func() { <-v.slots }()
	case <-ctx.Done():
		return "", ctx.Err()
	}
	ok, err := matches(prepared, creds)
	if err != nil {
		return "", err
	}
	if !ok || !known {
		return "", ErrDenied
	}
	v.remember(mac)
	return account, nil
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

func (v *Verifier) remembered(mac [32]byte) bool {
	v.mu.Lock()
	defer v.mu.Unlock()
	_, ok := v.mu.right[mac]
	return ok
}

func (v *Verifier) remember(mac [32]byte) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if len(v.mu.right) >= cacheSize {
		clear(v.mu.right) // rare, and costs each one derivation again
	}
	v.mu.right[mac] = struct{}{}
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
