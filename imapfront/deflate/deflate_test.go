package deflate

import (
	"bytes"
	stdflate "compress/flate"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"runtime"
	"strings"
	"testing"
	"testing/iotest"
)

// flush is what a client has sent up to a flush, and what that says.
type flush struct{ octets, text []byte }

// streams reads what testdata/make.py has written.
func streams(t testing.TB) map[string][]flush {
	t.Helper()
	data, err := os.ReadFile("testdata/zlib.txt")
	if err != nil {
		t.Fatal(err)
	}
	all := make(map[string][]flush)
	name := ""
	for line := range strings.Lines(string(data)) {
		var octets, text string
		var times int
		if n, _ := fmt.Sscanf(line, "%s *%d %s", &octets, &times, &text); n < 3 {
			name = strings.TrimSpace(line)
			continue
		}
		var f flush
		f.octets, _ = hex.DecodeString(octets)
		f.text, err = hex.DecodeString(text)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		f.text = bytes.Repeat(f.text, times)
		all[name] = append(all[name], f)
	}
	return all
}

// peer is a client that sends no more before what it has flushed is understood.
type peer struct {
	t       *testing.T
	flushes []flush
	sent    int // of the first of them
	most    int // octets at a time
	want    int // octets of text flushed so far
	got     *int
}

func (p *peer) Read(b []byte) (int, error) {
	if len(p.flushes) > 0 && p.sent == len(p.flushes[0].octets) {
		p.want += len(p.flushes[0].text)
		if *p.got != p.want {
			p.t.Fatalf("stalled: %d octets of %d have been read, and more are waited for", *p.got, p.want)
		}
		p.flushes, p.sent = p.flushes[1:], 0
	}
	if len(p.flushes) == 0 {
		return 0, io.EOF
	}
	n := copy(b[:min(len(b), p.most)], p.flushes[0].octets[p.sent:])
	p.sent += n
	return n, nil
}

// Whatever has been flushed is handed out before more is waited for, however it
// comes.
func TestFlushedIsReadWithoutMore_RFC4978_3(t *testing.T) {
	all := streams(t)
	if len(all) < 20 {
		t.Fatalf("%d streams", len(all))
	}
	for name, flushes := range all {
		for _, most := range []int{1, 7, 100_000} {
			for _, size := range []int{1, 2, 100, 100_000} {
				got := 0
				r := NewReader(&peer{t: t, flushes: flushes, most: most, got: &got})
				var want []byte
				for _, f := range flushes {
					want = append(want, f.text...)
				}
				buf, text := make([]byte, size), []byte(nil)
				for {
					n, err := r.Read(buf)
					got += n
					if text = append(text, buf[:n]...); err == io.EOF {
						break
					}
					if err != nil || n == 0 {
						t.Fatalf("%s, %d at a time: %d, %v after %d octets", name, most, n, err, got)
					}
					if i := bytes.IndexByte(buf[:n], '\n'); i >= 0 && i < n-1 {
						t.Fatalf("%s: %q goes on after a line end", name, buf[:n])
					}
				}
				if !bytes.Equal(text, want) {
					t.Fatalf("%s, %d at a time into %d: the text differs", name, most, size)
				}
			}
		}
	}
}

