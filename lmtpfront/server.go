// Package lmtpfront is where mail comes in: LMTP (RFC 2033), by which an MTA
// hands over messages for final delivery and is told, for each recipient, what
// became of it.
//
// # Promises
//
//   - 250 for a recipient means that the message is in the recipient's INBOX,
//     durable on a quorum of replicas. It is never said before.
//   - What may succeed later is answered with 4xx: the MTA keeps the message and
//     tries again. What never will is 5xx.
//   - When an answer is lost and the MTA delivers again, the message is there
//     once: see delivery.
//
// The protocol itself is emersion/go-smtp's. A server holds no state; any number
// of them can serve one cluster.
package lmtpfront

import (
	"context"
	"crypto/tls"
	"errors"
	"log/slog"
	"net"
	"os"
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
	// Hostname is what the server calls itself; default the machine's name.
	Hostname string
	// MaxMessage bounds a message, in octets; default 64 MiB.
	MaxMessage int64
	// MaxRecipients of one message; default 1,000.
	MaxRecipients int
	// IdleTimeout ends connections that send nothing; default 5 minutes (RFC 5321,
	// 4.5.3.2.7).
	IdleTimeout time.Duration
	// DeliveryTimeout bounds the wait for storage for one recipient; default 60 s:
	// an MTA waits ten minutes (RFC 5321, 4.5.3.2.6).
	DeliveryTimeout time.Duration
	// Log; nil: discarded.
	Log *slog.Logger
}

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
}

// New returns a server that listens to nothing yet.
func New(cfg Config) (*Server, error) {
	if cfg.Client == nil {
		return nil, errors.New("lmtpfront: no client of a cluster")
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
	if cfg.MaxMessage == 0 {
		cfg.MaxMessage = 64 << 20
	}
	if cfg.MaxRecipients == 0 {
		cfg.MaxRecipients = 1000
	}
	if cfg.IdleTimeout == 0 {
		cfg.IdleTimeout = 5 * time.Minute
	}
	if cfg.DeliveryTimeout == 0 {
		cfg.DeliveryTimeout = time.Minute
	}
	s := &Server{cfg: cfg, storage: storage}
	s.smtp = smtp.NewServer(smtp.BackendFunc(func(c *smtp.Conn) (smtp.Session, error) {
		return &session{s: s, conn: c}, nil
	}))
	s.smtp.LMTP = true
	s.smtp.Domain = cfg.Hostname
	s.smtp.TLSConfig = cfg.TLS
	s.smtp.MaxMessageBytes = cfg.MaxMessage
	s.smtp.MaxRecipients = cfg.MaxRecipients
	s.smtp.ReadTimeout, s.smtp.WriteTimeout = cfg.IdleTimeout, cfg.IdleTimeout
	s.smtp.EnableSMTPUTF8 = true
	s.smtp.EnableBINARYMIME = true
	s.smtp.ErrorLog = slog.NewLogLogger(cfg.Log.Handler(), slog.LevelInfo)
	return s
}

// Serve accepts clients from l until Shutdown or Close, and then returns nil. It
// closes l.
func (s *Server) Serve(l net.Listener) error {
	err := s.smtp.Serve(l)
	if errors.Is(err, smtp.ErrServerClosed) {
		return nil
	}
	return err
}

// Shutdown stops listening and waits for deliveries under way, until ctx ends;
// then it closes the connections that are left.
func (s *Server) Shutdown(ctx context.Context) error {
	err := s.smtp.Shutdown(ctx)
	if errors.Is(err, smtp.ErrServerClosed) {
		return nil
	}
	if err != nil {
		return errors.Join(err, s.Close())
	}
	return nil
}

// Close stops listening and ends all connections.
func (s *Server) Close() error {
	err := s.smtp.Close()
	if errors.Is(err, smtp.ErrServerClosed) {
		return nil
	}
	return err
}
