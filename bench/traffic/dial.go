package traffic

import (
	"bufio"
	"context"
	"crypto/tls"
	"fmt"
	"net"
	"strings"
	"time"
)

// DefaultTimeout is how long a command may take before its connection is given
// up.
const DefaultTimeout = 2 * time.Minute

// Dialer connects. Its zero value is ready for use.
type Dialer struct {
	// TLS secures the connection from its first octet; nil means in the clear.
	TLS *tls.Config
	// Timeout bounds the dialling, the greeting and each command; 0 means
	// DefaultTimeout.
	Timeout time.Duration
	// Local is the address that connections come from; nil leaves it to the system.
	Local net.Addr
	// Buffer is the size in octets of the read buffer and of the write buffer,
	// each; 0 means 32 KiB. Thousands of idle connections want less.
	Buffer int
}

// Dial connects to addr and reads the greeting; tlsConfig nil means in the
// clear. ctx is the life of the connection, not of the dialling only.
func Dial(ctx context.Context, addr string, tlsConfig *tls.Config) (*Conn, error) {
	return (&Dialer{TLS: tlsConfig}).Dial(ctx, addr)
}

// Dial connects to addr and reads the greeting. ctx is the life of the
// connection, not of the dialling only.
func (d *Dialer) Dial(ctx context.Context, addr string) (*Conn, error) {
	timeout := d.timeout()
	dialing, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	nd := net.Dialer{LocalAddr: d.Local}
	nc, err := nd.DialContext(dialing, "tcp", addr)
	if err != nil {
		return nil, fmt.Errorf("imap: %w", err)
	}
	if d.TLS != nil {
		tc := tls.Client(nc, clientTLS(d.TLS, addr))
		if err := tc.HandshakeContext(dialing); err != nil {
			nc.Close()
			return nil, fmt.Errorf("imap: %s: TLS: %w", addr, err)
		}
		nc = tc
	}
	c, err := d.New(ctx, nc)
	if err != nil {
		return nil, fmt.Errorf("imap: %s: %w", addr, err)
	}
	return c, nil
}

// New reads the greeting from nc and owns nc from then on, even if it fails.
func (d *Dialer) New(ctx context.Context, nc net.Conn) (*Conn, error) {
	size := d.Buffer
	if size <= 0 {
		size = 32 << 10
	}
	c := &Conn{
		ctx: ctx, nc: nc, timeout: d.timeout(),
		r: bufio.NewReaderSize(nc, size), w: bufio.NewWriterSize(nc, size),
		caps: make(map[string]bool),
	}
	c.unwatch = context.AfterFunc(ctx, func() { nc.Close() })
	if err := c.readGreeting(); err != nil {
		c.Close()
		return nil, err
	}
	return c, nil
}

func (d *Dialer) timeout() time.Duration {
	if d.Timeout > 0 {
		return d.Timeout
	}
	return DefaultTimeout
}

// clientTLS fills in the server's name from addr.
func clientTLS(cfg *tls.Config, addr string) *tls.Config {
	if cfg.ServerName != "" || cfg.InsecureSkipVerify {
		return cfg
	}
	host, _, err := net.SplitHostPort(addr)
	if err != nil {
		host = addr
	}
	cfg = cfg.Clone()
	cfg.ServerName = host
	return cfg
}

func (c *Conn) readGreeting() error {
	if err := c.nc.SetReadDeadline(time.Now().Add(c.timeout)); err != nil {
		return err
	}
	line, _, err := c.readLine(nil)
	if err != nil {
		return c.fail(fmt.Errorf("greeting: %w", err))
	}
	s, ok := parseStatus(strings.TrimPrefix(string(line), "* "))
	switch {
	case !ok || line[0] != '*' || s.Word == "NO" || s.Word == "BAD":
		return c.fail(violation(line, "a greeting is OK, PREAUTH or BYE (RFC 9051, 7.1)"))
	case s.Word == "BYE":
		return c.fail(fmt.Errorf("%w: %s", ErrBye, s.Text))
	}
	c.noteCode(s)
	return nil
}
