package client_test

import (
	"bytes"
	"testing"

	"github.com/xdg-go/scram"

	"github.com/quorumail/quorumail/node/client"
)

// A SCRAM client with the password and a server with the credentials must agree.
func TestNewCredentials_RFC7677(t *testing.T) {
	cr, err := client.NewCredentials("pencil\u00a0sharp", 4096)
	if err != nil {
		t.Fatal(err)
	}
	for password, want := range map[string]bool{"pencil sharp": true, "pencil": false} {
		c, err := scram.SHA256.NewClient("alice", password, "")
		if err != nil {
			t.Fatal(err)
		}
		s, err := scram.SHA256.NewServer(func(string) (scram.StoredCredentials, error) {
			return scram.StoredCredentials{
				KeyFactors: scram.KeyFactors{Salt: string(cr.Salt), Iters: int(cr.Iterations)},
				StoredKey:  cr.StoredKey, ServerKey: cr.ServerKey,
			}, nil
		})
		if err != nil {
			t.Fatal(err)
		}
		cc, sc := c.NewConversation(), s.NewConversation()
		var msg string
		for !sc.Done() {
			if msg, err = cc.Step(msg); err != nil {
				break
			}
			if msg, err = sc.Step(msg); err != nil {
				break
			}
		}
		if sc.Valid() != want {
			t.Errorf("password %q: valid %v, want %v (%v)", password, sc.Valid(), want, err)
		}
	}
}

func TestNewCredentialsAreSalted(t *testing.T) {
	a, err := client.NewCredentials("x", 4096)
	if err != nil {
		t.Fatal(err)
	}
	b, err := client.NewCredentials("x", 4096)
	if err != nil {
		t.Fatal(err)
	}
	if bytes.Equal(a.StoredKey, b.StoredKey) {
		t.Error("two accounts with one password have one key")
	}
}

func TestNewCredentialsRefuses(t *testing.T) {
	if _, err := client.NewCredentials("x", 4095); err == nil {
		t.Error("4095 iterations are accepted")
	}
	if _, err := client.NewCredentials("a\u0007b", 4096); err == nil {
		t.Error("a control character is accepted (RFC 4013, 2.3)")
	}
}
