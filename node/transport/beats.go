package transport

import (
	"time"

	"github.com/hashicorp/raft"

	pb "github.com/quorumail/quorumail/proto/quorumail/v1"
)

// beat is a heartbeat that its group's library takes without a write to disk.
type beat struct {
	frame   *pb.RaftFrame
	handler func(raft.RPC)
	rpc     raft.RPC
	replies <-chan raft.RPCResponse
}

// takeBeats has the heartbeats of a message taken by one goroutine and answered
// with one message: of tens of idle groups, most of a node's traffic is these. That
// goroutine is not the reader's: should one of the groups begin to stand for
// election at this very moment, its handler does write.
func (in *inbound) takeBeats() {
	if len(in.beats) == 0 {
		return
	}
	beats := in.beats
	in.beats = nil
	in.m.wg.Go(func() {
		frames := make([]*pb.RaftFrame, 0, len(beats))
		// Also if a handler ends this goroutine, as raftlog may.
		defer func() {
			for _, b := range beats[len(frames):] {
				frames = append(frames, replyTo(b.frame, nil, "replica is busy"))
			}
			in.put(outgoing{frames: frames, queued: time.Now()})
		}()
		for _, b := range beats {
			b.handler(b.rpc)
			frames = append(frames, b.reply())
		}
	})
}

// reply is what the handler has answered.
func (b *beat) reply() *pb.RaftFrame {
	select {
	case r := <-b.replies:
		if r.Error != nil {
			return replyTo(b.frame, nil, r.Error.Error())
		}
		payload, err := encodeReply(r.Response)
		return replyTo(b.frame, payload, errText(err))
	default: // a library that has shut down does not answer
		return replyTo(b.frame, nil, "replica was stopped")
	}
}
