package session

import (
	"context"
	"fmt"
	"io"

	"github.com/quorumail/quorumail/imapfront/section"
	"github.com/quorumail/quorumail/node/client/message"
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
	var buf []byte
	err := o.store.Fetch(o.ctx, &pb.FetchRequest{
		MailboxId: o.mailbox, Uids: packed(imapnum.SetOf(imapnum.UID(o.uid))), IncludeExpunged: o.expunged,
		Body: pb.FetchRequest_BODY_RANGE, Offset: r.Offset, Length: r.Length,
	}, func(resp *pb.FetchResponse) error {
		chunk := resp.GetChunk()
		if chunk == nil {
			return nil
		}
		var err error
		if buf, err = message.Unpack(buf[:0], chunk); err != nil {
			return err
		}
		from := chunk.GetOffset()
		to := min(from+uint64(len(buf)), end)
		if from > at || to <= at {
			return nil
		}
		_, err = w.Write(buf[at-from : to-from])
		at = to
		return err
	})
	if err == nil && at < end {
		err = fmt.Errorf("session: octets %d to %d of message %d are missing", at, end, o.uid)
	}
	return err
}
