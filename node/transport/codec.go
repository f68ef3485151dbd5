package transport

import (
	"errors"
	"fmt"
	"time"

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

// decodeAppend refuses what no leader sends, and what would make the library
// panic: unknown types of entry, and memberships that cannot be decoded.
func decodeAppend(b []byte, from string) (*raft.AppendEntriesRequest, error) {
	var m pb.RaftAppend
	if err := proto.Unmarshal(b, &m); err != nil {
		return nil, err
	}
	r := &raft.AppendEntriesRequest{
		RPCHeader: header(from),
		Term:      m.Term, PrevLogEntry: m.PrevIndex, PrevLogTerm: m.PrevTerm, LeaderCommitIndex: m.CommitIndex,
	}
	r.Entries = make([]*raft.Log, len(m.Entries))
	logs := make([]raft.Log, len(m.Entries))
	for i, e := range m.Entries {
		if e.Index != m.PrevIndex+1+uint64(i) {
			return nil, fmt.Errorf("entry %d does not follow entry %d", e.Index, m.PrevIndex+uint64(i))
		}
		logs[i] = raft.Log{Index: e.Index, Term: e.Term, Type: raft.LogType(e.Type), Data: e.Data, Extensions: e.Extensions}
		switch {
		case e.Type == uint32(raft.LogCommand), e.Type == uint32(raft.LogNoop), e.Type == uint32(raft.LogBarrier):
		case e.Type == uint32(raft.LogConfiguration):
			if err := checkConfiguration(e.Data); err != nil {
				return nil, fmt.Errorf("entry %d: %w", e.Index, err)
			}
		default:
			return nil, fmt.Errorf("entry %d is of unknown type %d", e.Index, e.Type)
		}
		if e.AppendedAt != 0 {
			logs[i].AppendedAt = time.Unix(0, e.AppendedAt)
		}
		r.Entries[i] = &logs[i]
	}
	return r, nil
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
