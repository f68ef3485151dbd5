package message

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"sync"

	"github.com/klauspost/compress/zstd"

	pb "github.com/quorumail/quorumail/proto/quorumail/v1"
)

const (
	// chunkSize is the raw size of body chunks: small enough that a partial fetch
	// opens little, large enough to compress.
	chunkSize = 128 << 10
	// maxInline is the most, as stored, that rides in an append entry.
	maxInline = 256 << 10
	// uploads is how many chunks of one body are staged at once.
	uploads = 4
)

// ErrTooLarge says that a message is larger than Options.MaxSize.
var ErrTooLarge = errors.New("message too large")

// Uploader stages the chunks of large bodies; client.Session is one. PutChunk
// may be called concurrently.
type Uploader interface {
	PutChunk(ctx context.Context, bodyID []byte, chunk *pb.BodyChunk) error
}

// Options bounds what Read accepts.
type Options struct {
	// MaxSize in octets; 0: no bound.
	MaxSize uint64
	// Inline is how many octets, as stored, may ride in the entry: less than the
	// default of 256 KiB if several messages share one. A negative value stages
	// every body.
	Inline int
}

// Read reads a message to its end and returns the proposal to append it: the
// content record and the chunks, or no chunks if they have been staged with up.
// Flags and dates are the caller's. The octets are stored as they are. Errors
// are those of r, of up, of ctx, and ErrTooLarge: never of the content.
func Read(ctx context.Context, r io.Reader, up Uploader, opts Options) (*pb.AppendMessage, error) {
	if opts.Inline == 0 || opts.Inline > maxInline {
		opts.Inline = maxInline
	}
	id := make([]byte, 16)
	rand.Read(id) //nolint:errcheck // never fails (crypto/rand)
	enc, _ := encoders.Get().(*zstd.Encoder)
	if enc == nil {
		var err error
		if enc, err = zstd.NewWriter(nil, zstd.WithEncoderLevel(zstd.SpeedFastest), zstd.WithEncoderConcurrency(1), zstd.WithWindowSize(chunkSize)); err != nil {
			return nil, fmt.Errorf("message: %w", err)
		}
	}
	defer encoders.Put(enc)
	c := &cutter{ctx: ctx, id: id, up: up, opts: opts, enc: enc, scan: newScanner()}
	defer c.wait()
	if err := c.readAll(r); err != nil {
		return nil, err
	}
	if err := c.wait(); err != nil {
		return nil, err
	}
	return &pb.AppendMessage{Email: c.email(), Inline: c.inline}, nil
}

// encoders are kept between messages: one holds some hundred KiB.
var encoders sync.Pool

// cutter cuts a message into chunks while its octets pass.
type cutter struct {
	ctx  context.Context
	id   []byte
	up   Uploader
	opts Options
	enc  *zstd.Encoder
	scan *scanner

	buf     []byte // octets not yet cut, from offset on
	offset  uint64
	size    uint64
	inline  []*pb.BodyChunk
	stored  int
	staging bool

	slots chan struct{}
	wg    sync.WaitGroup
	mu    struct {
		sync.Mutex
		err error // the first of an upload
	}
}

func (c *cutter) readAll(r io.Reader) error {
	c.slots = make(chan struct{}, uploads)
	in := make([]byte, 32<<10)
	for {
		n, err := r.Read(in)
		if n > 0 {
			c.size += uint64(n)
			if c.opts.MaxSize > 0 && c.size > c.opts.MaxSize {
				return ErrTooLarge
			}
			c.scan.write(in[:n])
			c.buf = append(c.buf, in[:n]...)
			if err := c.cut(false); err != nil {
				return err
			}
		}
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return err
		}
		if err := c.ctx.Err(); err != nil {
			return err
		}
	}
	c.scan.end()
	return c.cut(true)
}

// cut makes chunks of what has been read. The root's header ends one, so that
// reading a header opens nothing else.
func (c *cutter) cut(last bool) error {
	for {
		n := len(c.buf)
		head := c.scan.headerEnd
		switch {
		case n == 0:
			return nil
		case head > c.offset && head <= c.offset+uint64(min(n, chunkSize)):
			n = int(head - c.offset)
		case n >= chunkSize:
			n = chunkSize
		case !last:
			return nil
		}
		if err := c.chunk(c.buf[:n]); err != nil {
			return err
		}
		c.offset += uint64(n)
		c.buf = c.buf[:copy(c.buf, c.buf[n:])]
	}
}

// chunk stores octets that stand at offset.
func (c *cutter) chunk(raw []byte) error {
	ch := &pb.BodyChunk{Offset: c.offset, RawSize: uint32(len(raw)), Codec: pb.Codec_CODEC_ZSTD}
	ch.Data = c.enc.EncodeAll(raw, nil)
	if len(ch.Data) > len(raw)-len(raw)/20 {
		ch.Codec, ch.Data = pb.Codec_CODEC_RAW, append([]byte(nil), raw...)
	}
	c.stored += len(ch.Data)
	if c.staging {
		return c.stage(ch)
	}
	c.inline = append(c.inline, ch)
	if c.stored <= c.opts.Inline {
		return nil
	}
	c.staging = true
	for _, early := range c.inline {
		if err := c.stage(early); err != nil {
			return err
		}
	}
	c.inline = nil
	return nil
}

// stage uploads a chunk in the background, a bounded number at once.
func (c *cutter) stage(ch *pb.BodyChunk) error {
	select {
	case c.slots <- struct{}{}:
	case <-c.ctx.Done():
		return c.ctx.Err()
	}
	if err := c.failed(); err != nil {
		<-c.slots
		return err
	}
	c.wg.Go(func() {
		defer func() { <-c.slots }()
		if err := c.up.PutChunk(c.ctx, c.id, ch); err != nil {
			c.mu.Lock()
			defer c.mu.Unlock()
			if c.mu.err == nil {
				c.mu.err = err
			}
		}
	})
	return nil
}

func (c *cutter) failed() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.mu.err
}

// wait waits for all uploads and returns the first error.
func (c *cutter) wait() error {
	c.wg.Wait()
	return c.failed()
}

// email makes the content record.
func (c *cutter) email() *pb.Email {
	fields := parseHeader(c.scan.root.header)
	return &pb.Email{
		Size: c.size, BodyId: c.id, Structure: c.scan.root.part,
		Envelope: envelope(fields), References: references(fields), Preview: c.scan.preview(),
	}
}
