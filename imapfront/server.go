// Package imapfront is the IMAP frontend: it listens, bounds how many clients
// there are, and drains. It is stateless: whatever a client sees is read from
// the storage cluster, so any frontend serves any client at any time.
//
// The protocol itself is in the packages below it: wire is its grammar, view
// what one session knows of a mailbox, session the commands, section the parts
// of a message, auth the passwords.
package imapfront

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/url"
	"sync"
	"time"

	"github.com/quorumail/quorumail/imapfront/auth"
	"github.com/quorumail/quorumail/imapfront/session"
	"github.com/quorumail/quorumail/imapfront/wire"
	"github.com/quorumail/quorumail/node/client"
	"github.com/quorumail/quorumail/proto/imapnum"
)

// Config makes a [Server]. Zero fields take the defaults that are named.
type Config struct {
	// Client reaches the cluster. Required.
	Client *client.Client
	// TLS is offered by STARTTLS, and spoken from the start if Implicit is set.
	// Passwords are then taken over TLS only. nil: no TLS.
	TLS      *tls.Config
	Implicit bool
	// Limits of what clients send.
	Limits wire.Limits
	// MaxConns bounds the connections; default 50,000. MaxConnsPerIP bounds those
	// of one address; default 0: no bound, since a load balancer may stand before
	// all clients.
	MaxConns, MaxConnsPerIP int
	// LoginTimeout: default 60 s. IdleTimeout: default 31 minutes (RFC 9051, 5.4
	// wants 30 at least). WriteTimeout: default 5 minutes.
	LoginTimeout, IdleTimeout, WriteTimeout time.Duration
	// ProgressEvery is how often a client that waits for a search is told that it is
	// under way (RFC 9585); default 10 s.
	ProgressEvery time.Duration
	// SpoolDir is where large messages are kept that may have to be read again, while
	// they arrive; default: that of the system.
	SpoolDir string
	// MaxNotices is how many responses NOTIFY may cause at once in a connection
	// before it is given up (RFC 5465, 5.8); default 5000.
	MaxNotices int
	// Log; nil: discarded.
	Log *slog.Logger
	// Version is told to clients that ask.
	Version string
	// Comment and Contact are told to clients that ask for the server's annotations:
	// a note for all users, and the URI of who runs it (RFC 5464, 3.2.1.1). Empty:
	// there is none.
	Comment, Contact string
	// NoUnauthenticate takes UNAUTHENTICATE away: where a proxy checks who logs in, and
	// then passes everything on, it would let clients around it (RFC 8437, 8).
	NoUnauthenticate bool
	// Scram offers SCRAM-SHA-256. It has to be wanted: clients choose it where it is
	// offered, and those that use Cyrus SASL refuse the 600,000 iterations that
	// accounts have by default, and do not try another mechanism then.
	Scram bool
	// Admins are the names of the accounts whose users may set quotas, and see those
	// of all accounts (RFC 9208).
	Admins []string
}

// Server is an IMAP frontend. Its methods may be called from any goroutine.
type Server struct {
	cfg  Config
	sess session.Config

	mu struct {
		sync.Mutex
		closing   bool
		listeners map[net.Listener]struct{}
		conns     map[*session.Conn]context.CancelFunc
		perIP     map[string]int
	}
	done sync.WaitGroup // connections and listeners
}

// New returns a server that listens to nothing yet.
func New(cfg Config) (*Server, error) {
	if cfg.Client == nil {
		return nil, errors.New("imapfront: no client of a cluster")
	}
	if cfg.Implicit && cfg.TLS == nil {
		return nil, errors.New("imapfront: implicit TLS without a TLS configuration")
	}
	if u, err := url.Parse(cfg.Contact); err != nil || cfg.Contact != "" && u.Scheme == "" {
		return nil, fmt.Errorf("imapfront: contact: %q is no URI", cfg.Contact)
	}
	admins := make(map[string]bool)
	for _, name := range cfg.Admins {
		account, err := imapnum.AccountName(name)
		if err != nil {
			return nil, fmt.Errorf("imapfront: admin %q: %w", name, err)
		}
		admins[account] = true
	}
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	def := wire.DefaultLimits()
	if cfg.Limits.Append == 0 {
		cfg.Limits.Append = def.Append
	}
	setDefault(&cfg.LoginTimeout, time.Minute)
	setDefault(&cfg.IdleTimeout, 31*time.Minute)
	setDefault(&cfg.WriteTimeout, 5*time.Minute)
	setDefault(&cfg.ProgressEvery, 10*time.Second)
	if cfg.MaxNotices == 0 {
		cfg.MaxNotices = 5000
	}
	if cfg.MaxConns == 0 {
		cfg.MaxConns = 50_000
	}
	s := &Server{cfg: cfg, sess: session.Config{
		Storage:  func(account, actor string) session.Store { return cfg.Client.SessionFor(account, actor) },
		Verifier: auth.New(), Secret: cfg.Client.ClusterID, TLS: cfg.TLS, Limits: cfg.Limits,
		LoginTimeout: cfg.LoginTimeout, IdleTimeout: cfg.IdleTimeout, WriteTimeout: cfg.WriteTimeout, ProgressEvery: cfg.ProgressEvery,
		SpoolDir: cfg.SpoolDir, MaxNotices: cfg.MaxNotices, Log: cfg.Log, Version: cfg.Version, Metadata: serverMetadata(cfg), Admins: admins,
		NoUnauthenticate: cfg.NoUnauthenticate, Scram: cfg.Scram,
	}}
	s.mu.listeners = make(map[net.Listener]struct{})
	s.mu.conns = make(map[*session.Conn]context.CancelFunc)
	s.mu.perIP = make(map[string]int)
	return s, nil
}

