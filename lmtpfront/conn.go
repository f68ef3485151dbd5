package lmtpfront

import (
	"crypto/tls"
	"io"
	"net"
	"sync"
	"time"
)

// writeTimeout is how long a client may take no octet of an answer.
const writeTimeout = time.Minute

// listener gives go-smtp connections that the server knows.
type listener struct {
	net.Listener
	s *Server
}

// Accept implements net.Listener.
func (l *listener) Accept() (net.Conn, error) {
	for {
		nc, err := l.Listener.Accept()
		if err != nil {
			return nil, err
		}
		if c := l.s.admit(nc); c != nil {
			return c, nil
		}
	}
}

// admit takes a connection in, or turns it away.
func (s *Server) admit(nc net.Conn) *conn {
	c := &conn{Conn: nc, s: s}
	s.mu.Lock()
	full := len(s.mu.conns) >= s.cfg.MaxConnections
	if !full && !s.mu.stopping {
		s.mu.conns[c] = struct{}{}
		s.mu.Unlock()
		return c
	}
	s.mu.Unlock()
	if full {
		s.cfg.Log.Warn("too many connections", "peer", nc.RemoteAddr())
		// The buffer of a new connection is empty: this does not wait.
		_ = nc.SetWriteDeadline(time.Now().Add(time.Second))
		_, _ = nc.Write([]byte("421 4.3.2 " + s.cfg.Hostname + " too many connections, try again later\r\n"))
	}
	_ = nc.Close() // it was never ours
	return nil
}

// conn is one client's connection. It bounds how long the client may be silent,
// also in the middle of a message, which go-smtp's own timeouts do not: they bound
// the time of a whole message, however large.
type conn struct {
	net.Conn
	s *Server

	mu struct {
		sync.Mutex
		busy     bool // a transaction is under way
		draining bool // to end when there is none
		unusable bool // no more messages
	}
}

// connOf finds the connection below go-smtp's.
func connOf(nc net.Conn) (c *conn, encrypted bool) {
	if t, ok := nc.(*tls.Conn); ok {
		nc, encrypted = t.NetConn(), true
	}
	c, _ = nc.(*conn)
	return c, encrypted
}

// Read implements net.Conn. A connection that is to end and has no transaction
// has no time left, which go-smtp tells the client as 421.
func (c *conn) Read(p []byte) (int, error) {
	c.mu.Lock()
	deadline := time.Now().Add(c.s.cfg.IdleTimeout)
	if c.mu.draining && !c.mu.busy {
		deadline = time.Unix(1, 0)
	}
	err := c.Conn.SetReadDeadline(deadline)
	c.mu.Unlock()
	if err != nil {
		return 0, err
	}
	return c.Conn.Read(p)
}

// Write implements net.Conn.
func (c *conn) Write(p []byte) (int, error) {
	if err := c.Conn.SetWriteDeadline(time.Now().Add(writeTimeout)); err != nil {
		return 0, err
	}
	return c.Conn.Write(p)
}

// setBusy notes that a transaction has begun or ended.
func (c *conn) setBusy(busy bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.mu.busy = busy
}

// drain ends the connection as soon as it has no transaction.
func (c *conn) drain() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.mu.draining = true
	if !c.mu.busy {
		// Wakes the read that waits. An error means that there is none.
		_ = c.Conn.SetReadDeadline(time.Unix(1, 0))
	}
}

// abandon ends the connection soon: it takes no more messages.
func (c *conn) abandon() {
	c.mu.Lock()
	c.mu.unusable = true
	c.mu.Unlock()
	c.drain()
}

// abandoned reports whether the connection takes no more messages. What has been
// pipelined may still come.
func (c *conn) abandoned() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.mu.unusable
}

const (
	// lingerTime and lingerOctets bound what is still read of a connection that
	// the server has ended.
	lingerTime   = time.Second
	lingerOctets = 1 << 20
)

// Close implements net.Conn. It is how go-smtp ends a connection, perhaps while
// the client is still sending: if octets that nobody has read were left when the
// socket is closed, the kernel would reset the connection and the client lose an
// answer that it has not read yet. A refusal for good would then look like a
// failure to try again after. So the client is told that nothing more comes, and
// what it had under way is read and dropped, for a while.
//
// Meanwhile it is no longer counted, and the server, when it stops, waits for it
// no longer than lingerTime.
func (c *conn) Close() error {
	c.leave()
	if half, ok := c.Conn.(interface{ CloseWrite() error }); ok && half.CloseWrite() == nil {
		_ = c.Conn.SetReadDeadline(time.Now().Add(lingerTime))
		_, _ = io.CopyN(io.Discard, c.Conn, lingerOctets) // whatever ends it
	}
	return c.cut()
}

// cut closes the connection at once.
func (c *conn) cut() error {
	c.leave()
	return c.Conn.Close()
}

// leave takes the connection off the server's list.
func (c *conn) leave() {
	c.s.mu.Lock()
	defer c.s.mu.Unlock()
	delete(c.s.mu.conns, c)
}
