package message

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/iotest"
	"time"

	pb "github.com/quorumail/quorumail/proto/quorumail/v1"
)

// large returns a message of about n octets that shrinks to about two thirds.
func large(n int) string {
	var sb strings.Builder
	sb.WriteString("Subject: large\r\n\r\n")
	for i := 0; sb.Len() < n; i++ {
		fmt.Fprintf(&sb, "%x%x\r\n", i*7919, i*i*104729)
	}
	return sb.String()
}

func TestLargeBodiesAreStaged(t *testing.T) {
	raw := large(3 << 20)
	e, chunks := read(t, strings.NewReader(raw), Options{})
	if e.GetSize() != uint64(len(raw)) || len(chunks) < 10 || octets(t, chunks, 0, e.GetSize()) != raw {
		t.Errorf("size %d, %d chunks", e.GetSize(), len(chunks))
	}
	if chunks[0].GetRawSize() != uint32(len("Subject: large\r\n\r\n")) {
		t.Errorf("the first chunk has %d octets: it should be the header", chunks[0].GetRawSize())
	}
	for _, r := range [][2]uint64{{500_000, 10}, {0, 1}, {chunkSize - 5, 10}, {uint64(len(raw)) - 3, 3}, {7, 0}} {
		if got := octets(t, chunks, r[0], r[1]); got != raw[r[0]:r[0]+r[1]] {
			t.Errorf("%v: %q", r, got)
		}
	}
	if got := octets(t, chunks, uint64(len(raw))-3, 100); got != raw[len(raw)-3:] {
		t.Errorf("past the end: %q", got)
	}
}

func TestInlineIsBounded(t *testing.T) {
	raw := large(40_000)
	for inline, want := range map[int]bool{0: true, 1000: false, -1: false, 1 << 30: true} {
		m, err := Read(context.Background(), strings.NewReader(raw), &store{}, Options{Inline: inline})
		if err != nil || (len(m.GetInline()) > 0) != want {
			t.Errorf("Inline %d: %d chunks, %v", inline, len(m.GetInline()), err)
		}
	}
	// What does not shrink is stored as it is.
	noise := make([]byte, 300_000)
	rand.NewChaCha8([32]byte{1}).Read(noise)
	_, chunks := read(t, bytes.NewReader(noise), Options{})
	for _, c := range chunks {
		if c.GetCodec() != pb.Codec_CODEC_RAW {
			t.Errorf("chunk at %d: %s", c.GetOffset(), c.GetCodec())
		}
	}
}

// gate is an uploader that counts what is under way.
type gate struct {
	now, most atomic.Int32
	fail      error
	block     bool
}

func (g *gate) PutChunk(ctx context.Context, _ []byte, c *pb.BodyChunk) error {
	n := g.now.Add(1)
	defer g.now.Add(-1)
	for {
		most := g.most.Load()
		if n <= most || g.most.CompareAndSwap(most, n) {
			break
		}
	}
	if g.block {
		<-ctx.Done()
		return ctx.Err()
	}
	if g.fail != nil && c.GetOffset() > 300_000 {
		return g.fail
	}
	return nil
}

func TestErrors(t *testing.T) {
	raw := large(2 << 20)
	broken := errors.New("broken")
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	for name, c := range map[string]struct {
		ctx  context.Context
		r    io.Reader
		up   *gate
		opts Options
		want error
	}{
		"too large":     {context.Background(), strings.NewReader(raw), &gate{}, Options{MaxSize: 1000}, ErrTooLarge},
		"reader":        {context.Background(), io.MultiReader(strings.NewReader(raw), iotest.ErrReader(broken)), &gate{}, Options{}, broken},
		"wrapped EOF":   {context.Background(), iotest.ErrReader(fmt.Errorf("connection: %w", io.EOF)), &gate{}, Options{}, io.EOF},
		"upload":        {context.Background(), strings.NewReader(raw), &gate{fail: broken}, Options{}, broken},
		"context":       {ctx, strings.NewReader(raw), &gate{}, Options{}, context.Canceled},
		"stuck reader":  {context.Background(), stuck{}, &gate{}, Options{}, io.ErrNoProgress},
		"stuck uploads": {context.Background(), io.MultiReader(strings.NewReader(raw[:1<<20]), iotest.ErrReader(broken)), &gate{block: true}, Options{}, nil},
	} {
		run := c.ctx
		if c.up.block {
			var stop context.CancelFunc
			run, stop = context.WithTimeout(run, 50*time.Millisecond)
			defer stop()
			c.want = context.DeadlineExceeded
		}
		if m, err := Read(run, c.r, c.up, c.opts); !errors.Is(err, c.want) || m != nil {
			t.Errorf("%s: %v", name, err)
		}
		if c.up.now.Load() != 0 || c.up.most.Load() > uploads {
			t.Errorf("%s: %d uploads are left, %d were at once", name, c.up.now.Load(), c.up.most.Load())
		}
	}
	if _, err := Read(context.Background(), strings.NewReader(raw), &gate{}, Options{MaxSize: uint64(len(raw))}); err != nil {
		t.Errorf("exactly at the limit: %v", err)
	}
}