// serverMetadata returns the server's shared annotations.
func serverMetadata(cfg Config) map[string]string {
	all := make(map[string]string)
	for name, value := range map[string]string{"/shared/comment": cfg.Comment, "/shared/admin": cfg.Contact} {
		if value != "" {
			all[name] = value
		}
	}
	return all
}

func setDefault(d *time.Duration, v time.Duration) {
	if *d == 0 {
		*d = v
	}
}

// Serve accepts clients from l until Shutdown or Close, and then returns nil. It
// closes l.
func (s *Server) Serve(l net.Listener) error {
	defer func() { _ = l.Close() }() // may be closed already
	if !s.track(l) {
		return nil
	}
	defer s.done.Done()
	delay := time.Duration(0)
	for {
		c, err := l.Accept()
		switch {
		case err == nil:
			delay = 0
			s.start(c)
			continue
		case s.closing():
			return nil
		case errors.Is(err, net.ErrClosed):
			return fmt.Errorf("imapfront: %w", err)
		}
		// Out of file descriptors, most likely: that passes.
		s.cfg.Log.Error("accept", "error", err)
		delay = min(max(2*delay, 5*time.Millisecond), time.Second)
		<-time.After(delay)
	}
}

func (s *Server) track(l net.Listener) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.mu.closing {
		return false
	}
	s.mu.listeners[l] = struct{}{}
	s.done.Add(1)
	return true
}

func (s *Server) closing() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.mu.closing
}

// start serves a client in a goroutine of its own, or turns it away.
func (s *Server) start(c net.Conn) {
	ip, _, err := net.SplitHostPort(c.RemoteAddr().String())
	if err != nil {
		ip = c.RemoteAddr().String()
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	full := len(s.mu.conns) >= s.cfg.MaxConns || s.cfg.MaxConnsPerIP > 0 && s.mu.perIP[ip] >= s.cfg.MaxConnsPerIP
	if s.mu.closing || full {
		// A socket buffer takes so little without waiting.
		_ = c.SetWriteDeadline(time.Now().Add(time.Second))
		_, _ = c.Write([]byte("* BYE [UNAVAILABLE] too many connections\r\n"))
		_ = c.Close()
		return
	}
	if s.cfg.Implicit {
		c = tls.Server(c, s.cfg.TLS)
	}
	ctx, cancel := context.WithCancel(context.Background())
	conn := session.New(&s.sess, c, s.cfg.Implicit)
	s.mu.conns[conn] = cancel
	s.mu.perIP[ip]++
	s.done.Go(func() {
		conn.Serve(ctx)
		cancel()
		s.mu.Lock()
		defer s.mu.Unlock()
		delete(s.mu.conns, conn)
		if s.mu.perIP[ip]--; s.mu.perIP[ip] == 0 {
			delete(s.mu.perIP, ip)
		}
	})
}

// Shutdown stops listening and says BYE to each client when its command is done.
// It returns when all have gone, or closes those left when ctx ends.
func (s *Server) Shutdown(ctx context.Context) error {
	for _, c := range s.close() {
		c.Drain()
	}
	gone := make(chan struct{})
	go func() {
		s.done.Wait()
		close(gone)
	}()
	select {
	case <-gone:
		return nil
	case <-ctx.Done():
	}
	s.mu.Lock()
	for _, cancel := range s.mu.conns {
		cancel()
	}
	s.mu.Unlock()
	<-gone
	return ctx.Err()
}

// Close stops listening and ends all connections.
func (s *Server) Close() error {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if err := s.Shutdown(ctx); !errors.Is(err, context.Canceled) {
		return err
	}
	return nil
}

// close stops listening and returns the connections there are.
func (s *Server) close() []*session.Conn {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.mu.closing = true
	for l := range s.mu.listeners {
		_ = l.Close() // it is not listened to any more either way
	}
	conns := make([]*session.Conn, 0, len(s.mu.conns))
	for c := range s.mu.conns {
		conns = append(conns, c)
	}
	return conns
}
