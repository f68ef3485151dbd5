package deflate

import (
	"bytes"
	"io"
	"sync"

	"github.com/klauspost/compress/flate"
)

const (
	// history is how much of what has been sent is kept to be referred to. More
	// makes responses hardly smaller: what repeats is the words of the protocol.
	history = 2 << 10
	// piece is how much is compressed at once.
	piece = 16 << 10
)

// buffers are what pieces are compressed into.
var buffers sync.Pool

// Writer compresses what is written to it. Each Write is a flush: the other side
// can decode all of it. It must not be used by two goroutines at once.
type Writer struct {
	dst  io.Writer
	dict []byte // the end of what has been written
}

// NewWriter returns a Writer to dst.
func NewWriter(dst io.Writer) *Writer { return &Writer{dst: dst} }

// Write compresses p and passes it on. The error is that of dst.
func (w *Writer) Write(p []byte) (n int, err error) {
	buf, _ := buffers.Get().(*bytes.Buffer)
	if buf == nil {
		buf = new(bytes.Buffer)
	}
	defer buffers.Put(buf)
	for n < len(p) {
		part := p[n:min(n+piece, len(p))]
		buf.Reset()
		_ = flate.StatelessDeflate(buf, part, false, w.dict) // buf takes all
		if _, err := w.dst.Write(buf.Bytes()); err != nil {
			return n, err
		}
		w.remember(part)
		n += len(part)
	}
	return n, nil
}

// remember keeps the end of what has been written.
func (w *Writer) remember(p []byte) {
	if len(p) >= history {
		w.dict = append(w.dict[:0], p[len(p)-history:]...)
		return
	}
	if drop := len(w.dict) + len(p) - history; drop > 0 {
		w.dict = w.dict[:copy(w.dict, w.dict[drop:])]
	}
	w.dict = append(w.dict, p...)
}

// Close ends the compressed data. The connection goes on without.
func (w *Writer) Close() error {
	_, err := w.dst.Write([]byte{0x03, 0x00}) // a last block, without content
	return err
}
