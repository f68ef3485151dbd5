package client

import (
	"crypto/rand"
	"fmt"

	"github.com/xdg-go/scram"

	pb "github.com/quorumail/quorumail/proto/quorumail/v1"
)

// DefaultIterations is the SCRAM-SHA-256 iteration count for real accounts: what
// OWASP recommends for PBKDF2-HMAC-SHA256. Tests take 4096, the least that is
// allowed.
const DefaultIterations = 600_000

// NewCredentials derives from a password what it is checked against:
// SCRAM-SHA-256 keys (RFC 5802, 3; RFC 7677) with a fresh salt. The password is
// prepared with SASLprep (RFC 4013), as SCRAM demands; one that cannot be is
// refused. iterations is at least 4096 (RFC 7677, 4).
func NewCredentials(password string, iterations int) (*pb.Credentials, error) {
	if iterations < 4096 || iterations > 1<<30 {
		return nil, fmt.Errorf("credentials: %d iterations: want at least 4096", iterations)
	}
	// The user name is no part of the keys.
	c, err := scram.SHA256.NewClient("user", password, "")
	if err != nil {
		return nil, fmt.Errorf("credentials: password: %w", err)
	}
	salt := make([]byte, 16)
	rand.Read(salt)
	stored, err := c.GetStoredCredentialsWithError(scram.KeyFactors{Salt: string(salt), Iters: iterations})
	if err != nil {
		return nil, fmt.Errorf("credentials: derive: %w", err)
	}
	return &pb.Credentials{
		Salt: salt, Iterations: uint32(iterations),
		StoredKey: stored.StoredKey, ServerKey: stored.ServerKey,
	}, nil
}
