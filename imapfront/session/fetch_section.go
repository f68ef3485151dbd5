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

// maxDecoded bounds what BINARY holds in memory of one part: a decoded part is
// announced with its size before its octets, so it is decoded twice; small ones
// are kept instead.
const maxDecoded = 1 << 20

// section prints a section that needs a read of its own.
func (f *fetcher) section(item wire.FetchItem) error {
	s := item.Section
	if item.Name != "SECTION" {
		return f.binary(item.Name, s)
	}
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
	f.c.w.SectionLabel(s).Raw(" {", r.Length, "}\r\n")
	return f.read(r, rawWriter{f.c.w})
}

// rawWriter writes octets of a literal that has been announced.
type rawWriter struct{ w *wire.Writer }

func (r rawWriter) Write(p []byte) (int, error) {
	r.w.Raw(p)
	return len(p), r.w.Err()
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

// binary prints BINARY[…] and BINARY.SIZE[…] (RFC 3516; RFC 9051, 6.4.5).
func (f *fetcher) binary(name string, s *wire.Section) error {
	label := func() *wire.Writer {
		f.sep()
		if name == "BINARY.SIZE" {
			return f.c.w.SectionLabel(&wire.Section{Label: "BINARY.SIZE"}).Raw("[", partName(s.Part), "] ")
		}
		return f.c.w.SectionLabel(s).Raw(" ")
	}
	r, encoding, ok := section.Content(f.msg.GetEmail(), s.Part)
	if _, known := message.Decode(bytes.NewReader(nil), encoding); !ok || !known {
		// What cannot be decoded fails the command, whose other items are told all
		// the same.
		f.unknownCTE = f.unknownCTE || ok
		if name == "BINARY.SIZE" {
			label().Raw("0")
		} else {
			label().Raw("NIL")
		}
		return f.c.w.Err()
	}
	kept := &keeper{limit: maxDecoded}
	if err := f.decode(r, encoding, kept); err != nil {
		return err
	}
	if name == "BINARY.SIZE" {
		label().Raw(kept.size)
		return f.c.w.Err()
	}
	cut := section.Range{Length: kept.size}.Cut(s.Partial)
	label()
	if kept.size <= maxDecoded {
		f.c.w.Literal(cut.Length, bytes.NewReader(kept.buf[cut.Offset:]), true)
		return f.c.w.Err()
	}
	f.c.w.Raw("~{", cut.Length, "}\r\n")
	return f.decode(r, encoding, &window{w: rawWriter{f.c.w}, skip: cut.Offset, left: cut.Length})
}

func partName(part []uint32) string {
	s := ""
	for i, n := range part {
		if i > 0 {
			s += "."
		}
		s += uitoa(uint64(n))
	}
	return s
}

// decode writes the decoded octets of a range to w.
func (f *fetcher) decode(r section.Range, encoding string, w io.Writer) error {
	pr, pw := io.Pipe()
	go func() { _ = pw.CloseWithError(f.read(r, pw)) }() // ends when pr is read to its end or closed
	decoded, _ := message.Decode(pr, encoding)
	_, err := io.Copy(w, decoded)
	if err != nil && f.c.w.Err() == nil {
		// Octets that do not decode end the content; what storage says is an error.
		if _, rest := io.Copy(io.Discard, pr); rest == nil {
			err = nil
		}
	}
	_ = pr.Close() // its only use is over
	return err
}

// keeper counts octets and keeps them as long as they are few.
type keeper struct {
	limit int
	size  uint64
	buf   []byte
}

func (k *keeper) Write(p []byte) (int, error) {
	k.size += uint64(len(p))
	if k.size <= uint64(k.limit) {
		k.buf = append(k.buf, p...)
	} else {
		k.buf = nil
	}
	return len(p), nil
}

// window passes on left octets after skip.
type window struct {
	w          io.Writer
	skip, left uint64
}

func (w *window) Write(p []byte) (int, error) {
	n := len(p)
	drop := min(w.skip, uint64(len(p)))
	w.skip -= drop
	p = p[drop:]
	p = p[:min(uint64(len(p)), w.left)]
	w.left -= uint64(len(p))
	if len(p) > 0 {
		if _, err := w.w.Write(p); err != nil {
			return 0, err
		}
	}
	return n, nil
}
