package raftfsm

import (
	"bufio"
	"bytes"
	"cmp"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"os"
	"strings"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/objstorage/objstorageprovider"
	"github.com/cockroachdb/pebble/v2/sstable"
	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/klauspost/compress/zstd"

	"github.com/quorumail/quorumail/raftfsm/keys"
)

// The export of a shard: a header, then frames. A frame is the length of its
// payload, the payload's CRC-32C and the payload; the last is empty. The payloads
// are zstd, each by itself, of keys and values with their lengths before them,
// ascending; keys lack the shard's prefix.
const (
	exportMagic = "QMSHARD1"
	// frameRaw is the size of a frame's content at which it is closed; one pair
	// can take it beyond.
	frameRaw = 1 << 20
	// maxFrame bounds what Import allocates for a frame, packed or not. The largest
	// values are sets: an expunge of every other message of a mailbox of thirty
	// million would reach it.
	maxFrame = 64 << 20
	// tableSize is about the size of the tables that Import makes.
	tableSize = 32 << 20
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// ErrExport says that a stream is not a whole export of this shard.
var ErrExport = errors.New("not a whole export of this shard")

// Export writes the state for Import. Apply may go on meanwhile.
func (v *View) Export(w io.Writer) error {
	bw := bufio.NewWriterSize(w, 64<<10)
	enc, err := zstd.NewWriter(nil, zstd.WithEncoderLevel(zstd.SpeedFastest), zstd.WithEncoderConcurrency(1))
	if err != nil {
		return fmt.Errorf("raftfsm: export: %w", err)
	}
	header := binary.BigEndian.AppendUint32([]byte(exportMagic), v.f.cfg.Shard)
	header = binary.BigEndian.AppendUint64(header, v.applied.index)
	header = binary.BigEndian.AppendUint64(header, v.applied.term)
	if err := writeFrame(bw, header); err != nil {
		return err
	}
	var raw, packed []byte
	start, end := keys.Replicated(v.f.cfg.Shard)
	err = scan(v.snap, start, end, func(key, value []byte) (bool, error) {
		raw = binary.AppendUvarint(raw, uint64(len(key)-len(start)))
		raw = append(raw, key[len(start):]...)
		raw = binary.AppendUvarint(raw, uint64(len(value)))
		raw = append(raw, value...)
		if len(raw) < frameRaw {
			return true, nil
		}
		packed = enc.EncodeAll(raw, packed[:0])
		raw = raw[:0]
		return true, writeFrame(bw, packed)
	})
	if err == nil && len(raw) > 0 {
		err = writeFrame(bw, enc.EncodeAll(raw, packed[:0]))
	}
	if err == nil {
		err = writeFrame(bw, nil)
	}
	if err == nil {
		err = bw.Flush()
	}
	if err != nil {
		return fmt.Errorf("raftfsm: export: %w", err)
	}
	return nil
}

func writeFrame(w io.Writer, payload []byte) error {
	var head [8]byte
	binary.BigEndian.PutUint32(head[:4], uint32(len(payload)))
	binary.BigEndian.PutUint32(head[4:], crc32.Checksum(payload, castagnoli))
	if _, err := w.Write(head[:]); err != nil {
		return err
	}
	_, err := w.Write(payload)
	return err
}

func readFrame(r io.Reader) ([]byte, error) {
	var head [8]byte
	if _, err := io.ReadFull(r, head[:]); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrExport, err)
	}
	n := binary.BigEndian.Uint32(head[:4])
	if n > maxFrame {
		return nil, fmt.Errorf("%w: frame of %d octets", ErrExport, n)
	}
	// What has come is taken, not what the head promises.
	payload, err := io.ReadAll(io.LimitReader(r, int64(n)))
	if err != nil || len(payload) != int(n) {
		return nil, fmt.Errorf("%w: frame is cut short: %w", ErrExport, cmp.Or(err, io.ErrUnexpectedEOF))
	}
	if crc32.Checksum(payload, castagnoli) != binary.BigEndian.Uint32(head[4:]) {
		return nil, fmt.Errorf("%w: checksum", ErrExport)
	}
	return payload, nil
}

// Import replaces the state by what Export wrote on another replica: whole, or,
// with an error, not at all. Tables are built beside the store and taken in with
// one step that also removes what was there.
func (f *FSM) Import(r io.Reader) error {
	if err := f.importFrom(r); err != nil {
		return fmt.Errorf("raftfsm: import: shard %d: %w", f.cfg.Shard, err)
	}
	return nil
}

func (f *FSM) importFrom(r io.Reader) error {
	br := bufio.NewReaderSize(r, 64<<10)
	header, err := readFrame(br)
	if err != nil {
		return err
	}
	n := len(exportMagic)
	if len(header) != n+20 || string(header[:n]) != exportMagic || binary.BigEndian.Uint32(header[n:]) != f.cfg.Shard {
		return ErrExport
	}
	t := &tables{f: f}
	defer t.remove()
	if err := t.readAll(br); err != nil {
		return err
	}
	if t.applied.index != binary.BigEndian.Uint64(header[n+4:]) || t.applied.term != binary.BigEndian.Uint64(header[n+12:]) {
		return fmt.Errorf("%w: applied index", ErrExport)
	}
	f.mu.Lock()
	f.era.Add(1)
	f.mu.Unlock()
	err = f.replace(t.paths)
	f.mu.Lock()
	defer f.mu.Unlock()
	f.era.Add(1)
	f.mu.cache.close()
	f.mu.cache, f.hot = f.cfg.Indexes.part(), newHot()
	if err == nil {
		f.mu.applied = t.applied
	}
	return err
}

