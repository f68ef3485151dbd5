package session

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"math/big"
	mrand "math/rand/v2"
	"net"
	"os"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// connected returns both ends of a loopback connection.
func connected(t *testing.T, secure bool) (server, client net.Conn) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	if client, err = net.Dial("tcp", l.Addr().String()); err != nil {
		t.Fatal(err)
	}
	if server, err = l.Accept(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _, _ = client.Close(), server.Close() })
	if !secure {
		return server, client
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	tmpl := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, tmpl, tmpl, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	server = tls.Server(server, &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}}})
	client = tls.Client(client, &tls.Config{InsecureSkipVerify: true})
	// The handshake must not be interrupted: it cannot be gone on with. In a
	// connection it comes with the greeting, before there is anything to be told.
	var wg sync.WaitGroup
	wg.Go(func() {
		if err := client.(*tls.Conn).Handshake(); err != nil {
			t.Error(err)
		}
	})
	if err := server.(*tls.Conn).Handshake(); err != nil {
		t.Error(err)
	}
	wg.Wait()
	return server, client
}

// Wakes interrupt reads at any time, also within a TLS record, and no octet is
// lost or doubled by it.
func TestWakesLoseNoOctet(t *testing.T) {
	for name, secure := range map[string]bool{"plain": false, "TLS": true} {
		t.Run(name, func(t *testing.T) {
			server, client := connected(t, secure)
			in := &inlet{between: func() bool { return true }, armed: true}
			told := 0
			in.onWake = func() error { told++; return nil }
			in.reset(server)
			in.setDeadline(time.Now().Add(time.Minute))

			want := make([]byte, 300_000)
			_, _ = rand.Read(want) // never fails
			var wg sync.WaitGroup
			var stop atomic.Bool
			wg.Go(func() {
				for !stop.Load() {
					in.wake()
				}
			})
			wg.Go(func() {
				for rest := want; len(rest) > 0; {
					n := min(len(rest), 1+mrand.IntN(3000))
					if _, err := client.Write(rest[:n]); err != nil {
						t.Error(err)
						return
					}
					rest = rest[n:]
				}
			})
			in.wake() // once at least, however fast the octets come
			got := make([]byte, len(want))
			_, err := io.ReadFull(in, got)
			stop.Store(true)
			wg.Wait()
			if err != nil || !bytes.Equal(got, want) {
				t.Errorf("octets are lost: %v", err)
			}
			if told == 0 {
				t.Error("never woken")
			}
		})
	}
}

// A wake is seen by the read that waits, or by the next one that would; not in
// the middle of a line, and not where nobody asked for it.
func TestWakeWaitsForTheLineToEnd(t *testing.T) {
	server, client := connected(t, false)
	between := true
	seen := make(chan struct{}, 10)
	in := &inlet{between: func() bool { return between }, onWake: func() error { seen <- struct{}{}; return nil }}
	in.reset(server)
	in.setDeadline(time.Now().Add(time.Minute))
	buf := make([]byte, 10)
	read := func() {
		t.Helper()
		if _, err := client.Write([]byte("x")); err != nil {
			t.Fatal(err)
		}
		if n, err := in.Read(buf); n != 1 || err != nil {
			t.Fatalf("read %d, %v", n, err)
		}
	}
	in.wake()
	in.wake()
	read()
	in.armed, between = true, false
	read()
	if len(seen) > 0 {
		t.Fatal("seen too early")
	}
	between = true
	read()
	if len(seen) != 1 {
		t.Fatalf("seen %d times", len(seen))
	}
	read()
	if len(seen) != 1 {
		t.Fatal("seen again")
	}
	go in.wake()
	done := make(chan struct{})
	go func() {
		defer close(done)
		_, _ = in.Read(buf)
	}()
	<-seen // by the first, before it is read
	<-seen
	if _, err := client.Write([]byte("x")); err != nil {
		t.Fatal(err)
	}
	<-done
}

// Deadlines hold, whatever wakes there are; the end is final; an error of who is
// woken is one of reading.
func TestInletEnds(t *testing.T) {
	server, _ := connected(t, false)
	in := &inlet{between: func() bool { return true }, armed: true, onWake: func() error { return nil }}
	in.reset(server)
	in.setDeadline(time.Now().Add(20 * time.Millisecond))
	var stop atomic.Bool
	var wg sync.WaitGroup
	wg.Go(func() {
		for !stop.Load() {
			in.wake()
		}
	})
	if _, err := in.Read(make([]byte, 1)); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("got %v", err)
	}
	if !in.rest(time.Now().Add(time.Minute)) {
		t.Error("no rest")
	}
	time.AfterFunc(10*time.Millisecond, in.drain)
	if _, err := in.Read(make([]byte, 1)); !errors.Is(err, os.ErrDeadlineExceeded) || !in.draining() {
		t.Errorf("got %v", err)
	}
	stop.Store(true)
	wg.Wait()
	if in.rest(time.Now().Add(time.Minute)) {
		t.Error("rests after the end")
	}
	in.wake()
	in.onWake = func() error { return io.ErrClosedPipe }
	if _, err := in.Read(make([]byte, 1)); err != io.ErrClosedPipe {
		t.Errorf("got %v", err)
	}
}
