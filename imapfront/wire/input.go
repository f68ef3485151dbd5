package wire

import "io"

const (
	// idleBuffer is what a connection holds while its client is silent: most
	// commands fit into it.
	idleBuffer = 256
	// bufferSize is the buffer of a connection whose client is not.
	bufferSize = 4096
)

// input buffers a connection and costs little while nothing comes: the large
// buffer is made when a read has filled the small one, and let go when all that
// was read has been used.
type input struct {
	src   io.Reader
	small [idleBuffer]byte
	large []byte // nil: small is in use
	r, w  int    // what has been read and not been used
	full  bool   // the last read filled the buffer: more is likely
	total int64  // octets used so far
}

func (in *input) buf() []byte {
	if in.large != nil {
		return in.large
	}
	return in.small[:]
}

// buffered returns what has been read and not been used. It is valid until the
// next call of a method.
func (in *input) buffered() []byte { return in.buf()[in.r:in.w] }

// use marks the next n octets of what is buffered as used.
func (in *input) use(n int) {
	in.r += n
	in.total += int64(n)
}

// rest lets the large buffer go, if it is empty.
func (in *input) rest() {
	if in.r == in.w {
		in.r, in.w, in.large, in.full = 0, 0, nil, false
	}
}

// fill reads once; all that was buffered must have been used. Without an error
// there is at least one octet.
func (in *input) fill() error {
	in.r, in.w = 0, 0
	if in.full && in.large == nil {
		in.large = make([]byte, bufferSize)
	}
	n, err := readSome(in.src, in.buf())
	in.w, in.full = n, n == len(in.buf())
	return err
}

// Read reads like an io.Reader, large pieces past the buffer.
func (in *input) Read(p []byte) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	if in.r == in.w {
		if len(p) >= idleBuffer {
			n, err := readSome(in.src, p)
			in.total += int64(n)
			return n, err
		}
		if err := in.fill(); err != nil {
			return 0, err
		}
	}
	n := copy(p, in.buffered())
	in.use(n)
	return n, nil
}

// readSome reads at least one octet or fails. An error that comes along with
// octets comes again without them.
func readSome(src io.Reader, p []byte) (int, error) {
	for range 100 {
		if n, err := src.Read(p); n > 0 {
			return n, nil
		} else if err != nil {
			return 0, err
		}
	}
	return 0, io.ErrNoProgress
}
