package framecodec

import (
	"google.golang.org/grpc/mem"
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"

	pb "github.com/quorumail/quorumail/proto/quorumail/v1"
)

// Field numbers.
const (
	responseMessages = 5 // FetchResponse.messages

	// of FetchedMessage
	messageState, messageDate, messageZone, messageSize, messageEmailID, messageSaveDate = 1, 2, 3, 4, 5, 6
	messageStored, messageThread                                                         = 11, 12

	// of MessageState
	stateUID, stateModSeq, stateFlags = 1, 2, 3
)

// parseMessages reads a FetchResponse that is nothing but messages, as a listing has
// them by the hundred: into two arrays, and with stored emails that are octets of one
// copy. A message that has other fields than those above is left to protobuf. nil if
// the response is another, or none.
func parseMessages(data mem.BufferSlice) []*pb.FetchedMessage {
	if num, typ, n := protowire.ConsumeTag(data[0].ReadOnlyData()); n < 0 || num != responseMessages || typ != protowire.BytesType {
		return nil
	}
	b := make([]byte, data.Len())
	copyFrom(b, data, 0)
	count := 0
	for rest := b; len(rest) > 0; count++ {
		num, typ, n := protowire.ConsumeTag(rest)
		if n < 0 || num != responseMessages || typ != protowire.BytesType {
			return nil
		}
		size := protowire.ConsumeFieldValue(num, typ, rest[n:])
		if size < 0 {
			return nil
		}
		rest = rest[n+size:]
	}
	messages, states, list := make([]pb.FetchedMessage, count), make([]pb.MessageState, count), make([]*pb.FetchedMessage, count)
	for i := range list {
		_, _, n := protowire.ConsumeTag(b)
		value, size := protowire.ConsumeBytes(b[n:])
		b = b[n+size:]
		list[i] = &messages[i]
		if !parseMessage(value, list[i], &states[i]) && proto.Unmarshal(value, list[i]) != nil {
			return nil
		}
	}
	return list
}

// parseMessage reads one; false if there is anything else in it: then what has been
// read is of no meaning.
func parseMessage(b []byte, m *pb.FetchedMessage, state *pb.MessageState) bool {
	return eachField(b, func(num protowire.Number, v uint64, octets []byte) bool {
		switch {
		case octets != nil:
			switch num {
			case messageState:
				if m.State != nil {
					return false // it would have to be merged
				}
				m.State = state
				return parseState(octets, state)
			case messageStored:
				m.StoredEmail = octets
			default:
				return false
			}
		case num == messageDate:
			m.InternalDate = int64(v)
		case num == messageZone:
			m.ZoneMinutes = int32(v)
		case num == messageSize:
			m.Size = v
		case num == messageEmailID:
			m.EmailId = v
		case num == messageSaveDate:
			m.SaveDate = int64(v)
		case num == messageThread:
			m.ThreadId = v
		default:
			return false
		}
		return true
	})
}

func parseState(b []byte, s *pb.MessageState) bool {
	return eachField(b, func(num protowire.Number, v uint64, octets []byte) bool {
		switch {
		case octets != nil:
			return false // keywords
		case num == stateUID:
			s.Uid = uint32(v)
		case num == stateModSeq:
			s.ModSeq = v
		case num == stateFlags:
			s.SystemFlags = uint32(v)
		default:
			return false
		}
		return true
	})
}

// eachField calls fn for each field, of a number, or of octets, which are not nil
// then. It stops at what is neither, and where fn returns false: then it does too.
func eachField(b []byte, fn func(num protowire.Number, v uint64, octets []byte) bool) bool {
	for len(b) > 0 {
		num, typ, n := protowire.ConsumeTag(b)
		if n < 0 {
			return false
		}
		b = b[n:]
		var v uint64
		var octets []byte
		switch typ {
		case protowire.VarintType:
			v, n = protowire.ConsumeVarint(b)
		case protowire.BytesType:
			octets, n = protowire.ConsumeBytes(b)
		default:
			return false
		}
		if n < 0 || !fn(num, v, octets[:len(octets):len(octets)]) {
			return false
		}
		b = b[n:]
	}
	return true
}