// replace puts tables in the place of all keys of the shard.
func (f *FSM) replace(paths []string) error {
	// The memtable is flushed before, so that nothing of it lies under the new
	// tables, and after, so that what follows is not ordered before them: without
	// a write-ahead log an ingest must not be queued among memtables.
	if err := f.db.Flush(); err != nil {
		return err
	}
	start, end := keys.Shard(f.cfg.Shard)
	_, err := f.db.IngestAndExcise(context.Background(), paths, nil, nil, pebble.KeyRange{Start: start, End: end})
	if err != nil {
		return err
	}
	return f.db.Flush()
}

// dropTables removes the tables of an import that a crash has cut short.
func dropTables(cfg Config) error {
	names, err := cfg.FS.List(cfg.Dir)
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	for _, name := range names {
		if err == nil && strings.HasPrefix(name, tablePrefix(cfg.Shard)) {
			err = cfg.FS.Remove(cfg.FS.PathJoin(cfg.Dir, name))
		}
	}
	return err
}

func tablePrefix(shard uint32) string { return fmt.Sprintf("import-%d-", shard) }

// tables are the sorted tables of an import under way.
type tables struct {
	f     *FSM
	paths []string
	w     *sstable.Writer
	last  []byte
	// applied is what the keys say how far they are.
	applied appliedRecord
}

func (t *tables) remove() {
	if t.w != nil {
		_ = t.w.Close() // it is thrown away
	}
	for _, p := range t.paths {
		_ = t.f.cfg.FS.Remove(p) // gone if it was taken in
	}
}

// readAll turns all frames into tables.
func (t *tables) readAll(r io.Reader) error {
	dec, err := zstd.NewReader(nil, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxMemory(maxFrame))
	if err != nil {
		return err
	}
	defer dec.Close()
	var raw []byte
	for {
		payload, err := readFrame(r)
		if err != nil {
			return err
		}
		if len(payload) == 0 {
			break
		}
		if raw, err = dec.DecodeAll(payload, raw[:0]); err != nil {
			return fmt.Errorf("%w: %w", ErrExport, err)
		}
		if err := t.add(raw); err != nil {
			return err
		}
	}
	if t.last == nil {
		return fmt.Errorf("%w: no keys", ErrExport)
	}
	return t.finish()
}

func (t *tables) add(raw []byte) error {
	prefix, end := keys.Replicated(t.f.cfg.Shard)
	for len(raw) > 0 {
		key, rest, ok := cutBytes(raw)
		if !ok {
			return ErrExport
		}
		value, rest, ok := cutBytes(rest)
		if !ok {
			return ErrExport
		}
		raw = rest
		full := append(append(make([]byte, 0, len(prefix)+len(key)), prefix...), key...)
		switch {
		case t.last != nil && string(full) <= string(t.last):
			return fmt.Errorf("%w: keys do not ascend", ErrExport)
		case string(full) >= string(end):
			return fmt.Errorf("%w: a key that replicas do not share", ErrExport)
		}
		t.last = full
		if bytes.Equal(full, keys.Applied(t.f.cfg.Shard)) {
			var err error
			if t.applied, err = decodeApplied(value); err != nil {
				return fmt.Errorf("%w: %w", ErrExport, err)
			}
		}
		if t.w == nil {
			if err := t.begin(); err != nil {
				return err
			}
		}
		if err := t.w.Set(full, value); err != nil {
			return err
		}
		if t.w.Raw().EstimatedSize() >= tableSize {
			if err := t.finish(); err != nil {
				return err
			}
		}
	}
	return nil
}

func cutBytes(b []byte) (head, rest []byte, ok bool) {
	n, size := binary.Uvarint(b)
	if size <= 0 || n > uint64(len(b)-size) {
		return nil, nil, false
	}
	return b[size : size+int(n)], b[size+int(n):], true
}

func (t *tables) begin() error {
	path := t.f.cfg.FS.PathJoin(t.f.cfg.Dir, fmt.Sprintf("%s%d.sst", tablePrefix(t.f.cfg.Shard), len(t.paths)))
	if err := t.f.cfg.FS.MkdirAll(t.f.cfg.Dir, 0o755); err != nil {
		return err
	}
	file, err := t.f.cfg.FS.Create(path, vfs.WriteCategoryUnspecified)
	if err != nil {
		return err
	}
	t.paths = append(t.paths, path)
	t.w = sstable.NewWriter(objstorageprovider.NewFileWritable(file), sstable.WriterOptions{
		TableFormat: t.f.db.TableFormat(),
	})
	return nil
}

func (t *tables) finish() error {
	if t.w == nil {
		return nil
	}
	w := t.w
	t.w = nil
	return w.Close()
}
