package raftlog

import (
	"encoding/binary"
	"errors"
	"time"

	"github.com/hashicorp/raft"
)

// An entry is stored as: type (1 octet), term (uvarint), the leader's clock in
// nanoseconds since 1970, 0 if unset (varint), length of the extensions
// (uvarint), extensions, data. Its index is in the key.

// ErrCorrupt says that what was written and synced is not there as it was.
var ErrCorrupt = errors.New("data is damaged")

func appendedAt(l *raft.Log) int64 {
	if l.AppendedAt.IsZero() {
		return 0
	}
	return l.AppendedAt.UnixNano()
}

func uvarintLen(v uint64) int {
	n := 1
	for ; v >= 0x80; v >>= 7 {
		n++
	}
	return n
}

func varintLen(v int64) int {
	return uvarintLen(uint64(v)<<1 ^ uint64(v>>63))
}

func entryLen(l *raft.Log) int {
	return 1 + uvarintLen(l.Term) + varintLen(appendedAt(l)) +
		uvarintLen(uint64(len(l.Extensions))) + len(l.Extensions) + len(l.Data)
}

// putEntry encodes l into b, which has room for exactly entryLen(l) octets.
func putEntry(b []byte, l *raft.Log) {
	b[0] = byte(l.Type)
	n := 1
	n += binary.PutUvarint(b[n:], l.Term)
	n += binary.PutVarint(b[n:], appendedAt(l))
	n += binary.PutUvarint(b[n:], uint64(len(l.Extensions)))
	n += copy(b[n:], l.Extensions)
	copy(b[n:], l.Data)
}

// getEntry decodes b into l, whose Data and Extensions will share it. The index
// is left alone.
func getEntry(b []byte, l *raft.Log) error {
	if len(b) < 1 {
		return ErrCorrupt
	}
	l.Type = raft.LogType(b[0])
	b = b[1:]
	term, n := binary.Uvarint(b)
	if n <= 0 {
		return ErrCorrupt
	}
	b = b[n:]
	at, n := binary.Varint(b)
	if n <= 0 {
		return ErrCorrupt
	}
	b = b[n:]
	ext, n := binary.Uvarint(b)
	if n <= 0 || ext > uint64(len(b)-n) {
		return ErrCorrupt
	}
	b = b[n:]
	l.Term = term
	l.AppendedAt = time.Time{}
	if at != 0 {
		l.AppendedAt = time.Unix(0, at)
	}
	l.Extensions, l.Data = nil, nil
	if ext > 0 {
		l.Extensions = b[:ext:ext]
	}
	if b = b[ext:]; len(b) > 0 {
		l.Data = b
	}
	return nil
}
