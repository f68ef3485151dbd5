package service

import (
	"google.golang.org/grpc/mem"
	"google.golang.org/protobuf/encoding/protowire"

	"github.com/quorumail/quorumail/proto/framecodec"
	pb "github.com/quorumail/quorumail/proto/quorumail/v1"
)

// A response takes this many messages, or octets of them.
const (
	batchMessages = 500
	batchBytes    = 64 << 10
	// firstBytes is the first buffer of a response: it grows.
	firstBytes = 4 << 10
	// inlineBytes is how many octets of its body come within a message.
	inlineBytes = 16 << 10
)

// Fields of pb.FetchResponse and pb.FetchedMessage.
const (
	responseIndex, responseKeywords, responseMessage, responseMessages = 1, 2, 3, 5

	messageEmail, messageChunks, messageBody, messageStoredEmail = 7, 8, 10, 11
)

// frames are the responses of a Fetch, written field by field into buffers of
// the pool: what is in the store is copied once, to where it is sent from.
type frames struct {
	index uint64 // applied, of the messages

	out      []*[]byte
	open     bool // messages may be added to the last of out
	inOpen   int  // how many it has
	bytes    int  // of all
	messages int  // in all
	scratch  []byte
}

// messageFrame is a message as it goes into a response.
type messageFrame struct {
	msg *pb.FetchedMessage // without what follows
	// email is what was asked of its record; stored says how it is called.
	email  []byte
	stored bool
	body   []byte // chunks within it, as appendInline has made them
}

// appendInline adds a chunk to those within a message.
func appendInline(body []byte, c *pb.BodyChunk) []byte {
	body = protowire.AppendTag(body, messageBody, protowire.BytesType)
	body = protowire.AppendVarint(body, uint64(framecodec.ChunkSize(c.GetOffset(), c.GetRawSize(), c.GetCodec(), c.GetData())))
	return framecodec.AppendBodyChunk(body, c.GetOffset(), c.GetRawSize(), c.GetCodec(), c.GetData())
}

// append appends the octets of a FetchedMessage.
func (m *messageFrame) append(b []byte, chunks uint32) []byte {
	b = framecodec.AppendRecord(b, m.msg)
	if m.email != nil {
		field := protowire.Number(messageEmail)
		if m.stored {
			field = messageStoredEmail
		}
		b = protowire.AppendTag(b, field, protowire.BytesType)
		b = protowire.AppendBytes(b, m.email)
	}
	if chunks > 0 {
		b = protowire.AppendTag(b, messageChunks, protowire.VarintType)
		b = protowire.AppendVarint(b, uint64(chunks))
	}
	return append(b, m.body...)
}

// none reports whether there is no response yet.
func (f *frames) none() bool { return len(f.out) == 0 }

// add adds responses that stand alone. Their octets have been counted.
func (f *frames) add(list ...*[]byte) {
	f.out = append(f.out, list...)
	f.open = false
}

// head begins a response with messages.
func (f *frames) head(b []byte, keywords []string) []byte {
	for _, k := range keywords {
		b = protowire.AppendTag(b, responseKeywords, protowire.BytesType)
		b = protowire.AppendString(b, k)
	}
	return b
}

// message adds a message that no chunks follow.
func (f *frames) message(m messageFrame, keywords []string) {
	f.scratch = m.append(f.scratch[:0], 0)
	if !f.open {
		first := protowire.AppendTag(borrow(firstBytes)[:0], responseIndex, protowire.VarintType)
		first = protowire.AppendVarint(first, f.index)
		f.out, f.open, f.inOpen = append(f.out, &first), true, 0
	}
	last := f.out[len(f.out)-1]
	before := len(*last)
	*last = f.head(roomFor(*last, keywordBytes(keywords)+len(f.scratch)+16), keywords)
	*last = protowire.AppendTag(*last, responseMessages, protowire.BytesType)
	*last = protowire.AppendBytes(*last, f.scratch)
	f.bytes += len(*last) - before
	f.messages++
	f.inOpen++
	f.open = len(*last) < batchBytes && f.inOpen < batchMessages
}

// messageAlone adds a message that chunks follow.
func (f *frames) messageAlone(m messageFrame, keywords []string, chunks uint32) {
	f.scratch = m.append(f.scratch[:0], chunks)
	b := borrow(keywordBytes(keywords) + len(f.scratch) + 32)[:0]
	b = protowire.AppendTag(b, responseIndex, protowire.VarintType)
	b = f.head(protowire.AppendVarint(b, f.index), keywords)
	b = protowire.AppendTag(b, responseMessage, protowire.BytesType)
	b = protowire.AppendBytes(b, f.scratch)
	f.add(&b)
	f.bytes += len(b)
	f.messages++
}

func keywordBytes(keywords []string) (n int) {
	for _, k := range keywords {
		n += len(k) + 8
	}
	return n
}

// chunkFrame is the response with a chunk.
func chunkFrame(c *pb.BodyChunk) *[]byte {
	b := framecodec.AppendChunk(borrow(len(c.GetData()) + 64)[:0], c.GetOffset(), c.GetRawSize(), c.GetCodec(), c.GetData())
	return &b
}

// borrow returns a buffer of the pool.
func borrow(n int) []byte { return *framecodec.Buffers.Get(n) }

// giveBack returns it there.
func giveBack(b []byte) { framecodec.Buffers.Put(&b) }

// roomFor returns b with room for n more octets.
func roomFor(b []byte, n int) []byte {
	if cap(b)-len(b) >= n {
		return b
	}
	larger := append(borrow(2 * (len(b) + n))[:0], b...)
	giveBack(b)
	return larger
}

// send sends the responses and begins anew.
func (f *frames) send(send func(*framecodec.Frame) error) error {
	defer f.drop()
	for i, b := range f.out {
		f.out[i] = nil
		// gRPC gives it back to the pool.
		if err := send(&framecodec.Frame{Data: mem.BufferSlice{mem.NewBuffer(b, framecodec.Buffers)}}); err != nil {
			return err
		}
	}
	return nil
}

// drop forgets what has not been sent.
func (f *frames) drop() {
	for _, b := range f.out {
		if b != nil {
			giveBack(*b)
		}
	}
	f.out, f.open, f.inOpen, f.bytes, f.messages = f.out[:0], false, 0, 0, 0
}
