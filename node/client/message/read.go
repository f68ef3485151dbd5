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
	// maxEmptyReads is how often a reader may return nothing, and no error, in a row.
	maxEmptyReads = 100
)

// ErrTooLarge says that a message is larger than Options.MaxSize.
var ErrTooLarge = errors.New("message too large")

// Uploader stages the chunks of large bodies; client.Session is one. PutChunk is
// called concurrently.
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
// Flags and dates are the caller's to add. The octets are stored as they are.
//
// Errors are those of r, of up, of ctx, and ErrTooLarge, never of the content. r
// ends with io.EOF itself; an error that wraps it, as of a broken connection, is
// one. What was staged before an error expires by itself.
func Read(ctx context.Context, r io.Reader, up Uploader, opts Options) (*pb.AppendMessage, error) {
	if opts.Inline == 0 || opts.Inline > maxInline {
		opts.Inline = maxInline
	}
	t, _ := toolkits.Get().(*toolkit)
	if t == nil {
		enc, err := zstd.NewWriter(nil, zstd.WithEncoderLevel(zstd.SpeedFastest), zstd.WithEncoderConcurrency(1), zstd.WithWindowSize(chunkSize))
		if err != nil {
			return nil, fmt.Errorf("message: %w", err)
		}
		t = &toolkit{enc: enc, in: make([]byte, 32<<10)}
	}
	defer toolkits.Put(t)
	ctx, cancel := context.WithCancel(ctx)
	c := &cutter{
		ctx: ctx, id: make([]byte, 16), up: up, opts: opts, enc: t.enc, scan: newScanner(), buf: t.buf[:0], out: t.out,
		slots: make(chan struct{}, uploads),
	}
	rand.Read(c.id) //nolint:errcheck // it never fails (crypto/rand)
	err := c.readAll(r, t.in)
	t.buf, t.out = c.buf, c.out
	if err != nil {
		cancel() // uploads under way are in vain
	}
	if failed := c.wait(); err == nil || errors.Is(err, errUpload) {
		err = failed
	}
	cancel()
	if err != nil {
		return nil, err
	}
	return &pb.AppendMessage{Email: c.email(), Inline: c.inline}, nil
}

// errUpload ends the reading once an upload has failed.
var errUpload = errors.New("upload failed")

// toolkits are kept between messages: each holds some hundred KiB.
var toolkits sync.Pool

// toolkit is what reading a message needs while it goes on: nothing of the message is
// in it afterwards that anybody refers to.
type toolkit struct {
	enc *zstd.Encoder
	in  []byte // what is read at once
	buf []byte // what is not yet a chunk
	out []byte // a chunk that has been compressed
}

// cutter cuts a message into chunks while its octets pass.
type cutter struct {
	ctx  context.Context
	id   []byte
	up   Uploader
	opts Options
	enc  *zstd.Encoder
	scan *scanner

	out     []byte // the last chunk, compressed
	buf     []byte // octets not yet cut, from offset on
	offset  uint64
	inline  []*pb.BodyChunk
	stored  int
	staging bool

	slots chan struct{} // one for each upload under way
	wg    sync.WaitGroup
	mu    struct {
		sync.Mutex
		err error // the first of an upload
	}
}

func (c *cutter) readAll(r io.Reader, in []byte) error {
	for empty := 0; ; {
		n, err := r.Read(in)
		if n > 0 {
			empty = 0
			if size := c.scan.offset + uint64(n); c.opts.MaxSize > 0 && size > c.opts.MaxSize {
				return ErrTooLarge
			}
			c.scan.write(in[:n])
			c.buf = append(c.buf, in[:n]...)
			if err := c.cut(false); err != nil {
				return err
			}
		}
		if err == io.EOF {
			c.scan.end()
			return c.cut(true)
		}
		if err != nil {
			return err
		}
		if err := c.ctx.Err(); err != nil {
			return err
		}
		if empty++; empty > maxEmptyReads {
			return io.ErrNoProgress
		}
	}
}

// cut makes chunks of what has been read. The root's header ends one, so that
// reading a header opens nothing else.
func (c *cutter) cut(last bool) error {
	done := 0
	for {
		n := len(c.buf) - done
		head := c.scan.headerEnd
		switch {
		case head > c.offset && head <= c.offset+uint64(min(n, chunkSize)):
			n = int(head - c.offset)
		case n >= chunkSize:
			n = chunkSize
		case !last || n == 0:
			c.buf = c.buf[:copy(c.buf, c.buf[done:])]
			return nil
		}
		if err := c.chunk(c.buf[done : done+n]); err != nil {
			return err
		}
		c.offset += uint64(n)
		done += n
	}
}

// chunk stores octets that stand at offset.
func (c *cutter) chunk(raw []byte) error {
	ch := &pb.BodyChunk{Offset: c.offset, RawSize: uint32(len(raw)), Codec: pb.Codec_CODEC_ZSTD}
	c.out = c.enc.EncodeAll(raw, c.out[:0])
	if len(c.out) > len(raw)-len(raw)/20 {
		// It does not pay: images and archives in base64 shrink by a quarter.
		ch.Codec, ch.Data = pb.Codec_CODEC_RAW, append([]byte(nil), raw...)
	} else {
		ch.Data = append([]byte(nil), c.out...)
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
	if c.failed() != nil {
		<-c.slots
		return errUpload
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
	s := c.scan
	return &pb.Email{
		Size: s.offset, BodyId: c.id, Structure: s.root.part,
		Envelope: s.top, References: s.refs, ReferenceIds: uint32(s.properRefs), Preview: s.preview(),
	}
}
