package message

import (
	"errors"
	"fmt"
	"io"
	"sync"

	"github.com/klauspost/compress/zstd"

	pb "github.com/quorumail/quorumail/proto/quorumail/v1"
)

// maxChunk bounds what a chunk may unfold to.
const maxChunk = 256 << 10

// ErrChunk says that a chunk is not what an append stored.
var ErrChunk = errors.New("malformed body chunk")

var decoders sync.Pool

// Unpack returns the raw octets of a chunk, appended to dst.
func Unpack(dst []byte, c *pb.BodyChunk) ([]byte, error) {
	switch c.GetCodec() {
	case pb.Codec_CODEC_RAW:
		if len(c.GetData()) != int(c.GetRawSize()) {
			return nil, ErrChunk
		}
		return append(dst, c.GetData()...), nil
	case pb.Codec_CODEC_ZSTD:
		dec, _ := decoders.Get().(*zstd.Decoder)
		if dec == nil {
			var err error
			if dec, err = zstd.NewReader(nil, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxMemory(maxChunk)); err != nil {
				return nil, fmt.Errorf("message: %w", err)
			}
		}
		defer decoders.Put(dec)
		before := len(dst)
		out, err := dec.DecodeAll(c.GetData(), dst)
		if err != nil || len(out)-before != int(c.GetRawSize()) {
			return nil, fmt.Errorf("%w: at %d: %w", ErrChunk, c.GetOffset(), err)
		}
		return out, nil
	}
	return nil, fmt.Errorf("%w: unknown codec", ErrChunk)
}

// Open returns a reader of the octets [offset, offset+length) of a message whose
// chunks next returns in order; next's io.EOF ends them early. Chunks before
// the range are passed over.
func Open(offset, length uint64, next func() (*pb.BodyChunk, error)) io.Reader {
	return &chunkReader{at: offset, left: length, next: next}
}

type chunkReader struct {
	at   uint64 // of the next octet to return
	left uint64
	next func() (*pb.BodyChunk, error)
	buf  []byte
	cur  []byte // part of buf not yet returned
}

func (r *chunkReader) Read(p []byte) (int, error) {
	for len(r.cur) == 0 {
		if r.left == 0 {
			return 0, io.EOF
		}
		c, err := r.next()
		if err != nil {
			return 0, err
		}
		end := c.GetOffset() + uint64(c.GetRawSize())
		if end <= r.at {
			continue
		}
		if c.GetOffset() > r.at {
			return 0, fmt.Errorf("%w: at %d, want %d", ErrChunk, c.GetOffset(), r.at)
		}
		if r.buf, err = Unpack(r.buf[:0], c); err != nil {
			return 0, err
		}
		r.cur = r.buf[r.at-c.GetOffset():]
		if uint64(len(r.cur)) > r.left {
			r.cur = r.cur[:r.left]
		}
	}
	n := copy(p, r.cur)
	r.cur = r.cur[n:]
	r.at += uint64(n)
	r.left -= uint64(n)
	return n, nil
}
