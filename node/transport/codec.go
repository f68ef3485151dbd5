package transport

import (
	"errors"
	"fmt"

	"github.com/hashicorp/raft"
	"google.golang.org/protobuf/proto"

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

func encodeAppend(r *raft.AppendEntriesRequest) ([]byte, error) {
	m := &pb.RaftAppend{Term: r.Term, PrevIndex: r.PrevLogEntry, PrevTerm: r.PrevLogTerm, CommitIndex: r.LeaderCommitIndex}
	m.Entries = make([]*pb.RaftEntry, len(r.Entries))
	for i, e := range r.Entries {
		m.Entries[i] = &pb.RaftEntry{Index: e.Index, Term: e.Term, Type: uint32(e.Type), Data: e.Data, Extensions: e.Extensions}
		if !e.AppendedAt.IsZero() {
			m.Entries[i].AppendedAt = e.AppendedAt.UnixNano()
		}
	}
	return proto.Marshal(m)
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
