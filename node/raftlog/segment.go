package raftlog

import (
	"fmt"
	"io"
	"strings"
	"sync/atomic"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// segment is one file of the stream.
type segment struct {
	number uint32
	path   string
	// live are the octets of entries in it that are still part of a log. They are
	// counted from the moment that they are given to a write.
	live atomic.Int64
	// size is how long its records are; final once a later segment has begun.
	size int64
	// readers use the file; it is not given away meanwhile.
	readers atomic.Int64
	file    atomic.Pointer[readFile] // opened by the first reader
}

type readFile struct{ vfs.File }

const (
	segmentSuffix = ".seg"
	sparePrefix   = "spare-"
	// maxSpares is how many free files are kept to be written over.
	maxSpares = 2
)

func segmentName(n uint32) string { return fmt.Sprintf("%010d%s", n, segmentSuffix) }

// parseSegmentName returns the number in a segment's name.
func parseSegmentName(name string) (n uint32, ok bool) {
	digits, ok := strings.CutSuffix(name, segmentSuffix)
	if !ok || len(digits) != 10 {
		return 0, false
	}
	_, err := fmt.Sscanf(digits, "%010d", &n)
	return n, err == nil && n > 0
}

// read returns the record at an offset. The caller holds the segment by readers.
func (g *segment) read(fs vfs.FS, at location) ([]byte, error) {
	f := g.file.Load()
	if f == nil {
		opened, err := fs.Open(g.path, vfs.RandomReadsOption)
		if err != nil {
			return nil, err
		}
		f = &readFile{opened}
		if !g.file.CompareAndSwap(nil, f) {
			_ = opened.Close() // another reader was faster
			f = g.file.Load()
		}
	}
	b := make([]byte, recordLen(int(at.length)))
	if n, err := f.ReadAt(b, int64(at.offset)); err != nil && !(err == io.EOF && n == len(b)) {
		return nil, err
	}
	h, payload, ok := parseRecord(b, g.number)
	if !ok || h.kind != kindEntry || h.length != at.length {
		return nil, fmt.Errorf("%s: record at %d: %w", g.path, at.offset, ErrCorrupt)
	}
	return payload, nil
}

// closeReader closes the file that was opened for reading.
func (g *segment) closeReader() error {
	if f := g.file.Swap(nil); f != nil {
		return f.Close()
	}
	return nil
}

// location is where an entry's record lies.
type location struct {
	segment *segment
	offset  uint32
	length  uint32 // of the payload
}

func (l location) size() int64 { return int64(recordLen(int(l.length))) }

// locations are those of a log's entries, from first on.
type locations struct {
	first uint64
	at    []location
}

func (l *locations) get(index uint64) (location, bool) {
	if index < l.first || index-l.first >= uint64(len(l.at)) {
		return location{}, false
	}
	at := l.at[index-l.first]
	return at, at.segment != nil
}

// set notes where an entry lies; index is one of the log's, or the next.
func (l *locations) set(index uint64, at location) {
	if len(l.at) == 0 {
		l.first = index
	}
	for index-l.first >= uint64(len(l.at)) {
		l.at = append(l.at, location{})
	}
	l.drop(index)
	l.at[index-l.first] = at
}

// drop takes an entry out of its segment's count.
func (l *locations) drop(index uint64) {
	at := &l.at[index-l.first]
	if at.segment != nil {
		at.segment.live.Add(-at.size())
		*at = location{}
	}
}

// trimHead drops the entries below first, trimTail those from min on.
func (l *locations) trimHead(first uint64) {
	n := min(max(first, l.first)-l.first, uint64(len(l.at)))
	for i := range n {
		l.drop(l.first + i)
	}
	l.at = l.at[n:]
	l.first += n
	if len(l.at) == 0 {
		l.at = nil
	} else if cap(l.at) > 1024 && cap(l.at) > 4*len(l.at) {
		l.at = append(make([]location, 0, 2*len(l.at)), l.at...)
	}
}

func (l *locations) trimTail(min uint64) {
	for len(l.at) > 0 && l.first+uint64(len(l.at)) > min {
		l.drop(l.first + uint64(len(l.at)) - 1)
		l.at = l.at[:len(l.at)-1]
	}
}
