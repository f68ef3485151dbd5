package raftlog

import "encoding/binary"

// layoutGroup is no group's id: its keys describe the store.
const layoutGroup = ^uint32(0)

const (
	kindLog     = 'l'
	kindStable  = 's'
	kindVersion = 'v'
)

const logKeyLen = 4 + 1 + 8

// appendPrefix appends the prefix of a group's keys of one kind.
func appendPrefix(b []byte, group uint32, kind byte) []byte {
	return append(binary.BigEndian.AppendUint32(b, group), kind)
}

func putLogKey(b []byte, group uint32, index uint64) {
	binary.BigEndian.PutUint32(b, group)
	b[4] = kindLog
	binary.BigEndian.PutUint64(b[5:], index)
}

func logKey(group uint32, index uint64) []byte {
	b := make([]byte, logKeyLen)
	putLogKey(b, group, index)
	return b
}

// logBounds returns the bounds of all log keys of a group: low is inclusive,
// high is not.
func logBounds(group uint32) (low, high []byte) {
	return appendPrefix(nil, group, kindLog), appendPrefix(nil, group, kindLog+1)
}

func stableKey(group uint32, name []byte) []byte {
	return append(appendPrefix(make([]byte, 0, 5+len(name)), group, kindStable), name...)
}

func stableBounds(group uint32) (low, high []byte) {
	return appendPrefix(nil, group, kindStable), appendPrefix(nil, group, kindStable+1)
}

// logIndex returns the index in a key made by putLogKey.
func logIndex(key []byte) (uint64, bool) {
	if len(key) != logKeyLen || key[4] != kindLog {
		return 0, false
	}
	return binary.BigEndian.Uint64(key[5:]), true
}
