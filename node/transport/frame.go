package transport

import (
	"errors"

	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"

	pb "github.com/quorumail/quorumail/proto/quorumail/v1"
)

const (
	// pieceBytes is how much of a payload goes into one frame. A message of the
	// stream stays well below gRPC's default limit of 4 MiB.
	pieceBytes = 512 << 10
	// batchFrames and batchBytes bound the frames of one message.
	batchFrames = 256
	batchBytes  = 1 << 20
	// maxPayload bounds a request or reply; what is longer ends the stream.
	maxPayload = 64 << 20
)

var errFrame = errors.New("malformed frame")

// pieces are octets in parts that are sent one after the other. What is in a log
// entry is a part as it is in memory: it goes to each follower without a copy of its
// own. Nobody changes them.
type pieces [][]byte

func (p pieces) size() (n int) {
	for _, part := range p {
		n += len(part)
	}
	return n
}

// split returns the first n octets, and the others.
func (p pieces) split(n int) (first, rest pieces) {
	for i, part := range p {
		if n < len(part) {
			if n > 0 {
				first = append(first, part[:n])
			}
			return first, append(pieces{part[n:]}, p[i+1:]...)
		}
		first, n = append(first, part), n-len(part)
	}
	return first, nil
}

// outFrame is a frame to be sent, its payload apart.
type outFrame struct {
	*pb.RaftFrame
	payload pieces
	size    int // of payload
}

// batcher gathers frames into messages for a stream, and splits long ones.
type batcher struct {
	send   func([]outFrame) error
	frames []outFrame
	bytes  int
}

func (b *batcher) add(f *pb.RaftFrame, payload pieces) error {
	size := payload.size()
	for size > pieceBytes {
		piece := &pb.RaftFrame{Group: f.Group, Seq: f.Seq, Kind: f.Kind, More: true}
		first, rest := payload.split(pieceBytes)
		if err := b.put(outFrame{piece, first, pieceBytes}); err != nil {
			return err
		}
		payload, size = rest, size-pieceBytes
	}
	return b.put(outFrame{f, payload, size})
}

func (b *batcher) put(f outFrame) error {
	if b.bytes+f.size > batchBytes {
		if err := b.flush(); err != nil {
			return err
		}
	}
	b.frames = append(b.frames, f)
	b.bytes += f.size
	return nil
}

func (b *batcher) flush() error {
	if len(b.frames) == 0 {
		return nil
	}
	err := b.send(b.frames)
	clear(b.frames)
	b.frames, b.bytes = b.frames[:0], 0
	return err
}

// Fields of pb.ExchangeRequest and pb.RaftFrame.
const (
	exchangeFrames = 1

	framePayload = 4
)

// minPart is how large a part is at least for it to be sent from where it is.
const minPart = 1 << 10

// encodeFrames makes a pb.ExchangeRequest of frames, with the parts of payloads as they
// are.
func encodeFrames(frames []outFrame) (pieces, error) {
	out := newPartWriter(len(frames))
	var head []byte
	for _, f := range frames {
		var err error
		head, err = proto.MarshalOptions{}.MarshalAppend(head[:0], f.RaftFrame) // without a payload
		if err != nil {
			return nil, err
		}
		size := len(head)
		if f.size > 0 {
			size += protowire.SizeTag(framePayload) + protowire.SizeBytes(f.size)
		}
		out.own = protowire.AppendTag(out.own, exchangeFrames, protowire.BytesType)
		out.own = protowire.AppendVarint(out.own, uint64(size))
		out.own = append(out.own, head...)
		if f.size > 0 {
			out.own = protowire.AppendTag(out.own, framePayload, protowire.BytesType)
			out.own = protowire.AppendVarint(out.own, uint64(f.size))
			for _, part := range f.payload {
				out.add(part)
			}
		}
	}
	return out.done(), nil
}

// partWriter makes pieces: of own, which is appended to, and of parts between.
type partWriter struct {
	own  []byte
	from int // what of own is in parts
	list pieces
}

// newPartWriter has room for n small fields with a part after each.
func newPartWriter(n int) *partWriter {
	return &partWriter{own: make([]byte, 0, 64*(n+1)), list: make(pieces, 0, 2*n+1)}
}

// add adds a part: it is copied if it is small.
func (w *partWriter) add(part []byte) {
	if len(part) < minPart {
		w.own = append(w.own, part...)
		return
	}
	w.cut()
	w.list = append(w.list, part)
}

// cut ends what has been appended to own. If own grows later, the piece stays where
// it is.
func (w *partWriter) cut() {
	if len(w.own) > w.from {
		w.list = append(w.list, w.own[w.from:len(w.own):len(w.own)])
		w.from = len(w.own)
	}
}

// done returns the pieces.
func (w *partWriter) done() pieces {
	w.cut()
	return w.list
}

// assembler puts the pieces of one stream together.
type assembler struct {
	part *pb.RaftFrame // what has come of an unfinished payload
}

// add returns the whole frame if f completes one, else nil.
func (a *assembler) add(f *pb.RaftFrame) (*pb.RaftFrame, error) {
	if f == nil {
		return nil, errFrame
	}
	if a.part == nil {
		if !f.More {
			return f, nil
		}
		a.part = f
		return nil, nil
	}
	p := a.part
	if f.Group != p.Group || f.Seq != p.Seq || f.Kind != p.Kind || len(p.Payload)+len(f.Payload) > maxPayload {
		return nil, errFrame
	}
	p.Payload = append(p.Payload, f.Payload...)
	if f.More {
		return nil, nil
	}
	a.part = nil
	p.More = false
	return p, nil
}
