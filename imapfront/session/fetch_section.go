package session

import (
	"bytes"
	"fmt"
	"io"

	"github.com/quorumail/quorumail/imapfront/section"
	"github.com/quorumail/quorumail/imapfront/wire"
	"github.com/quorumail/quorumail/node/client/message"
	pb "github.com/quorumail/quorumail/proto/quorumail/v1"
)

// section prints a section that needs a read of its own.
func (f *fetcher) section(s *wire.Section) error {
	r, ok := section.Find(f.msg.GetEmail(), s)
	if !ok {
		f.sep()
		f.c.w.SectionLabel(s).Raw(" NIL")
		return f.c.w.Err()
	}
	if len(s.Fields) > 0 {
		var raw bytes.Buffer
		if err := f.read(r, &raw); err != nil {
			return err
		}
		f.picked(s, raw.Bytes())
		return f.c.w.Err()
	}
	r = r.Cut(s.Partial)
	f.sep()
	lit := f.c.w.SectionLabel(s).Raw(" ").BeginLiteral(r.Length, false)
	if err := f.read(r, lit); err != nil {
		return err
	}
	return lit.Close()
}

// read writes a range of the message's octets to w.
func (f *fetcher) read(r section.Range, w io.Writer) error {
	if r.Length == 0 {
		return nil
	}
	at, end := r.Offset, r.Offset+r.Length
	var buf []byte
	err := f.c.box.store.Fetch(f.ctx, &pb.FetchRequest{
		MailboxId: f.c.box.id, Uids: &pb.UidSet{Packed: []uint32{f.msg.GetState().GetUid(), 0}}, IncludeExpunged: true,
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
		err = fmt.Errorf("session: octets %d to %d of message %d are missing", at, end, f.msg.GetState().GetUid())
	}
	return err
}
