package raftfsm

import (
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"

	pb "github.com/quorumail/quorumail/proto/quorumail/v1"
)

// Fields on the way to the octets of a body, and those that exclude Entry.append.
const (
	batchEntries              = 1  // of EntryBatch
	entryAppend               = 17 // of Entry
	entryFirstOp, entryLastOp = 10, 99
	appendMessages            = 2 // of AppendOp
	messageInline             = 5 // of AppendMessage
	chunkData                 = 4 // of BodyChunk
	// minLent is how long an entry is at least for it to be worth while.
	minLent = 4 << 10
)

// DecodeEntry decodes a pb.Entry as proto.Unmarshal does, but that the data of an
// append's chunks are b's own octets, which must not change any more. They are most
// of it, and each replica decodes each entry.
func DecodeEntry(b []byte) (*pb.Entry, error) {
	if len(b) < minLent {
		e := &pb.Entry{}
		return e, proto.Unmarshal(b, e)
	}
	return decodeLarge(b)
}

func decodeLarge(b []byte) (*pb.Entry, error) {
	e := &pb.Entry{}
	rest, ops, ok := cut(b, entryAppend)
	if !ok || len(ops) != 1 || hasOp(rest) {
		return e, proto.Unmarshal(b, e)
	}
	if err := proto.Unmarshal(rest, e); err != nil {
		return nil, err
	}
	op := &pb.AppendOp{}
	messages, err := unmarshalBut(ops[0], appendMessages, op)
	if err != nil {
		return nil, err
	}
	for _, b := range messages {
		msg := &pb.AppendMessage{}
		chunks, err := unmarshalBut(b, messageInline, msg)
		if err != nil {
			return nil, err
		}
		for _, b := range chunks {
			c := &pb.BodyChunk{}
			data, err := unmarshalBut(b, chunkData, c)
			if err != nil {
				return nil, err
			}
			if n := len(data); n > 0 {
				c.Data = data[n-1] // of several the last counts
			}
			msg.Inline = append(msg.Inline, c)
		}
		op.Messages = append(op.Messages, msg)
	}
	e.Op = &pb.Entry_Append{Append: op}
	return e, nil
}

// decodeBatch decodes a pb.EntryBatch in the same way.
func decodeBatch(b []byte) (*pb.EntryBatch, error) {
	batch := &pb.EntryBatch{}
	entries, err := unmarshalBut(b, batchEntries, batch)
	if err != nil {
		return nil, err
	}
	batch.Entries = make([]*pb.Entry, len(entries))
	for i, b := range entries {
		if batch.Entries[i], err = DecodeEntry(b); err != nil {
			return nil, err
		}
	}
	return batch, nil
}

// unmarshalBut unmarshals all fields but one into m, and returns the octets of that.
func unmarshalBut(b []byte, field protowire.Number, m proto.Message) ([][]byte, error) {
	rest, found, ok := cut(b, field)
	if !ok {
		return nil, errCorrupt
	}
	return found, proto.Unmarshal(rest, m)
}

// cut takes all fields of a number, of those that hold octets, out of an encoded
// message: rest is what is left, found what they hold. Not ok: it is no message.
func cut(b []byte, field protowire.Number) (rest []byte, found [][]byte, ok bool) {
	kept := 0 // up to where what stays is in rest
	for at := 0; at < len(b); {
		num, typ, n := protowire.ConsumeTag(b[at:])
		if n < 0 {
			return nil, nil, false
		}
		size := protowire.ConsumeFieldValue(num, typ, b[at+n:])
		if size < 0 {
			return nil, nil, false
		}
		next := at + n + size
		if num == field && typ == protowire.BytesType {
			value, _ := protowire.ConsumeBytes(b[at+n : next])
			found = append(found, value[:len(value):len(value)])
			rest = append(rest, b[kept:at]...)
			kept = next
		}
		at = next
	}
	if kept == 0 {
		return b, nil, true
	}
	return append(rest, b[kept:]...), found, true
}

// hasOp reports whether an encoded Entry has an operation.
func hasOp(b []byte) bool {
	for len(b) > 0 {
		num, typ, n := protowire.ConsumeTag(b)
		if num >= entryFirstOp && num <= entryLastOp {
			return true
		}
		b = b[n+protowire.ConsumeFieldValue(num, typ, b[n:]):] // cut has looked
	}
	return false
}
