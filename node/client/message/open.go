package message

import (
	"errors"
	"fmt"
	"io"
	"slices"
	"sync"

	"github.com/klauspost/compress/zstd"

	pb "github.com/quorumail/quorumail/proto/quorumail/v1"
)

// maxChunk bounds what a chunk may unfold to.
const maxChunk = 256 << 10

// ErrChunk says that a chunk is not what an append stored.
var ErrChunk = errors.New("malformed body chunk")

// decoders are kept between chunks, since making one costs more than using it.
var decoders sync.Pool

// Unpack returns the raw octets of a chunk, appended to dst. It refuses with an
// error that wraps ErrChunk whatever is not as large as it says, and never
// unfolds more than 256 KiB.
func Unpack(dst []byte, c *pb.BodyChunk) ([]byte, error) {
	size := int(c.GetRawSize())
	if c.GetRawSize() > maxChunk {
		return nil, fmt.Errorf("%w: at %d: %d octets", ErrChunk, c.GetOffset(), c.GetRawSize())
	}
	switch c.GetCodec() {
	case pb.Codec_CODEC_RAW:
		if len(c.GetData()) != size {
			return nil, fmt.Errorf("%w: at %d: %d octets, not %d", ErrChunk, c.GetOffset(), len(c.GetData()), size)
		}
		return append(dst, c.GetData()...), nil
	case pb.Codec_CODEC_ZSTD:
		dec, _ := decoders.Get().(*zstd.Decoder)
		if dec == nil {
			var err error
			dec, err = zstd.NewReader(nil, zstd.WithDecoderConcurrency(1), zstd.WithDecodeAllCapLimit(true))
			if err != nil {
				return nil, fmt.Errorf("message: %w", err)
			}
		}
		defer decoders.Put(dec)
		// The decoder writes into the capacity that it is given and no further.
		before := len(dst)
		dst = slices.Grow(dst, size)
		out, err := dec.DecodeAll(c.GetData(), dst[:before:before+size])
		if err != nil {
			return nil, fmt.Errorf("%w: at %d: %w", ErrChunk, c.GetOffset(), err)
		}
		if len(out)-before != size {
			return nil, fmt.Errorf("%w: at %d: %d octets, not %d", ErrChunk, c.GetOffset(), len(out)-before, size)
		}
		return out, nil
	}
	return nil, fmt.Errorf("%w: at %d: unknown codec", ErrChunk, c.GetOffset())
}

// Open returns a reader of the octets [offset, offset+length) of a message whose
// chunks next returns in order. Chunks before the range are passed over. Where
// next ends with io.EOF, so does the reader; where a chunk is missing between, it
// fails with an error that wraps ErrChunk. It holds one chunk at a time.
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
		if c.GetOffset()+uint64(c.GetRawSize()) <= r.at {
			continue
		}
		if c.GetOffset() > r.at {
			return 0, fmt.Errorf("%w: at %d, wanted %d", ErrChunk, c.GetOffset(), r.at)
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
