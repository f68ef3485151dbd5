package framecodec

import (
	"slices"
	"unicode/utf8"

	"google.golang.org/grpc/mem"
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"

	pb "github.com/quorumail/quorumail/proto/quorumail/v1"
)

// Field numbers.
const (
	responseIndex, responseKeywords, responseMessages = 1, 2, 5 // of FetchResponse

	// of FetchedMessage
	messageState, messageDate, messageZone, messageSize, messageEmailID, messageSaveDate = 1, 2, 3, 4, 5, 6
	messageExpunged, messageStored, messageThread                                        = 9, 11, 12

	// of MessageState
	stateUID, stateModSeq, stateFlags, stateKeywords = 1, 2, 3, 4
)

// Listing is where a FetchResponse is received, and the next one after it: what the
// one before had in it is overwritten then. It is not safe for concurrent use.
type Listing struct {
	// Response is the last that was received. Of its Messages those that are octets of
	// nothing but a mailbox and a stored email, and their octets, are the Listing's.
	Response pb.FetchResponse

	octets   []byte
	messages []pb.FetchedMessage
	states   []pb.MessageState
	list     []*pb.FetchedMessage
}

// arrays makes room for a response.
func (l *Listing) arrays(count int) {
	if cap(l.messages) < count {
		l.messages, l.states = make([]pb.FetchedMessage, count), make([]pb.MessageState, count)
		l.list = make([]*pb.FetchedMessage, 0, count)
		return
	}
	l.messages, l.states, l.list = l.messages[:count], l.states[:count], l.list[:0]
	clear(l.messages)
	clear(l.states)
}

// parse reads a FetchResponse with messages, as a listing has them by the hundred,
// and nothing else but the index and the keywords that the first of a listing begins
// with: into two arrays, and with stored emails that are octets of one copy. A message
// that has other fields than those above is left to protobuf. False if the response is
// another, or none.
func (l *Listing) parse(data mem.BufferSlice) bool {
	switch num, _, n := protowire.ConsumeTag(data[0].ReadOnlyData()); {
	case n < 0:
		return false
	case num != responseIndex && num != responseKeywords && num != responseMessages:
		return false // before it is copied
	}
	l.octets = slices.Grow(l.octets[:0], data.Len())[:data.Len()]
	copyFrom(l.octets, data, 0)
	var index uint64
	var keywords []string
	count := 0
	plain := eachField(l.octets, func(num protowire.Number, v uint64, octets []byte) bool {
		switch {
		case num == responseIndex && octets == nil:
			index = v
		case num == responseKeywords && octets != nil && utf8.Valid(octets):
			keywords = append(keywords, string(octets))
		case num == responseMessages && octets != nil:
			count++
		default:
			return false
		}
		return true
	})
	if !plain || count == 0 {
		return false
	}
	l.arrays(count)
	plain = eachField(l.octets, func(num protowire.Number, _ uint64, octets []byte) bool {
		if num != responseMessages {
			return true
		}
		i := len(l.list)
		m := &l.messages[i]
		if !parseMessage(octets, m, &l.states[i]) {
			m = &pb.FetchedMessage{}
			if proto.Unmarshal(octets, m) != nil {
				return false
			}
		}
		l.list = append(l.list, m)
		return true
	})
	if !plain {
		return false
	}
	l.Response.Reset()
	l.Response.AppliedIndex, l.Response.Keywords, l.Response.Messages = index, keywords, l.list
	return true
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

// AppendRecord appends the fields of a FetchedMessage that are of the mailbox: all but
// email, stored_email and what concerns a body.
func AppendRecord(b []byte, m *pb.FetchedMessage) []byte {
	if s := m.GetState(); s != nil {
		keywords := 0
		for _, k := range s.GetKeywords() {
			keywords += protowire.SizeVarint(uint64(k))
		}
		size := SizeNumber(stateUID, uint64(s.GetUid())) + SizeNumber(stateModSeq, s.GetModSeq()) + SizeNumber(stateFlags, uint64(s.GetSystemFlags()))
		if keywords > 0 {
			size += 1 + protowire.SizeBytes(keywords)
		}
		b = protowire.AppendVarint(protowire.AppendTag(b, messageState, protowire.BytesType), uint64(size))
		b = AppendNumber(b, stateUID, uint64(s.GetUid()))
		b = AppendNumber(b, stateModSeq, s.GetModSeq())
		b = AppendNumber(b, stateFlags, uint64(s.GetSystemFlags()))
		if keywords > 0 {
			b = protowire.AppendVarint(protowire.AppendTag(b, stateKeywords, protowire.BytesType), uint64(keywords))
			for _, k := range s.GetKeywords() {
				b = protowire.AppendVarint(b, uint64(k))
			}
		}
	}
	b = AppendNumber(b, messageDate, uint64(m.GetInternalDate()))
	b = AppendNumber(b, messageZone, uint64(int64(m.GetZoneMinutes())))
	b = AppendNumber(b, messageSize, m.GetSize())
	b = AppendNumber(b, messageEmailID, m.GetEmailId())
	b = AppendNumber(b, messageSaveDate, uint64(m.GetSaveDate()))
	b = AppendNumber(b, messageExpunged, protowire.EncodeBool(m.GetExpunged()))
	return AppendNumber(b, messageThread, m.GetThreadId())
}
