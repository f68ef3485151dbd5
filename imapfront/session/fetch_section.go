package session

import (
	"bytes"
	"io"

	"github.com/quorumail/quorumail/imapfront/section"
	"github.com/quorumail/quorumail/imapfront/wire"
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
	o := octets{ctx: f.ctx, store: f.c.box.store, mailbox: f.c.box.id, uid: f.msg.GetState().GetUid(), expunged: true}
	return o.write(r, w)
}
