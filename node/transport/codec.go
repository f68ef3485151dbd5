package transport

import (
	"errors"
	"fmt"

	"github.com/hashicorp/raft"
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"

	"github.com/quorumail/quorumail/proto/framecodec"
	pb "github.com/quorumail/quorumail/proto/quorumail/v1"
)

// header makes the RPC header of a node; its address is its id.
func header(node string) raft.RPCHeader {
	return raft.RPCHeader{ProtocolVersion: raft.ProtocolVersionMax, ID: []byte(node), Addr: []byte(node)}
}

// isHeartbeat is the test that the library's own transport makes.
func isHeartbeat(r *raft.AppendEntriesRequest) bool {
	return r.Term != 0 && r.PrevLogEntry == 0 && r.PrevLogTerm == 0 && len(r.Entries) == 0 && r.LeaderCommitIndex == 0
}

// encodeAppend makes a pb.RaftAppend. The entries' data are parts of it as they are
// in memory: they are most of it, and go to each follower.
func encodeAppend(r *raft.AppendEntriesRequest) pieces {
	w := newPartWriter(len(r.Entries))
	w.own = framecodec.AppendNumber(w.own, appendTerm, r.Term)
	w.own = framecodec.AppendNumber(w.own, appendPrevIndex, r.PrevLogEntry)
	w.own = framecodec.AppendNumber(w.own, appendPrevTerm, r.PrevLogTerm)
	w.own = framecodec.AppendNumber(w.own, appendCommitIndex, r.LeaderCommitIndex)
	for _, e := range r.Entries {
		appended := uint64(0)
		if !e.AppendedAt.IsZero() {
			appended = uint64(e.AppendedAt.UnixNano())
		}
		w.own = protowire.AppendTag(w.own, appendEntries, protowire.BytesType)
		w.own = protowire.AppendVarint(w.own, uint64(framecodec.SizeNumber(entryIndex, e.Index)+framecodec.SizeNumber(entryTerm, e.Term)+
			framecodec.SizeNumber(entryType, uint64(e.Type))+sizeOctets(entryData, e.Data)+sizeOctets(entryExtensions, e.Extensions)+
			framecodec.SizeNumber(entryAppendedAt, appended)))
		w.own = framecodec.AppendNumber(w.own, entryIndex, e.Index)
		w.own = framecodec.AppendNumber(w.own, entryTerm, e.Term)
		w.own = framecodec.AppendNumber(w.own, entryType, uint64(e.Type))
		w.octets(entryData, e.Data)
		w.octets(entryExtensions, e.Extensions)
		w.own = framecodec.AppendNumber(w.own, entryAppendedAt, appended)
	}
	return w.done()
}

// octets adds a field, unless it is empty.
func (w *partWriter) octets(field protowire.Number, b []byte) {
	if len(b) > 0 {
		w.own = protowire.AppendVarint(protowire.AppendTag(w.own, field, protowire.BytesType), uint64(len(b)))
		w.add(b)
	}
}

// sizeOctets is how many octets that field has.
func sizeOctets(field protowire.Number, b []byte) int {
	if len(b) == 0 {
		return 0
	}
	return protowire.SizeTag(field) + protowire.SizeBytes(len(b))
}

// checkConfiguration says whether the library can decode a membership.
func checkConfiguration(b []byte) (err error) {
	defer func() {
		if recover() != nil {
			err = errors.New("membership cannot be decoded")
		}
	}()
	raft.DecodeConfiguration(b)
	return nil
}

func decodeHeartbeat(b []byte, from string) (*raft.AppendEntriesRequest, error) {
	var m pb.RaftHeartbeat
	if err := proto.Unmarshal(b, &m); err != nil {
		return nil, err
	}
	if m.Term == 0 {
		return nil, errors.New("heartbeat without a term")
	}
	return &raft.AppendEntriesRequest{RPCHeader: header(from), Term: m.Term}, nil
}

func decodeVote(b []byte, from string, pre bool) (any, error) {
	var m pb.RaftVote
	if err := proto.Unmarshal(b, &m); err != nil {
		return nil, err
	}
	if pre {
		return &raft.RequestPreVoteRequest{RPCHeader: header(from), Term: m.Term, LastLogIndex: m.LastLogIndex, LastLogTerm: m.LastLogTerm}, nil
	}
	return &raft.RequestVoteRequest{
		RPCHeader: header(from), Term: m.Term,
		LastLogIndex: m.LastLogIndex, LastLogTerm: m.LastLogTerm, LeadershipTransfer: m.LeadershipTransfer,
	}, nil
}

// encodeReply encodes what the library answered.
func encodeReply(resp any) ([]byte, error) {
	switch r := resp.(type) {
	case *raft.AppendEntriesResponse:
		return proto.Marshal(&pb.RaftAppendReply{Term: r.Term, LastLog: r.LastLog, Success: r.Success, NoRetryBackoff: r.NoRetryBackoff})
	case *raft.RequestVoteResponse:
		return proto.Marshal(&pb.RaftVoteReply{Term: r.Term, Granted: r.Granted})
	case *raft.RequestPreVoteResponse:
		return proto.Marshal(&pb.RaftVoteReply{Term: r.Term, Granted: r.Granted})
	case *raft.TimeoutNowResponse:
		return nil, nil
	default:
		return nil, fmt.Errorf("unexpected reply %T", resp)
	}
}

func decodeAppendReply(b []byte, from string, into *raft.AppendEntriesResponse) error {
	var m pb.RaftAppendReply
	if err := proto.Unmarshal(b, &m); err != nil {
		return err
	}
	*into = raft.AppendEntriesResponse{RPCHeader: header(from), Term: m.Term, LastLog: m.LastLog, Success: m.Success, NoRetryBackoff: m.NoRetryBackoff}
	return nil
}