type stuck struct{}

func (stuck) Read([]byte) (int, error) { return 0, nil }

// A large message passes through: it is never whole in memory.
func TestMemoryIsBounded(t *testing.T) {
	line := strings.Repeat("0123456789abcdef", 4) + "\r\n"
	part := mixed("b", "--b\r\n\r\n") + line
	r := io.LimitReader(io.MultiReader(strings.NewReader(part), &endless{line: line}), 64<<20)
	var mu sync.Mutex // uploads run side by side
	var peak uint64
	up := uploadFunc(func(c *pb.BodyChunk) error {
		if c.GetOffset()%(8<<20) < chunkSize {
			mu.Lock()
			defer mu.Unlock()
			var m runtime.MemStats
			runtime.GC()
			runtime.ReadMemStats(&m)
			peak = max(peak, m.HeapAlloc)
		}
		return nil
	})
	var before runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	if _, err := Read(context.Background(), r, up, Options{Inline: -1}); err != nil {
		t.Fatal(err)
	}
	// The chunks under way, and what they have left behind since the collection
	// began, which on a busy machine takes a while.
	if peak > before.HeapAlloc+24<<20 {
		t.Errorf("%d KiB above the start", (peak-before.HeapAlloc)>>10)
	}
}

type uploadFunc func(*pb.BodyChunk) error

func (f uploadFunc) PutChunk(_ context.Context, _ []byte, c *pb.BodyChunk) error { return f(c) }

type endless struct {
	line string
	at   int
}

func (e *endless) Read(p []byte) (int, error) {
	for n := 0; n < len(p); {
		k := copy(p[n:], e.line[e.at:])
		n += k
		e.at = (e.at + k) % len(e.line)
	}
	return len(p), nil
}

func TestOpenRefusesWhatWasNotStored(t *testing.T) {
	zeros := bytes.Repeat([]byte{0}, 1<<20)
	good, _ := Read(context.Background(), strings.NewReader("\r\n"+string(zeros[:100_000])), &store{}, Options{})
	bomb := good.GetInline()[1].GetData()
	for name, chunks := range map[string][]*pb.BodyChunk{
		"codec":        {{RawSize: 1, Data: []byte("x")}},
		"raw size":     {{RawSize: 2, Codec: pb.Codec_CODEC_RAW, Data: []byte("x")}},
		"zstd":         {{RawSize: 2, Codec: pb.Codec_CODEC_ZSTD, Data: []byte("x")}},
		"unfolds more": {{RawSize: 2, Codec: pb.Codec_CODEC_ZSTD, Data: bomb}},
		"unfolds less": {{RawSize: 200_000, Codec: pb.Codec_CODEC_ZSTD, Data: bomb}},
		"claims more":  {{RawSize: 1 << 31, Codec: pb.Codec_CODEC_ZSTD, Data: bomb}},
		"gap":          {{Offset: 5, RawSize: 1, Codec: pb.Codec_CODEC_RAW, Data: []byte("x")}},
	} {
		if got, err := io.ReadAll(Open(0, 10, sequence(chunks))); !errors.Is(err, ErrChunk) {
			t.Errorf("%s: %q, %v", name, got, err)
		}
	}
}

// What was read of a message stays what it is while the next ones are read: the memory
// that they are read in is used again.
func TestMessagesShareNoMemory(t *testing.T) {
	noise := make([]byte, 3*chunkSize/2)
	rng := rand.New(rand.NewPCG(1, 1))
	for i := range noise {
		noise[i] = byte(rng.Uint32())
	}
	var raws []string
	var got [][]*pb.BodyChunk
	for i := range 6 {
		raw := fmt.Sprintf("Subject: %d\r\n\r\n%s%s", i, strings.Repeat(fmt.Sprintf("line %d\r\n", i), 1000*(6-i)), noise[i*1000:])
		msg, err := Read(t.Context(), strings.NewReader(raw), &store{}, Options{})
		if err != nil {
			t.Fatal(err)
		}
		raws, got = append(raws, raw), append(got, msg.GetInline())
	}
	for i, raw := range raws {
		if len(got[i]) == 0 || octets(t, got[i], 0, uint64(len(raw))) != raw {
			t.Errorf("message %d, of %d chunks, has changed", i, len(got[i]))
		}
	}
}

func BenchmarkRead(b *testing.B) {
	raw := []byte(large(1 << 20))
	b.SetBytes(int64(len(raw)))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := Read(context.Background(), bytes.NewReader(raw), &gate{}, Options{}); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkScan(b *testing.B) {
	raw := []byte(large(1 << 20))
	b.SetBytes(int64(len(raw)))
	for b.Loop() {
		s := newScanner()
		for i := 0; i < len(raw); i += 32 << 10 {
			s.write(raw[i:min(i+32<<10, len(raw))])
		}
		s.end()
	}
}
