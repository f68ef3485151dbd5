package framecodec

import (
	"bytes"
	"slices"
	"testing"

	"google.golang.org/grpc/mem"
	"google.golang.org/protobuf/encoding/protowire"
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
	received := &Listing{}
	for _, size := range []int{1, 7, 16 << 10, len(octets) + 1} {
		if len(octets) > 1<<14 && size < 1<<10 {
			continue // it would only take long
		}
		// What was in it before is gone.
		received.Response.AppliedIndex, received.Response.Keywords = 1, []string{"$a"}
		err := Codec{}.Unmarshal(pieces(octets, size), received)
		got := &received.Response
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
	return append(listings(), [][]byte{
		nil,
		chunk,
		chunk[:len(chunk)-1],
		AppendChunk(nil, 0, 0, 0, nil),
		AppendChunk(nil, 0, 5000, pb.Codec_CODEC_RAW, data[:5000]),
		bytes.Repeat(AppendChunk(nil, 0, 5000, pb.Codec_CODEC_RAW, data[:5000]), 2),
		append([]byte{8, 1}, chunk...),
		append(bytes.Clone(chunk), 8, 1),
		message,
	}...)
}

// listings are responses of many messages, plain ones and others.
func listings() (list [][]byte) {
	add := func(change func(*pb.FetchResponse)) {
		resp := &pb.FetchResponse{}
		for i := range uint32(100) {
			resp.Messages = append(resp.Messages, &pb.FetchedMessage{
				State: &pb.MessageState{Uid: i + 1, ModSeq: 1 << 40, SystemFlags: i % 32}, InternalDate: -int64(i), ZoneMinutes: -90,
				Size: 1 << 33, EmailId: uint64(i), SaveDate: 7, StoredEmail: bytes.Repeat([]byte{1}, 60), ThreadId: 9,
			})
		}
		if change != nil {
			change(resp)
		}
		octets, err := proto.Marshal(resp)
		if err != nil {
			panic(err)
		}
		list = append(list, octets)
	}
	add(nil)
	add(func(r *pb.FetchResponse) { r.AppliedIndex, r.Keywords = 5, []string{"$a", "", "é"} })
	add(func(r *pb.FetchResponse) { r.AppliedIndex, r.Message = 5, &pb.FetchedMessage{Size: 9} })
	add(func(r *pb.FetchResponse) { r.Chunk = &pb.BodyChunk{Offset: 1} })
	add(func(r *pb.FetchResponse) { r.Messages[50] = &pb.FetchedMessage{} })
	add(func(r *pb.FetchResponse) { r.Messages[99].State.Keywords = []uint32{1, 2} })
	add(func(r *pb.FetchResponse) { r.Messages[99].Chunks = 2 })
	add(func(r *pb.FetchResponse) { r.Messages[0].Email = &pb.Email{Size: 5} })
	add(func(r *pb.FetchResponse) { r.Messages[0].Body = []*pb.BodyChunk{{Offset: 1}} })
	plain := list[0]
	// What stands first in one of ours stands last; a message whose state comes twice; one
	// that is cut short; a keyword that is no UTF-8; and an index that is no number.
	last := append(bytes.Clone(plain), 18, 1, 'k', 8, 3, 8, 4)
	message := func(b ...byte) []byte {
		return protowire.AppendBytes(protowire.AppendTag(bytes.Clone(plain), responseMessages, protowire.BytesType), b)
	}
	return append(list, last, message(10, 2, 8, 1, 10, 2, 16, 1), message(10, 9, 8, 1),
		append([]byte{18, 1, 0xff}, plain...), append([]byte{10, 1, 1}, plain...), plain[:len(plain)-1])
}

// A listing is read without protobuf, which allocates three times a message.
func TestListingAllocatesLittle(t *testing.T) {
	first := append([]byte{8, 5, 18, 1, 'k'}, listings()[0]...)
	data := pieces(first, 1<<20)
	received := func(l *Listing) {
		if err := (Codec{}).Unmarshal(data, l); err != nil || len(l.Response.GetMessages()) != 100 || l.Response.GetAppliedIndex() != 5 {
			t.Fatal(len(l.Response.GetMessages()), err)
		}
	}
	if n := testing.AllocsPerRun(10, func() { received(&Listing{}) }); n > 10 {
		t.Errorf("%v allocations for 100 messages", n)
	}
	l := &Listing{}
	received(l)
	if n := testing.AllocsPerRun(10, func() { received(l) }); n > 3 {
		t.Errorf("%v allocations for 100 messages into what had 100 before", n)
	}
}

// A Listing has nothing of the response before, whatever that was.
func TestListingIsReceivedIntoAgain(t *testing.T) {
	l := &Listing{}
	list := responses()
	for range 2 {
		for _, octets := range list {
			want := &pb.FetchResponse{}
			if proto.Unmarshal(octets, want) != nil {
				_ = Codec{}.Unmarshal(pieces(octets, 1<<20), l) // it leaves what it likes
				continue
			}
			if err := (Codec{}).Unmarshal(pieces(octets, 1<<20), l); err != nil || !proto.Equal(&l.Response, want) {
				t.Fatalf("got %v, %v, want %v", &l.Response, err, want)
			}
		}
		slices.Reverse(list)
	}
}

// What AppendRecord makes is what protobuf reads.
func TestAppendRecord(t *testing.T) {
	for _, m := range []*pb.FetchedMessage{
		{},
		{State: &pb.MessageState{}},
		{State: &pb.MessageState{Keywords: []uint32{0}}},
		{State: &pb.MessageState{Uid: 1, Keywords: []uint32{0, 1, 300}}, Expunged: true},
		{State: &pb.MessageState{Uid: 1<<32 - 1, ModSeq: 1<<63 - 1, SystemFlags: 31}, ThreadId: 1},
		{
			State: &pb.MessageState{Uid: 7, ModSeq: 300}, InternalDate: -5, ZoneMinutes: -720, Size: 1 << 40,
			EmailId: 1<<64 - 1, SaveDate: 1 << 33, ThreadId: 9, Expunged: true,
		},
	} {
		got := &pb.FetchedMessage{}
		octets := AppendRecord([]byte("x"), m)
		if err := proto.Unmarshal(octets[1:], got); err != nil || !proto.Equal(got, m) {
			t.Errorf("%v became %v, %v", m, got, err)
		}
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
