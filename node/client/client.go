package client

import (
	"context"
	"log/slog"
	"time"

	"google.golang.org/grpc/credentials"
)

// Config says how to reach a cluster.
type Config struct {
	// Nodes are addresses (host:port) of storage nodes to learn the map from. At
	// least one; not all need to answer.
	Nodes []string
	// RequestTimeout bounds a request whose context has no deadline; default
	// 60 s, which outlives an election by far.
	RequestTimeout time.Duration
	// TLS secures the connections to nodes; nil: none.
	TLS credentials.TransportCredentials
	// Log; nil: discarded.
	Log *slog.Logger
}

// Client is a frontend's access to the cluster. It is safe for concurrent use.
type Client struct{}

// New starts a client. It does not wait for the cluster to answer.
func New(cfg Config) (*Client, error) { return &Client{}, nil }

// WaitReady returns when the map is known and every shard has a leader that
// answers, or with the reason why not when ctx ends.
func (c *Client) WaitReady(ctx context.Context) error { return ErrUnavailable }

// Session starts a session for an account, whose name is normalised already.
func (c *Client) Session(account string) *Session { return &Session{} }

// Close ends all connections. Requests under way fail.
func (c *Client) Close() error { return nil }
