package session

import (
	"context"
	"fmt"
	"io"
	"sync"

	"github.com/quorumail/quorumail/imapfront/section"
	"github.com/quorumail/quorumail/node/client/message"
	"github.com/quorumail/quorumail/proto/framecodec"
	"github.com/quorumail/quorumail/proto/imapnum"
	pb "github.com/quorumail/quorumail/proto/quorumail/v1"
)

// octets are those of a message in storage.
type octets struct {
	ctx      context.Context
	store    Store
	mailbox  uint64
	uid      uint32
	expunged bool // also if it is expunged
}

// write writes a range of them to w, as they come. Fewer than the range has are
// an error.
func (o *octets) write(r section.Range, w io.Writer) error {
	if r.Length == 0 {
		return nil
	}
	at, end := r.Offset, r.Offset+r.Length
	err := o.store.Fetch(o.ctx, &pb.FetchRequest{
		MailboxId: o.mailbox, Uids: packed(imapnum.SetOf(imapnum.UID(o.uid))), IncludeExpunged: o.expunged,
		Body: pb.FetchRequest_BODY_RANGE, Offset: r.Offset, Length: r.Length,
	}, func(resp *pb.FetchResponse) error {
		chunk := resp.GetChunk()
		if chunk == nil {
			return nil
		}
		return withOctets(chunk, func(b []byte) error {
			from := chunk.GetOffset()
			to := min(from+uint64(len(b)), end)
			if from > at || to <= at {
				return nil
			}
			_, err := w.Write(b[at-from : to-from])
			at = to
			return err
		})
	})
	if err == nil && at < end {
		err = fmt.Errorf("session: octets %d to %d of message %d are missing", at, end, o.uid)
	}
	return err
}

// unpackedChunks are buffers that chunks are unfolded into: *[]byte.
var unpackedChunks sync.Pool

// withOctets calls fn with the raw octets of a chunk, which it lets go of then: they
// and the chunk's data are gone when it returns.
func withOctets(chunk *pb.BodyChunk, fn func([]byte) error) error {
	defer framecodec.Release(chunk)
	if chunk.GetCodec() == pb.Codec_CODEC_RAW && len(chunk.GetData()) == int(chunk.GetRawSize()) {
		return fn(chunk.GetData())
	}
	buf, _ := unpackedChunks.Get().(*[]byte)
	if buf == nil {
		buf = new([]byte)
	}
	defer unpackedChunks.Put(buf)
	b, err := message.Unpack((*buf)[:0], chunk)
	if err != nil {
		return err
	}
	*buf = b
	return fn(b)
}
