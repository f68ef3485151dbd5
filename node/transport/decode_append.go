package transport

import (
	"fmt"
	"time"

	"github.com/hashicorp/raft"
	"google.golang.org/protobuf/encoding/protowire"
)

// Fields of pb.RaftAppend and pb.RaftEntry.
const (
	appendTerm, appendPrevIndex, appendPrevTerm, appendCommitIndex, appendEntries = 1, 2, 3, 4, 5

	entryIndex, entryTerm, entryType, entryData, entryExtensions, entryAppendedAt = 1, 2, 3, 4, 5, 6
)

// decodeAppend refuses what no leader sends, and what would make the library
// panic: unknown types of entry, and memberships that cannot be decoded.
//
// The entries' data are octets of b: they are most of it, and a copy of them would
// be one more for each replica.
func decodeAppend(b []byte, from string) (*raft.AppendEntriesRequest, error) {
	r := &raft.AppendEntriesRequest{RPCHeader: header(from)}
	var entries [][]byte
	err := eachField(b, func(field protowire.Number, n uint64, octets []byte) {
		switch field {
		case appendTerm:
			r.Term = n
		case appendPrevIndex:
			r.PrevLogEntry = n
		case appendPrevTerm:
			r.PrevLogTerm = n
		case appendCommitIndex:
			r.LeaderCommitIndex = n
		case appendEntries:
			entries = append(entries, octets)
		}
	})
	if err != nil {
		return nil, err
	}
	logs := make([]raft.Log, len(entries))
	r.Entries = make([]*raft.Log, len(entries))
	for i, octets := range entries {
		if err := decodeEntry(octets, &logs[i]); err != nil {
			return nil, err
		}
		if logs[i].Index != r.PrevLogEntry+1+uint64(i) {
			return nil, fmt.Errorf("entry %d does not follow entry %d", logs[i].Index, r.PrevLogEntry+uint64(i))
		}
		r.Entries[i] = &logs[i]
	}
	return r, nil
}

func decodeEntry(b []byte, l *raft.Log) error {
	kind := uint64(0)
	err := eachField(b, func(field protowire.Number, n uint64, octets []byte) {
		switch field {
		case entryIndex:
			l.Index = n
		case entryTerm:
			l.Term = n
		case entryType:
			kind = n
		case entryData:
			l.Data = octets
		case entryExtensions:
			l.Extensions = octets
		case entryAppendedAt:
			if n != 0 {
				l.AppendedAt = time.Unix(0, int64(n))
			}
		}
	})
	if err != nil {
		return err
	}
	switch l.Type = raft.LogType(kind); kind {
	case uint64(raft.LogCommand), uint64(raft.LogNoop), uint64(raft.LogBarrier):
	case uint64(raft.LogConfiguration):
		if err := checkConfiguration(l.Data); err != nil {
			return fmt.Errorf("entry %d: %w", l.Index, err)
		}
	default:
		return fmt.Errorf("entry %d is of unknown type %d", l.Index, kind)
	}
	return nil
}

// eachField calls fn for each field of a protobuf message, with the number of one
// that is a varint, or with the octets, which are b's own. Fields of other types are
// passed over: there are none yet.
func eachField(b []byte, fn func(field protowire.Number, n uint64, octets []byte)) error {
	for len(b) > 0 {
		field, typ, n := protowire.ConsumeTag(b)
		if n < 0 {
			return protowire.ParseError(n)
		}
		b = b[n:]
		switch typ {
		case protowire.VarintType:
			var v uint64
			if v, n = protowire.ConsumeVarint(b); n >= 0 {
				fn(field, v, nil)
			}
		case protowire.BytesType:
			var v []byte
			if v, n = protowire.ConsumeBytes(b); n >= 0 {
				fn(field, 0, v[:len(v):len(v)])
			}
		default:
			n = protowire.ConsumeFieldValue(field, typ, b)
		}
		if n < 0 {
			return protowire.ParseError(n)
		}
		b = b[n:]
	}
	return nil
}
