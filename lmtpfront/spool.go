package lmtpfront

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"io"
	"os"
)

// inMemory is how much of a message is kept in memory before it goes to a file.
const inMemory = 1 << 20

// spooled is a received message, to be read once for each recipient. Its readers
// may be used concurrently.
type spooled struct {
	memory []byte
	file   *os.File // if it is larger than inMemory: all of it
	size   int64
	hash   [sha256.Size]byte
}

// spoolError is one of the disk, not of the client.
type spoolError struct{ err error }

func (e *spoolError) Error() string { return fmt.Sprintf("spool: %v", e.err) }

func (e *spoolError) Unwrap() error { return e.err }

// spool reads a message to its end. The error is that of r, or a spoolError.
func spool(r io.Reader, dir string) (m *spooled, err error) {
	h := sha256.New()
	r = io.TeeReader(r, h)
	m = &spooled{}
	m.memory, err = io.ReadAll(io.LimitReader(r, inMemory))
	if err != nil {
		return nil, err
	}
	m.size = int64(len(m.memory))
	if m.size == inMemory {
		if err := m.toFile(r, dir); err != nil {
			m.close()
			return nil, err
		}
	}
	h.Sum(m.hash[:0])
	return m, nil
}

func (m *spooled) toFile(r io.Reader, dir string) (err error) {
	if m.file, err = os.CreateTemp(dir, "quorumail-lmtp-*"); err != nil {
		return &spoolError{err}
	}
	// No name: it is gone with the process, however that ends.
	if err := os.Remove(m.file.Name()); err != nil {
		return &spoolError{err}
	}
	if _, err := m.file.Write(m.memory); err != nil {
		return &spoolError{err}
	}
	m.memory = nil
	n, err := io.Copy(disk{m.file}, r)
	m.size += n
	return err
}

// disk tells its own errors from those of what is written to it.
type disk struct{ *os.File }

func (d disk) Write(p []byte) (int, error) {
	n, err := d.File.Write(p)
	if err != nil {
		err = &spoolError{err}
	}
	return n, err
}

// ReadFrom hides that of the file, whose errors could be of either side.
func (d disk) ReadFrom(r io.Reader) (int64, error) {
	return io.Copy(struct{ io.Writer }{d}, r)
}

// reader returns the message from its start.
func (m *spooled) reader() io.Reader {
	if m.file != nil {
		return io.NewSectionReader(m.file, 0, m.size)
	}
	return bytes.NewReader(m.memory)
}

func (m *spooled) close() {
	if m.file != nil {
		_ = m.file.Close() // what was in it has been stored, or refused
	}
}
