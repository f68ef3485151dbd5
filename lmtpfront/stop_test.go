package lmtpfront

import (
	"context"
	"errors"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestShutdownLetsTransactionsEnd(t *testing.T) {
	storage := newCluster(alice)
	s := newServer(Config{Hostname: "mx"}, storage.storage)
	addr := start(t, s)
	idle, busy := connect(t, addr), connect(t, addr)
	busy.envelope(alice)
	done := make(chan error, 1)
	go func() { done <- s.Shutdown(context.Background()) }()
	idle.expect(421)
	if _, err := idle.ReadLine(); err != io.EOF {
		t.Errorf("after 421: %v", err)
	}
	busy.check("under way", busy.data(1, mailText), "250")
	busy.expect(421)
	if err := <-done; err != nil {
		t.Error(err)
	}
	if nc, err := net.Dial("tcp", addr); err == nil {
		t.Error("it still listens")
		_ = nc.Close()
	}
	if err := errors.Join(s.Shutdown(context.Background()), s.Close(), s.Close()); err != nil {
		t.Error(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Serve(l); err != nil {
		t.Errorf("serving after the end: %v", err)
	}
}

func TestShutdownEndsWithItsContext(t *testing.T) {
	s := newServer(Config{Hostname: "mx"}, newCluster(alice).storage)
	c := connect(t, start(t, s))
	c.envelope(alice)
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Millisecond)
	defer cancel()
	if err := s.Shutdown(ctx); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("%v", err)
	}
	if _, err := c.ReadLine(); err == nil {
		t.Error("the connection is still there")
	}
}

// Close must not wait for storage that does not answer.
func TestCloseGivesUpDeliveries(t *testing.T) {
	storage := newCluster(alice)
	storage.hold = make(chan struct{})
	s := newServer(Config{Hostname: "mx"}, storage.storage)
	c := connect(t, start(t, s))
	for _, send := range []func(){
		func() { c.bdat(mailText, true) },
	} {
		c.envelope(alice)
		send()
		<-storage.held
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
	if got := storage.inbox(t, alice); len(got) != 0 {
		t.Errorf("%d messages", len(got))
	}
}

func TestStorageThatHangsIsTemporary(t *testing.T) {
	storage := newCluster(alice, bob)
	storage.hold = make(chan struct{})
	s := newServer(Config{Hostname: "mx", DeliveryTimeout: 30 * time.Millisecond}, storage.storage)
	c := connect(t, start(t, s))
	to := make([]string, 0, 60)
	for range 30 {
		to = append(to, alice, bob)
	}
	c.envelope(to...)
	began := time.Now()
	for _, a := range c.data(len(to), mailText) {
		if !strings.HasPrefix(a, "451 4.3.0") {
			t.Fatalf("%q", a)
		}
	}
	// 60 recipients, 8 at once, would be 8 times 30 ms: five times is the bound.
	if took := time.Since(began); took > 5*time.Second {
		t.Errorf("%v", took)
	}
}

func TestIdleConnectionsEnd(t *testing.T) {
	s := newServer(Config{Hostname: "mx", IdleTimeout: 30 * time.Millisecond}, newCluster(alice).storage)
	c := connect(t, start(t, s))
	c.expect(421)
	// Also in the middle of a message.
	c = connect(t, start(t, newServer(Config{Hostname: "mx", IdleTimeout: 300 * time.Millisecond}, newCluster(alice).storage)))
	c.envelope(alice)
	c.do(354, "DATA")
	c.check("silence in DATA", c.answers(1), "451")
}

func TestConnectionsAreBounded(t *testing.T) {
	s := newServer(Config{Hostname: "mx", MaxConnections: 2}, newCluster(alice).storage)
	addr := start(t, s)
	one, _ := connect(t, addr), connect(t, addr)
	if got := dial(t, addr).expect(421); !strings.HasPrefix(got, "4.3.2") {
		t.Errorf("%q", got)
	}
	one.do(221, "QUIT")
	for {
		// The place is free once the server has closed its side.
		if _, err := one.ReadLine(); err != nil {
			break
		}
	}
	connect(t, addr)
}
