package auth

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"testing"

	pb "github.com/quorumail/quorumail/proto/quorumail/v1"
)

// A client that opens many connections at once, and logs in on each, is checked
// once: a derivation takes a core for a fifth of a second.
func TestLoginsAtOnceAreOneDerivation(t *testing.T) {
	const logins = 30
	v := New()
	var derivations atomic.Int32
	arrived := make(chan struct{})
	v.derive = func(string, *pb.Credentials) (bool, error) {
		derivations.Add(1)
		<-arrived
		return true, nil
	}
	var lookups atomic.Int32
	lookup := func(context.Context, string) (*pb.Credentials, error) {
		if lookups.Add(1) == logins {
			close(arrived)
		}
		return credentials(), nil
	}
	var wg sync.WaitGroup
	for range logins {
		wg.Go(func() {
			if account, err := v.Verify(t.Context(), "A@b", "secret", lookup); account != "a@b" || err != nil {
				t.Errorf("got %q, %v", account, err)
			}
		})
	}
	wg.Wait()
	if n := derivations.Load(); n != 1 {
		t.Errorf("%d derivations, want 1", n)
	}
}

// Who waits for the check of a connection that has ended checks itself, and what
// was wrong is checked again.
func TestChecksThatWereGivenUpAreTakenOver(t *testing.T) {
	v := New()
	for range checkers {
		v.slots <- struct{}{}
	}
	v.derive = func(string, *pb.Credentials) (bool, error) { return false, nil }
	mac := [32]byte{1}
	first, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := v.check(first, mac, "x", credentials()); !errors.Is(err, context.Canceled) {
		t.Fatalf("without a slot: %v", err)
	}

	c, mine := v.begin(mac)
	if !mine {
		t.Fatal("what was given up is under way still")
	}
	waits := make(chan error)
	go func() {
		_, err := v.check(t.Context(), mac, "x", credentials())
		waits <- err
	}()
	for range checkers {
		<-v.slots
	}
	c.err = context.Canceled
	v.end(mac, c)
	if err := <-waits; err != nil {
		t.Errorf("who waited: %v", err)
	}
	if right, err := v.check(t.Context(), mac, "x", credentials()); right || err != nil {
		t.Errorf("a wrong password: %v, %v", right, err)
	}
}

func credentials() *pb.Credentials {
	return &pb.Credentials{Salt: make([]byte, 16), Iterations: 1, StoredKey: make([]byte, 32)}
}
