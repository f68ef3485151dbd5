package transport

import (
	"errors"

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

// batcher gathers frames into messages for a stream, and splits long ones.
type batcher struct {
	send   func([]*pb.RaftFrame) error
	frames []*pb.RaftFrame
	bytes  int
}

func (b *batcher) add(f *pb.RaftFrame) error {
	for len(f.Payload) > pieceBytes {
		piece := &pb.RaftFrame{Group: f.Group, Seq: f.Seq, Kind: f.Kind, Payload: f.Payload[:pieceBytes], More: true}
		rest := &pb.RaftFrame{Group: f.Group, Seq: f.Seq, Kind: f.Kind, Payload: f.Payload[pieceBytes:]}
		if err := b.put(piece); err != nil {
			return err
		}
		f = rest
	}
	return b.put(f)
}

func (b *batcher) put(f *pb.RaftFrame) error {
	if b.bytes+len(f.Payload) > batchBytes {
		if err := b.flush(); err != nil {
			return err
		}
	}
	b.frames = append(b.frames, f)
	b.bytes += len(f.Payload)
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