func TestWriter_RFC4978_3(t *testing.T) {
	var out bytes.Buffer
	w := NewWriter(&out)
	r := NewReader(&out)
	sent := 0
	random := make([]byte, 50_000)
	for i := range random {
		random[i] = byte(i * i >> 5)
	}
	for _, text := range []string{
		"* OK begin\r\n", "", "x", strings.Repeat("* 1 FETCH (FLAGS (\\Seen))\r\n", 3000), string(random), "a OK done\r\n",
		strings.Repeat("y", history), strings.Repeat("z", history-1), "zz", "y",
	} {
		if n, err := io.WriteString(w, text); n != len(text) || err != nil {
			t.Fatalf("%d, %v", n, err)
		}
		sent += out.Len()
		got := make([]byte, len(text))
		if n, err := io.ReadFull(r, got); string(got) != text {
			t.Fatalf("%d octets, %v: %.60q, want %.60q", n, err, got, text)
		}
		if cap(w.dict) > 2*history {
			t.Errorf("%d octets are kept", cap(w.dict))
		}
	}
	if sent > 70_000 {
		t.Errorf("compressed, it has %d octets", sent)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	if n, err := r.Read(make([]byte, 1)); n != 0 || err != io.EOF {
		t.Errorf("after the end: %d, %v", n, err)
	}
	cause := errors.New("gone")
	w = NewWriter(failing{cause})
	if n, err := w.Write([]byte("x")); n != 0 || !errors.Is(err, cause) {
		t.Errorf("%d, %v", n, err)
	}
	if err := w.Close(); !errors.Is(err, cause) {
		t.Errorf("%v", err)
	}
}

type failing struct{ err error }

func (f failing) Write([]byte) (int, error) { return 0, f.err }

// RFC 8437, 4.1: after UNAUTHENTICATE the client is heard as it speaks, be it that
// it ended its data or only flushed them.
func TestEnd_RFC8437_4_1(t *testing.T) {
	const before, after = "a NOOP\r\nb UNAUTHENTICATE\r\n", "c LOGIN x y\r\nd NOOP\r\n"
	for name, end := range map[string]func(*stdflate.Writer) error{"closed": (*stdflate.Writer).Close, "flushed": (*stdflate.Writer).Flush} {
		for _, level := range []int{0, 1, 9} {
			var data bytes.Buffer
			w, _ := stdflate.NewWriter(&data, level)
			_, _ = io.WriteString(w, before)
			if err := end(w); err != nil {
				t.Fatal(err)
			}
			data.WriteString(after)
			for _, src := range []io.Reader{bytes.NewReader(data.Bytes()), iotest.OneByteReader(bytes.NewReader(data.Bytes()))} {
				r := NewReader(src)
				if got, err := io.ReadAll(io.LimitReader(r, int64(len(before)))); string(got) != before || err != nil {
					t.Fatalf("%s: %q, %v", name, got, err)
				}
				r.End()
				if got, err := io.ReadAll(r); string(got) != after || err != nil {
					t.Errorf("%s, %d: then %q, %v", name, level, got, err)
				}
				if r.Pending() {
					t.Errorf("%s: octets are left", name)
				}
			}
		}
	}
	// One that goes on compressing is not understood.
	var data bytes.Buffer
	w, _ := stdflate.NewWriter(&data, 1)
	_, _ = io.WriteString(w, before+after)
	_ = w.Close()
	r := NewReader(&data)
	_, _ = io.CopyN(io.Discard, r, int64(len(before)))
	if !r.Pending() {
		t.Error("nothing is left")
	}
	r.End()
	if got, err := io.ReadAll(r); len(got) > 0 || !errors.Is(err, ErrCorrupt) {
		t.Errorf("%q, %v", got, err)
	}
}

func TestMalformed_RFC1951(t *testing.T) {
	for name, octets := range map[string]string{
		"block type":            "\x07",
		"stored length":         "\x01\x01\x00\x00\x00x",
		"distance before begin": "\x4b\x04\x23\x00",
		"reserved symbol":       "\x1b\x03",
		"too many codes":        "\xfd\xff\xff",
		"over-subscribed":       "\x05\x00\x24\x49\x92\x24\x49\x92\x24\x00",
		"repeat of nothing":     "\x0c\x00\x40\x92\x24\x49\x92\x24\xff\xff\xff\xff",
	} {
		if got, err := io.ReadAll(NewReader(strings.NewReader(octets))); !errors.Is(err, ErrCorrupt) {
			t.Errorf("%s: %q, %v", name, got, err)
		}
	}
	cause := errors.New("reset")
	r := NewReader(iotest.ErrReader(cause))
	for range 2 {
		if n, err := r.Read(make([]byte, 5)); n != 0 || !errors.Is(err, cause) {
			t.Errorf("%d, %v", n, err)
		}
	}
	if n, err := r.Read(nil); n != 0 || err != nil {
		t.Errorf("%d, %v", n, err)
	}
	if _, err := NewReader(iotest.ErrReader(nil)).Read(make([]byte, 1)); !errors.Is(err, io.ErrNoProgress) {
		t.Errorf("%v", err)
	}
}

// A few octets that unfold to many take no more memory than others.
func TestBombTakesNoMemory(t *testing.T) {
	var bomb bytes.Buffer
	w, _ := stdflate.NewWriter(&bomb, 9)
	_, _ = w.Write(make([]byte, 64<<20))
	_ = w.Close()
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	n, err := io.Copy(io.Discard, NewReader(bytes.NewReader(bomb.Bytes())))
	runtime.ReadMemStats(&after)
	if n != 64<<20 || err != nil {
		t.Fatalf("%d, %v", n, err)
	}
	if took := after.TotalAlloc - before.TotalAlloc; took > 10<<20 {
		t.Errorf("%d octets of %d unfold with %d of memory", bomb.Len(), n, took)
	}
}

// What an idle connection holds.
func TestIdleMemory(t *testing.T) {
	const conns = 200
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	var keep []any
	var commands [][]byte
	var data bytes.Buffer
	z, _ := stdflate.NewWriter(&data, 6)
	for i := range 30 {
		_, _ = fmt.Fprintf(z, "a%04d UID FETCH %d:* (UID FLAGS MODSEQ)\r\n", i, i)
		_ = z.Flush()
		commands = append(commands, bytes.Clone(data.Bytes()))
		data.Reset()
	}
	for range conns {
		w := NewWriter(io.Discard)
		_, _ = w.Write(make([]byte, 100_000))
		src := &chunks{most: 1000}
		r := NewReader(src)
		for _, src.data = range commands {
			_, _ = r.Read(make([]byte, 100))
		}
		keep = append(keep, w, r)
	}
	runtime.GC()
	runtime.GC() // of what is pooled
	runtime.ReadMemStats(&after)
	each := int(after.HeapAlloc-before.HeapAlloc) / conns
	t.Logf("%d octets a connection", each)
	if each > 5<<10 {
		t.Errorf("%d octets a connection", each)
	}
	runtime.KeepAlive(keep)
}

// It reads what the library reads, and nothing else.
func FuzzReader(f *testing.F) {
	for name, flushes := range streams(f) {
		if strings.HasPrefix(name, "partial") {
			continue
		}
		var data []byte
		for _, s := range flushes[:4] {
			data = append(data, s.octets...)
		}
		f.Add(append(data, 3, 0), uint8(5), uint8(200))
	}
	f.Add([]byte("\x05\xc0\x81\x00\x00\x00\x00\x00\x10\xff\x6d\x04"), uint8(1), uint8(1))
	f.Fuzz(func(t *testing.T, data []byte, most, size uint8) {
		want, wantErr := io.ReadAll(io.LimitReader(stdflate.NewReader(bytes.NewReader(data)), 1<<20))
		src := &chunks{data: data, most: int(most) + 1}
		r := NewReader(src)
		var got []byte
		buf := make([]byte, int(size)+1)
		var err error
		for err == nil && len(got) < 1<<20 {
			var n int
			n, err = r.Read(buf)
			got = append(got, buf[:n]...)
			if n == 0 && err == nil {
				t.Fatal("nothing is read, and no error")
			}
		}
		if len(got) > 1<<20 {
			got, err = got[:1<<20], nil
		}
		if wantErr == nil && (err != nil && err != io.EOF || !bytes.Equal(got, want)) {
			t.Fatalf("%x: %.60q, %v, want %.60q", data, got, err, want)
		}
		// The library can tell later than we that something is amiss.
		if err == nil && !bytes.HasPrefix(got, want) || errors.As(wantErr, new(stdflate.CorruptInputError)) && !errors.Is(err, ErrCorrupt) {
			t.Fatalf("%x: %.60q, %v, want %.60q, %v", data, got, err, want, wantErr)
		}
	})
}

type chunks struct {
	data []byte
	most int
}

func (c *chunks) Read(p []byte) (int, error) {
	if len(c.data) == 0 {
		return 0, io.EOF
	}
	n := copy(p[:min(len(p), c.most)], c.data)
	c.data = c.data[n:]
	return n, nil
}

func BenchmarkReader(b *testing.B) {
	var data bytes.Buffer
	w, _ := stdflate.NewWriter(&data, 6)
	line := strings.Repeat("Quorum is what a board must have to decide. ", 2)[:76] + "\r\n"
	for i := range 10_000 {
		_, _ = io.WriteString(w, line[i%40:]+line[:i%40])
	}
	_ = w.Close()
	b.SetBytes(780_000)
	buf := make([]byte, 32<<10)
	for b.Loop() {
		r := NewReader(bytes.NewReader(data.Bytes()))
		for {
			if _, err := r.Read(buf); err != nil {
				break
			}
		}
	}
}
