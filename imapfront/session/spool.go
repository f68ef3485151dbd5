package session

import (
	"bytes"
	"fmt"
	"io"
	"os"
)

// spoolMemory is how much of a message is kept in memory before it goes to a file.
const spoolMemory = 256 << 10

// spool keeps what is written to it, to be read again. Its file has no name: it
// is gone with the process, however that ends.
type spool struct {
	dir    string
	memory []byte
	file   *os.File // once it is larger than spoolMemory: all of it
	size   int64
	hasNUL bool
	err    error // of the disk; what is kept is of no use then
}

// Write never fails: whether what is kept is needed is known at the end.
func (s *spool) Write(p []byte) (int, error) {
	s.hasNUL = s.hasNUL || bytes.IndexByte(p, 0) >= 0
	s.size += int64(len(p))
	if s.file == nil && s.err == nil {
		if s.memory = append(s.memory, p...); len(s.memory) > spoolMemory {
			s.err = s.toFile()
			s.memory = nil
		}
		return len(p), nil
	}
	if s.err == nil {
		_, s.err = s.file.Write(p)
	}
	return len(p), nil
}

func (s *spool) toFile() (err error) {
	if s.file, err = os.CreateTemp(s.dir, "quorumail-imap-*"); err != nil {
		return err
	}
	if err := os.Remove(s.file.Name()); err != nil {
		return err
	}
	_, err = s.file.Write(s.memory)
	return err
}

// reader returns what was written.
func (s *spool) reader() (io.ReaderAt, error) {
	if s.err != nil {
		return nil, fmt.Errorf("spool: %w", s.err)
	}
	if s.file != nil {
		return s.file, nil
	}
	return bytes.NewReader(s.memory), nil
}

func (s *spool) close() {
	if s.file != nil {
		_ = s.file.Close() // what was in it has been stored, or refused
	}
}
