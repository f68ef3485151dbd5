package wire

import (
	"io"
	"sync"
)

// Output is collected in buffers that grow while a response is printed. What fills
// a large one is sent by one system call, and wakes the client once: that costs more
// than to copy it there.
const (
	// mediumOutput is the first buffer after the small one: a TLS record.
	mediumOutput = 16 << 10
	// outputSize is the largest. From there on what is buffered is sent.
	outputSize = 128 << 10
)

// mediumBuffers and largeBuffers hold buffers that nobody prints into: *[]byte.
var mediumBuffers, largeBuffers sync.Pool

// output buffers what is sent. Like input it costs little while nothing is: the
// larger buffers are let go by flush. The first error sticks.
type output struct {
	dst   io.Writer
	small [2 * idleBuffer]byte
	large []byte // nil: small is in use; else of mediumOutput or outputSize octets
	n     int    // octets not yet sent
	err   error
}

func (o *output) buf() []byte {
	if o.large != nil {
		return o.large
	}
	return o.small[:]
}

// room makes room for at least one octet and returns it.
func (o *output) room() []byte {
	if b := o.buf(); o.n < len(b) {
		return b[o.n:]
	}
	if len(o.large) == outputSize {
		o.send()
	} else {
		o.grow()
	}
	return o.large[o.n:]
}

// grow takes the next larger buffer.
func (o *output) grow() {
	size, pool := mediumOutput, &mediumBuffers
	if o.large != nil {
		size, pool = outputSize, &largeBuffers
	}
	next, ok := pool.Get().(*[]byte)
	if !ok {
		b := make([]byte, size)
		next = &b
	}
	copy(*next, o.buf()[:o.n])
	o.letGo()
	o.large = *next
}

// letGo gives the larger buffer back.
func (o *output) letGo() {
	large := o.large
	switch o.large = nil; len(large) {
	case mediumOutput:
		mediumBuffers.Put(&large)
	case outputSize:
		largeBuffers.Put(&large)
	}
}

// ahead returns room for n octets in one piece, of which as many are used as used is
// told of; nil if n is more than half a buffer.
func (o *output) ahead(n int) []byte {
	if n > outputSize/2 {
		return nil
	}
	for len(o.buf())-o.n < n {
		if len(o.large) == outputSize {
			o.send()
		} else {
			o.grow()
		}
	}
	return o.buf()[o.n:o.n:len(o.buf())]
}

// used takes what has been appended to the room that ahead returned.
func (o *output) used(b []byte) {
	if len(b) > len(o.buf())-o.n {
		o.write(b) // it was more than announced, and so is elsewhere
		return
	}
	o.n += len(b)
}

// send sends what is buffered.
func (o *output) send() {
	if o.err == nil && o.n > 0 {
		_, o.err = o.dst.Write(o.buf()[:o.n])
	}
	o.n = 0
}

// flush sends what is buffered and lets the larger buffer go.
func (o *output) flush() error {
	o.send()
	o.letGo()
	return o.err
}

func (o *output) write(p []byte) {
	if len(p) >= mediumOutput && o.n+len(p) > outputSize {
		o.send()
		if o.err == nil {
			_, o.err = o.dst.Write(p)
		}
		return
	}
	for len(p) > 0 && o.err == nil {
		n := copy(o.room(), p)
		o.n += n
		p = p[n:]
	}
}

func (o *output) writeString(s string) {
	for len(s) > 0 && o.err == nil {
		n := copy(o.room(), s)
		o.n += n
		s = s[n:]
	}
}
