package shard

import (
	"encoding/binary"
	"errors"
	"hash/crc32"
	"io"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// errReceived says that the file of a received snapshot is not what was received.
var errReceived = errors.New("received snapshot is damaged")

// trailerLen is the length of what ends the file of a received snapshot: the CRC-32C
// of all before it (4 octets), and their number (8).
const trailerLen = 4 + 8

// checksum is of what a received snapshot's file holds. The stream has one of its
// own, see transport; this one lasts until the file is taken in, which may be after a
// crash, and tells a file that was cut at any octet from a whole one. State machines
// need not: a map that lacks its last fields looks like another map.
type checksum struct {
	crc  uint32
	size uint64
}

func (c *checksum) add(b []byte) {
	c.crc = crc32.Update(c.crc, crc32.MakeTable(crc32.Castagnoli), b) // the standard library makes it once
	c.size += uint64(len(b))
}

func (c *checksum) trailer() []byte {
	return binary.BigEndian.AppendUint64(binary.BigEndian.AppendUint32(nil, c.crc), c.size)
}

// receivedFile reads the file of a received snapshot, without its trailer. Where it
// ends, the reader is told io.EOF only if all is what was received.
type receivedFile struct {
	file vfs.File
	left uint64 // of the snapshot
	sum  checksum
}

func newReceivedFile(f vfs.File) (*receivedFile, error) {
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	if info.Size() < trailerLen {
		return nil, errReceived
	}
	return &receivedFile{file: f, left: uint64(info.Size()) - trailerLen}, nil
}

// Read implements io.Reader.
func (r *receivedFile) Read(b []byte) (int, error) {
	if r.left == 0 {
		return 0, r.verdict()
	}
	n, err := r.file.Read(b[:min(uint64(len(b)), r.left)])
	r.sum.add(b[:n])
	r.left -= uint64(n)
	if errors.Is(err, io.EOF) && r.left > 0 {
		err = errReceived
	}
	if errors.Is(err, io.EOF) {
		err = nil // the trailer is to be looked at
	}
	return n, err
}

// verdict compares what was read with the trailer.
func (r *receivedFile) verdict() error {
	var trailer [trailerLen]byte
	n, err := r.file.ReadAt(trailer[:], int64(r.sum.size))
	switch {
	case err != nil && !errors.Is(err, io.EOF):
		return err
	case n < trailerLen || string(trailer[:]) != string(r.sum.trailer()):
		return errReceived
	}
	return io.EOF
}

// Close implements io.Closer.
func (r *receivedFile) Close() error { return r.file.Close() }
