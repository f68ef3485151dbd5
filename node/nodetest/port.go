package nodetest

import (
	"errors"
	"net"
	"sync"
)

// port is a node's address. It stays bound while the node is down, so that the
// node can come back to it; connections made meanwhile are closed at once.
type port struct {
	real net.Listener
	wg   sync.WaitGroup

	mu struct {
		sync.Mutex
		current *listener     // nil: the node is down
		thawed  chan struct{} // nil: not frozen; closed at the end of frost
	}
}

func newPort() (*port, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	p := &port{real: l}
	p.wg.Go(p.accept)
	return p, nil
}

func (p *port) addr() string { return p.real.Addr().String() }

func (p *port) accept() {
	for {
		c, err := p.real.Accept()
		if err != nil {
			return
		}
		p.mu.Lock()
		l := p.mu.current
		p.mu.Unlock()
		if l == nil {
			_ = c.Close()
			continue
		}
		select {
		case l.conns <- &conn{Conn: c, p: p}:
		case <-l.closed:
			_ = c.Close()
		}
	}
}

// listen returns the listener for the next life of the node.
func (p *port) listen() net.Listener {
	l := &listener{p: p, conns: make(chan net.Conn), closed: make(chan struct{})}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.mu.current = l
	return l
}

// freeze stops all that goes over the node's connections; they stay open.
func (p *port) freeze() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.mu.thawed == nil {
		p.mu.thawed = make(chan struct{})
	}
}

func (p *port) thaw() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.mu.thawed != nil {
		close(p.mu.thawed)
		p.mu.thawed = nil
	}
}

// pass waits for the end of frost.
func (p *port) pass() {
	p.mu.Lock()
	wait := p.mu.thawed
	p.mu.Unlock()
	if wait != nil {
		<-wait
	}
}

func (p *port) close() {
	p.thaw()
	_ = p.real.Close()
	p.wg.Wait()
}

// listener is a net.Listener of one life of a node.
type listener struct {
	p      *port
	conns  chan net.Conn
	closed chan struct{}
	once   sync.Once
}

func (l *listener) Accept() (net.Conn, error) {
	select {
	case c := <-l.conns:
		return c, nil
	case <-l.closed:
		return nil, net.ErrClosed
	}
}

func (l *listener) Close() error {
	err := errors.New("already closed")
	l.once.Do(func() {
		err = nil
		close(l.closed)
		l.p.mu.Lock()
		defer l.p.mu.Unlock()
		if l.p.mu.current == l {
			l.p.mu.current = nil
		}
	})
	return err
}

func (l *listener) Addr() net.Addr { return l.p.real.Addr() }

// conn is a connection that frost holds up.
type conn struct {
	net.Conn
	p *port
}

func (c *conn) Read(b []byte) (int, error) {
	n, err := c.Conn.Read(b)
	c.p.pass()
	return n, err
}

func (c *conn) Write(b []byte) (int, error) {
	c.p.pass()
	return c.Conn.Write(b)
}
