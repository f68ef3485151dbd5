package raftlog

import (
	"encoding/binary"
	"hash/crc32"
)

// A record is a header of 32 octets and a payload, padded with zeros to a
// multiple of 8. All numbers are little endian:
//
//	 0  crc32c of what follows, header and payload
//	 4  length of the payload
//	 8  group
//	12  kind, 3 zeros
//	16  index
//	24  up to where the segment was durable when the record was made
//	28  number of the segment
const headerLen = 32

// Kinds of records. Those that are not about one group have group 0.
const (
	kindEntry      = 1 // entry index: the next of its log, or one that is there, written again
	kindTail       = 2 // entries from index on are dropped
	kindHead       = 3 // entries below index are dropped
	kindRestart    = 4 // all entries are dropped; the log goes on at index
	kindStable     = 5 // stable values
	kindRemove     = 6 // the group is gone
	kindCheckpoint = 7 // the state of all groups; index is the previous segment's length
	maxKind        = kindCheckpoint
)

// maxPayload bounds a record: more is damage.
const maxPayload = 1 << 28

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// header is a record's header.
type header struct {
	length  uint32
	group   uint32
	kind    byte
	index   uint64
	durable uint32
	segment uint32
}

func pad(n int) int { return (n + 7) &^ 7 }

// recordLen is how long a record with a payload of n octets is.
func recordLen(n int) int { return pad(headerLen + n) }

// putHeader completes the record b, whose payload is in place.
func putHeader(b []byte, h header) {
	binary.LittleEndian.PutUint32(b[4:], h.length)
	binary.LittleEndian.PutUint32(b[8:], h.group)
	binary.LittleEndian.PutUint32(b[12:], uint32(h.kind))
	binary.LittleEndian.PutUint64(b[16:], h.index)
	binary.LittleEndian.PutUint32(b[24:], h.durable)
	binary.LittleEndian.PutUint32(b[28:], h.segment)
	clear(b[headerLen+h.length:])
	binary.LittleEndian.PutUint32(b, crc32.Checksum(b[4:headerLen+h.length], castagnoli))
}

// parseRecord reads the record that b begins with. ok is false if there is none of
// the segment.
func parseRecord(b []byte, segment uint32) (h header, payload []byte, ok bool) {
	if len(b) < headerLen {
		return h, nil, false
	}
	kind := binary.LittleEndian.Uint32(b[12:])
	h = header{
		length: binary.LittleEndian.Uint32(b[4:]), group: binary.LittleEndian.Uint32(b[8:]), kind: byte(kind),
		index: binary.LittleEndian.Uint64(b[16:]), durable: binary.LittleEndian.Uint32(b[24:]), segment: binary.LittleEndian.Uint32(b[28:]),
	}
	if h.segment != segment || kind == 0 || kind > maxKind || h.length > maxPayload || recordLen(int(h.length)) > len(b) {
		return h, nil, false
	}
	if crc32.Checksum(b[4:headerLen+h.length], castagnoli) != binary.LittleEndian.Uint32(b) {
		return h, nil, false
	}
	return h, b[headerLen : headerLen+h.length], true
}

// laterDurable looks behind damage at offset at for a record of the segment that
// was made when more than that was durable already.
func laterDurable(b []byte, segment uint32, at int) bool {
	for i := at + 8; i+headerLen <= len(b); i += 8 {
		if binary.LittleEndian.Uint32(b[i+28:]) != segment {
			continue // most are passed over here
		}
		if h, _, ok := parseRecord(b[i:], segment); ok && int(h.durable) > at {
			return true
		}
	}
	return false
}
