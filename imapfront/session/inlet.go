package session

import (
	"errors"
	"net"
	"os"
	"sync"
	"time"
)

// inlet is where the client's octets come in. The connection's goroutine waits
// there for most of its life, and may have to be told something meanwhile: that
// there is news for the client, or that the server shuts down. A second
// goroutine to wait with would cost each idle session its stack, so the read
// itself is interrupted, by a deadline in the past. No octet is lost by that:
// a read that has got any returns them, also through TLS.
//
// Read and arm belong to the connection's goroutine. The other methods may be
// called from any.
type inlet struct {
	// onWake is called by Read while it is armed and a line is yet to begin. An
	// error of it is an error of reading.
	onWake  func() error
	between func() bool // whether a line is yet to begin
	armed   bool

	mu struct {
		sync.Mutex
		net      net.Conn
		deadline time.Time // of reading
		woken    bool      // and not seen yet
		reading  bool      // in a read that a wake interrupts
		poked    bool      // by a deadline that is not the one above
		idle     bool      // waiting for a command, or in IDLE: may be ended
		asked    bool      // to end at the next command's boundary
		ended    bool      // reading is over
	}
}

// past is a deadline that interrupts a read.
func past() time.Time { return time.Unix(1, 0) }

// reset makes the inlet read from another connection, with the same deadline.
func (in *inlet) reset(c net.Conn) {
	in.mu.Lock()
	defer in.mu.Unlock()
	in.mu.net = c
}

// glance is how long Read looks for the client's octets between two wakes that
// follow each other at once. Without it a client could not be heard while there
// is always something new.
const glance = time.Millisecond

// Read implements io.Reader.
func (in *inlet) Read(p []byte) (int, error) {
	told := false // and nothing has been read since
	for {
		conn, woken := in.begin(told)
		if woken {
			if err := in.onWake(); err != nil {
				return 0, err
			}
			told = true
			continue
		}
		n, err := conn.Read(p)
		poked := in.done()
		if n == 0 && poked && errors.Is(err, os.ErrDeadlineExceeded) {
			told = false
			continue
		}
		return n, err
	}
}

// begin notes that a read begins, unless there is news to be seen first.
func (in *inlet) begin(told bool) (conn net.Conn, woken bool) {
	listens := in.armed && in.between()
	in.mu.Lock()
	defer in.mu.Unlock()
	switch {
	case !listens:
	case !in.mu.woken:
		in.mu.reading = true
	case !told:
		in.mu.woken = false
		return nil, true
	case !in.mu.ended:
		in.mu.poked = true
		_ = in.mu.net.SetReadDeadline(time.Now().Add(glance)) // a broken connection shows when it is read
	}
	return in.mu.net, false
}

// done notes that it is over, and reports whether it may have been interrupted
// for nothing but news.
func (in *inlet) done() (poked bool) {
	in.mu.Lock()
	defer in.mu.Unlock()
	in.mu.reading = false
	poked = in.mu.poked && !in.mu.ended
	if poked {
		_ = in.mu.net.SetReadDeadline(in.mu.deadline)
	}
	in.mu.poked = false
	return poked
}

// wake has onWake called: now, if Read waits for a line to begin, else when it
// does. Wakes that come before the call are one.
func (in *inlet) wake() {
	in.mu.Lock()
	defer in.mu.Unlock()
	in.mu.woken = true
	if in.mu.reading && !in.mu.poked && !in.mu.ended {
		in.mu.poked = true
		_ = in.mu.net.SetReadDeadline(past())
	}
}

// setDeadline bounds reading from now on.
func (in *inlet) setDeadline(t time.Time) {
	in.mu.Lock()
	defer in.mu.Unlock()
	in.setDeadlineLocked(t)
}

func (in *inlet) setDeadlineLocked(t time.Time) {
	in.mu.deadline = t
	if !in.mu.ended && !in.mu.poked {
		_ = in.mu.net.SetReadDeadline(t)
	}
}

// rest sets the deadline for the next command, unless the connection is to end.
func (in *inlet) rest(deadline time.Time) bool {
	in.mu.Lock()
	defer in.mu.Unlock()
	if in.mu.asked || in.mu.ended {
		return false
	}
	in.mu.idle = true
	in.setDeadlineLocked(deadline)
	return true
}

// busy notes that a command has come.
func (in *inlet) busy() {
	in.mu.Lock()
	defer in.mu.Unlock()
	in.mu.idle = false
}

// drain ends the connection at the next command's boundary.
func (in *inlet) drain() {
	in.mu.Lock()
	defer in.mu.Unlock()
	in.mu.asked = true
	if in.mu.idle {
		in.endLocked()
	}
}

func (in *inlet) draining() bool {
	in.mu.Lock()
	defer in.mu.Unlock()
	return in.mu.asked
}

// end ends reading for good.
func (in *inlet) end() {
	in.mu.Lock()
	defer in.mu.Unlock()
	in.endLocked()
}

func (in *inlet) endLocked() {
	in.mu.ended = true
	_ = in.mu.net.SetReadDeadline(past())
}
