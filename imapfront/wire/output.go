package wire

import "io"

// outputSize is the buffer while a response is printed: a TLS record.
const outputSize = 16 << 10

// output buffers what is sent. Like input it costs little while nothing is: the
// large buffer is let go by flush. The first error sticks.
type output struct {
	dst   io.Writer
	small [2 * idleBuffer]byte
	large []byte // nil: small is in use
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
	if o.large == nil {
		o.large = make([]byte, outputSize)
		copy(o.large, o.small[:o.n])
	} else {
		o.send()
	}
	return o.large[o.n:]
}

// send sends what is buffered.
func (o *output) send() {
	if o.err == nil && o.n > 0 {
		_, o.err = o.dst.Write(o.buf()[:o.n])
	}
	o.n = 0
}

// flush sends what is buffered and lets the large buffer go.
func (o *output) flush() error {
	o.send()
	o.large = nil
	return o.err
}

func (o *output) write(p []byte) {
	for len(p) > 0 && o.err == nil {
		if len(p) >= outputSize {
			o.send()
			if o.err == nil {
				_, o.err = o.dst.Write(p)
			}
			return
		}
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
