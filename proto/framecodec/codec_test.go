package framecodec

import (
	"bytes"
	"testing"

	"google.golang.org/grpc/mem"
	"google.golang.org/protobuf/proto"

	pb "github.com/quorumail/quorumail/proto/quorumail/v1"
)

// pieces cuts octets as they come from the network.
func pieces(b []byte, size int) (list mem.BufferSlice) {
	for len(b) > 0 {
		n := min(size, len(b))
		list = append(list, mem.SliceBuffer(b[:n]))
		b = b[n:]
	}
	return list
}

// checkUnmarshal compares the codec with protobuf's own, however the octets come.
func checkUnmarshal(t *testing.T, octets []byte) {
	want := &pb.FetchResponse{}
	bad := proto.Unmarshal(octets, want) != nil
	for _, size := range []int{1, 7, 16 << 10, len(octets) + 1} {
		if len(octets) > 1<<14 && size < 1<<10 {
			continue // it would only take long
		}
		// What was in it before is gone.
		got := &pb.FetchResponse{AppliedIndex: 1, Keywords: []string{"$a"}}
		err := Codec{}.Unmarshal(pieces(octets, size), got)
		if (err != nil) != bad {
			t.Fatalf("in pieces of %d: %v, protobuf refuses: %v", size, err, bad)
		}
		if !bad && !proto.Equal(got, want) {
			t.Fatalf("in pieces of %d: got %v, want %v", size, got, want)
		}
		Release(got.GetChunk())
	}
}

// responses are large ones of all kinds, and some that are cut or doubled.
func responses() [][]byte {
	data := bytes.Repeat([]byte("0123456789abcdef"), 4<<10)
	chunk := AppendChunk(nil, 1<<33, 77_000, pb.Codec_CODEC_ZSTD, data)
	message, err := proto.Marshal(&pb.FetchResponse{AppliedIndex: 3, Message: &pb.FetchedMessage{StoredEmail: data}})
	if err != nil {
		panic(err)
	}
	return [][]byte{
		nil,
		chunk,
		chunk[:len(chunk)-1],
		AppendChunk(nil, 0, 0, 0, nil),
		AppendChunk(nil, 0, 5000, pb.Codec_CODEC_RAW, data[:5000]),
		bytes.Repeat(AppendChunk(nil, 0, 5000, pb.Codec_CODEC_RAW, data[:5000]), 2),
		append([]byte{8, 1}, chunk...),
		append(bytes.Clone(chunk), 8, 1),
		message,
	}
}

func TestUnmarshal(t *testing.T) {
	for _, octets := range responses() {
		checkUnmarshal(t, octets)
	}
}

func FuzzUnmarshal(f *testing.F) {
	for _, octets := range responses() {
		f.Add(octets)
	}
	f.Fuzz(checkUnmarshal)
}

// What AppendChunk makes is what protobuf reads, and a frame is sent as it is.
func TestFrame(t *testing.T) {
	want := &pb.FetchResponse{Chunk: &pb.BodyChunk{Offset: 300, RawSize: 9, Codec: pb.Codec_CODEC_RAW, Data: []byte("some data")}}
	c := want.GetChunk()
	octets := AppendChunk(nil, c.GetOffset(), c.GetRawSize(), c.GetCodec(), c.GetData())
	got := &pb.FetchResponse{}
	if err := proto.Unmarshal(octets, got); err != nil || !proto.Equal(got, want) {
		t.Fatalf("%v, %v, want %v", got, err, want)
	}
	sent, err := Codec{}.Marshal(&Frame{Data: pieces(octets, 4)})
	if err != nil || !bytes.Equal(sent.Materialize(), octets) {
		t.Errorf("the frame is sent as %x, %v", sent.Materialize(), err)
	}
}

// A buffer that was given back is lent again only for what fits into it.
func TestReleaseKeepsItsOwn(t *testing.T) {
	for _, size := range []int{0, 1, 4096, 5000, 1 << 19, 1<<19 + 1} {
		c := &pb.BodyChunk{Data: make([]byte, size)}
		Release(c)
		if got := lend(size + 1); len(got) != size+1 {
			t.Errorf("lent %d octets, want %d", len(got), size+1)
		}
	}
	Release(nil)
}
