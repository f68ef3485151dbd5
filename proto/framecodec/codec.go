// Package framecodec is gRPC's codec for protobuf with shortcuts for what there
// is most of: octets of messages.
//
// A [Frame] is sent as it is: whoever answers a Fetch writes the response's fields
// into a buffer of the pool itself, straight from the store, and gRPC sends that
// buffer. And the data of a response that is one large chunk is read from gRPC's
// buffers into one of a pool, which the reader gives back with [Release] once it
// has printed it; and the messages of a response of many are read into memory that
// the next one is read into again: for both, a response is received into a [Listing].
// Everything else is marshalled as by gRPC's own codec, into buffers of a pool of
// ours (see [Buffers]); on the wire nothing is different.
package framecodec

import (
	"fmt"

	"google.golang.org/grpc/mem"
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"

	pb "github.com/quorumail/quorumail/proto/quorumail/v1"
)

// Frame is a message that has been marshalled already. gRPC frees Data when it has
// been sent, so a Frame is sent once.
type Frame struct{ Data mem.BufferSlice }

// Codec implements encoding.CodecV2. It stands in for the one named "proto" on both
// sides of the storage service.
type Codec struct{}

// Name implements encoding.CodecV2.
func (Codec) Name() string { return "proto" }

// Marshal implements encoding.CodecV2.
func (Codec) Marshal(v any) (mem.BufferSlice, error) {
	if f, ok := v.(*Frame); ok {
		return f.Data, nil
	}
	m, ok := v.(proto.Message)
	if !ok {
		return nil, fmt.Errorf("framecodec: %T is no message", v)
	}
	// What this finds out is what UseCachedSize uses: nobody changes m meanwhile.
	size := proto.Size(m)
	b := Buffers.Get(size)
	out, err := proto.MarshalOptions{UseCachedSize: true}.MarshalAppend((*b)[:0], m)
	if err != nil {
		Buffers.Put(b)
		return nil, err
	}
	*b = out
	return mem.BufferSlice{mem.NewBuffer(b, Buffers)}, nil
}

// Unmarshal implements encoding.CodecV2.
func (Codec) Unmarshal(data mem.BufferSlice, v any) error {
	l, ok := v.(*Listing)
	if !ok {
		return unmarshal(data, v)
	}
	if data.Len() >= minChunk {
		if chunk := parseChunk(data); chunk != nil {
			l.Response.Reset()
			l.Response.Chunk = chunk
			return nil
		}
		if l.parse(data) {
			return nil
		}
	}
	return unmarshal(data, &l.Response)
}

func unmarshal(data mem.BufferSlice, v any) error {
	m, ok := v.(proto.Message)
	if !ok {
		return fmt.Errorf("framecodec: %T is no message", v)
	}
	b := data.MaterializeToBuffer(Buffers)
	defer b.Free()
	return proto.Unmarshal(b.ReadOnlyData(), m)
}

// Field numbers.
const (
	responseChunk = 4 // FetchResponse.chunk

	chunkOffset, chunkRawSize, chunkCodec, chunkData = 1, 2, 3, 4 // of BodyChunk
)

const (
	// minChunk is from how many octets on a response is looked at: below, a copy
	// costs nothing.
	minChunk = 4 << 10
	// maxHead bounds what stands before a chunk's data: four numbers and their tags,
	// and two lengths.
	maxHead = 64
)

// AppendChunk appends all of a FetchResponse that is a chunk.
func AppendChunk(b []byte, offset uint64, rawSize uint32, codec pb.Codec, data []byte) []byte {
	b = protowire.AppendTag(b, responseChunk, protowire.BytesType)
	b = protowire.AppendVarint(b, uint64(ChunkSize(offset, rawSize, codec, data)))
	return AppendBodyChunk(b, offset, rawSize, codec, data)
}

// ChunkSize is how many octets AppendBodyChunk appends.
func ChunkSize(offset uint64, rawSize uint32, codec pb.Codec, data []byte) int {
	return 4 + protowire.SizeVarint(offset) + protowire.SizeVarint(uint64(rawSize)) +
		protowire.SizeVarint(uint64(codec)) + protowire.SizeBytes(len(data))
}

// AppendBodyChunk appends a BodyChunk, its data last.
func AppendBodyChunk(b []byte, offset uint64, rawSize uint32, codec pb.Codec, data []byte) []byte {
	b = protowire.AppendTag(b, chunkOffset, protowire.VarintType)
	b = protowire.AppendVarint(b, offset)
	b = protowire.AppendTag(b, chunkRawSize, protowire.VarintType)
	b = protowire.AppendVarint(b, uint64(rawSize))
	b = protowire.AppendTag(b, chunkCodec, protowire.VarintType)
	b = protowire.AppendVarint(b, uint64(codec))
	b = protowire.AppendTag(b, chunkData, protowire.BytesType)
	return protowire.AppendBytes(b, data)
}

// parseChunk reads a FetchResponse that is nothing but a chunk whose data end it;
// nil if it is another, or none.
func parseChunk(data mem.BufferSlice) *pb.BodyChunk {
	var head [maxHead]byte
	n := 0
	for _, piece := range data {
		if n += copy(head[n:], piece.ReadOnlyData()); n == maxHead {
			break
		}
	}
	left := data.Len() // octets from where b begins
	b := head[:n]
	use := func(n int) bool {
		if n < 0 || n > len(b) {
			return false
		}
		b, left = b[n:], left-n
		return true
	}
	num, typ, n := protowire.ConsumeTag(b)
	if !use(n) || num != responseChunk || typ != protowire.BytesType {
		return nil
	}
	if size, n := protowire.ConsumeVarint(b); !use(n) || size != uint64(left) {
		return nil
	}
	chunk := &pb.BodyChunk{}
	for {
		num, typ, n := protowire.ConsumeTag(b)
		if !use(n) {
			return nil
		}
		v, n := protowire.ConsumeVarint(b)
		if !use(n) {
			return nil
		}
		switch {
		case num == chunkData && typ == protowire.BytesType:
			if v != uint64(left) {
				return nil
			}
			chunk.Data = *Buffers.Get(left)
			copyFrom(chunk.Data, data, data.Len()-left)
			return chunk
		case typ != protowire.VarintType:
			return nil
		case num == chunkOffset:
			chunk.Offset = v
		case num == chunkRawSize:
			chunk.RawSize = uint32(v)
		case num == chunkCodec:
			chunk.Codec = pb.Codec(v)
		default:
			return nil
		}
	}
}

// copyFrom fills dst from the octets of data after the first skip.
func copyFrom(dst []byte, data mem.BufferSlice, skip int) {
	for _, piece := range data {
		p := piece.ReadOnlyData()
		if skip >= len(p) {
			skip -= len(p)
			continue
		}
		dst = dst[copy(dst, p[skip:]):]
		skip = 0
	}
}

// Release gives back the data of a chunk that was received. They must not be used
// any more.
func Release(c *pb.BodyChunk) {
	if data := c.GetData(); data != nil {
		c.Data = nil
		Buffers.Put(&data)
	}
}
