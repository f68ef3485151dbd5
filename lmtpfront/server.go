package lmtpfront

import (
	"context"
	"crypto/tls"
	"errors"
	"log/slog"
	"net"
	"os"
	"sync"
	"time"

	"github.com/emersion/go-smtp"

	"github.com/quorumail/quorumail/node/client"
	pb "github.com/quorumail/quorumail/proto/quorumail/v1"
)

// Config makes a [Server]. Zero fields take the defaults that are named.
type Config struct {
	// Client reaches the cluster. Required.
	Client *client.Client
	// TLS is offered by STARTTLS; nil: it is not.
	TLS *tls.Config
	// Hostname is what the server calls itself; default the machine's name. A
	// recipient at this host, or at localhost, may be an account without a domain.
	Hostname string
	// MaxMessage bounds a message, in octets; default 64 MiB.
	MaxMessage int64
	// MaxRecipients of one message; default 1,000.
	MaxRecipients int
	// MaxConnections at once; beyond them clients are told to come back later.
	// Default 1,000.
	MaxConnections int
	// IdleTimeout ends connections that send nothing; default 5 minutes (RFC 5321,
	// 4.5.3.2.7).
	IdleTimeout time.Duration
	// DeliveryTimeout bounds the wait for storage for one recipient, and, five times
	// over, for all recipients of a message; default 60 s. The MTA waits ten minutes
	// (RFC 5321, 4.5.3.2.6) and delivers to all again if it has no answer by then.
	DeliveryTimeout time.Duration
	// SpoolDir is where large messages are kept while they are delivered; default
	// the system's directory for temporary files.
	SpoolDir string
	// Log; nil: discarded.
	Log *slog.Logger
}

// maxLine is the longest line that is taken, in octets. RFC 5321, 4.5.3.1 allows
// 1,000; old programs have sent more, and a message refused for it is lost.
const maxLine = 128 << 10

// Storage is what a delivery needs of an account; client.Session is one.
type Storage interface {
	GetAccount(ctx context.Context) (*pb.GetAccountResponse, error)
	PutChunk(ctx context.Context, bodyID []byte, chunk *pb.BodyChunk) error
	Propose(ctx context.Context, entry *pb.Entry) (*pb.Result, error)
}

// Server is an LMTP frontend. Its methods may be called from any goroutine.
type Server struct {
	cfg     Config
	storage func(account string) Storage
	smtp    *smtp.Server
	ctx     context.Context // of all deliveries; ends with Close
	cancel  context.CancelFunc
	stop    sync.Once
	stopped chan struct{}  // closed when nothing runs any more
	serving sync.WaitGroup // calls of Serve
	data    sync.WaitGroup // messages being received or delivered

	mu struct {
		sync.Mutex
		stopping  bool
		finished  bool // no message is taken any more
		listeners map[net.Listener]struct{}
		conns     map[*conn]struct{}
	}
}

// New returns a server that listens to nothing yet.
func New(cfg Config) (*Server, error) {
	if cfg.Client == nil {
		return nil, errors.New("lmtpfront: config: no client of a cluster")
	}
	return newServer(cfg, func(account string) Storage { return cfg.Client.Session(account) }), nil
}

func newServer(cfg Config, storage func(string) Storage) *Server {
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	if cfg.Hostname == "" {
		cfg.Hostname = "localhost"
		if name, err := os.Hostname(); err == nil {
			cfg.Hostname = name
		}
	}
	if cfg.MaxMessage <= 0 {
		cfg.MaxMessage = 64 << 20
	}
	if cfg.MaxRecipients <= 0 {
		cfg.MaxRecipients = 1000
	}
	if cfg.MaxConnections <= 0 {
		cfg.MaxConnections = 1000
	}
	if cfg.IdleTimeout <= 0 {
		cfg.IdleTimeout = 5 * time.Minute
	}
	if cfg.DeliveryTimeout <= 0 {
		cfg.DeliveryTimeout = time.Minute
	}
	s := &Server{cfg: cfg, storage: storage, stopped: make(chan struct{})}
	s.ctx, s.cancel = context.WithCancel(context.Background())
	s.mu.listeners = make(map[net.Listener]struct{})
	s.mu.conns = make(map[*conn]struct{})
	s.smtp = smtp.NewServer(smtp.BackendFunc(s.newSession))
	s.smtp.LMTP = true
	s.smtp.Domain = cfg.Hostname
	s.smtp.TLSConfig = cfg.TLS
	s.smtp.MaxMessageBytes = cfg.MaxMessage
	s.smtp.MaxRecipients = cfg.MaxRecipients
	s.smtp.MaxLineLength = maxLine
	s.smtp.EnableSMTPUTF8 = true
	s.smtp.ErrorLog = slog.NewLogLogger(cfg.Log.Handler(), slog.LevelInfo)
	return s
}

// Serve accepts clients from l until Shutdown or Close, and then returns nil. It
// closes l.
func (s *Server) Serve(l net.Listener) error {
	s.mu.Lock()
	if s.mu.stopping {
		s.mu.Unlock()
		return l.Close()
	}
	s.mu.listeners[l] = struct{}{}
	s.serving.Add(1)
	s.mu.Unlock()
	defer s.serving.Done()
	err := s.smtp.Serve(&listener{l, s})
	s.mu.Lock()
	delete(s.mu.listeners, l)
	stopping := s.mu.stopping
	s.mu.Unlock()
	if stopping {
		return nil
	}
	return errors.Join(err, l.Close())
}

// Shutdown stops listening, ends the connections that have no message under way
// and waits for the others to finish theirs. When ctx ends, it closes what is left
// and returns the error of ctx.
func (s *Server) Shutdown(ctx context.Context) error {
	s.begin()
	select {
	case <-s.stopped:
		return nil
	case <-ctx.Done():
		s.Close()
		return ctx.Err()
	}
}

// Close stops listening, ends all connections and gives up deliveries: their
// clients have no answer and will try again. It never fails.
func (s *Server) Close() error {
	s.begin()
	s.cancel()
	for _, c := range s.connections() {
		_ = c.cut() // it is gone either way
	}
	<-s.stopped
	return nil
}

// begin begins to stop the server. The order matters: go-smtp may be told to
// shut down only when no more connections can come to it.
func (s *Server) begin() {
	s.stop.Do(func() {
		s.mu.Lock()
		s.mu.stopping = true
		for l := range s.mu.listeners {
			l.Close()
		}
		s.mu.Unlock()
		for _, c := range s.connections() {
			c.drain()
		}
		go func() {
			s.serving.Wait()
			// It has no listeners left that could fail to close twice: it waits for
			// connections, and that is what it is called for.
			_ = s.smtp.Shutdown(context.Background())
			s.mu.Lock()
			s.mu.finished = true
			s.mu.Unlock()
			s.data.Wait()
			s.cancel()
			close(s.stopped)
		}()
	})
}

// receive notes that a message is being received, unless the server has stopped.
// The caller calls s.data.Done.
func (s *Server) receive() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.mu.finished {
		return false
	}
	s.data.Add(1)
	return true
}

// connections returns those that are open now.
func (s *Server) connections() []*conn {
	s.mu.Lock()
	defer s.mu.Unlock()
	list := make([]*conn, 0, len(s.mu.conns))
	for c := range s.mu.conns {
		list = append(list, c)
	}
	return list
}
