package session

import (
	"io"

	"github.com/quorumail/quorumail/imapfront/section"
	"github.com/quorumail/quorumail/imapfront/wire"
)

// maxDecoded bounds what BINARY holds in memory of one part: a decoded part is
// announced with its size before its octets, so it is decoded twice; small ones
// are kept instead.
const maxDecoded = 1 << 20

// refusedBinary is why BINARY of a part is refused. It fails the command, whose
// other items are told all the same.
type refusedBinary struct{ code, text string }

func (r *refusedBinary) answer(c *Conn) error { return c.no(r.code, r.text) }

// refusal returns why an item cannot be told of the current message; nil if it
// can.
func (f *fetcher) refusal(item wire.FetchItem) *refusedBinary {
	if item.Name != "BINARY" && item.Name != "BINARY.SIZE" {
		return nil
	}
	b, ok := section.FindBinary(f.msg.GetEmail(), item.Section.Part)
	switch {
	case !ok:
		return nil // NIL
	case !b.Leaf && len(item.Section.Part) > 0 && f.c.rev2:
		return &refusedBinary{"CANNOT", "only parts without parts can be decoded"} // RFC 9051, 6.4.5
	case !b.Decodable():
		return &refusedBinary{"UNKNOWN-CTE", "a transfer encoding is not known"} // RFC 3516, 4.3
	}
	return nil
}

// tellable reports whether anything that was asked for can be told of the current
// message, and notes if not all can.
func (f *fetcher) tellable() bool {
	left := len(f.p.cmd.Items)
	for _, item := range f.p.cmd.Items {
		if r := f.refusal(item); r != nil {
			left--
			if f.refused == nil || f.refused.code != "UNKNOWN-CTE" {
				f.refused = r
			}
		}
	}
	return left > 0
}

// binary prints BINARY[…] and BINARY.SIZE[…] (RFC 3516; RFC 9051, 6.4.5), unless
// it is refused. What has a NUL, and only that, is a literal8 (RFC 3516, 4.3).
func (f *fetcher) binary(item wire.FetchItem) error {
	if f.refusal(item) != nil {
		return nil
	}
	s, w := item.Section, f.c.w
	b, ok := section.FindBinary(f.msg.GetEmail(), s.Part)
	if item.Name == "BINARY.SIZE" {
		m := section.NewMeter(nil, 0)
		if ok {
			if err := f.decode(b, m); err != nil {
				return err
			}
		}
		f.sep()
		w.SectionLabel(&wire.Section{Label: "BINARY.SIZE"}).Raw("[", partName(s.Part), "] ", m.Size())
		return w.Err()
	}
	if !ok {
		f.sep()
		w.SectionLabel(s).Raw(" NIL")
		return w.Err()
	}
	m := section.NewMeter(s.Partial, maxDecoded)
	if err := f.decode(b, m); err != nil {
		return err
	}
	f.sep()
	lit := w.SectionLabel(s).Raw(" ").BeginLiteral(m.Taken(), m.HasNUL())
	if octets, ok := m.Kept(); ok {
		_, _ = lit.Write(octets) // Close returns its error
		return lit.Close()
	}
	if err := f.decode(b, section.NewWindow(lit, s.Partial)); err != nil {
		return err
	}
	return lit.Close()
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

// decode writes the decoded content of a part to w.
func (f *fetcher) decode(b section.Binary, w io.Writer) error {
	pr, pw := io.Pipe()
	read := make(chan struct{})
	go func() {
		defer close(read)
		_ = pw.CloseWithError(f.read(b.Range, pw)) // never fails
	}()
	decoded, err := b.Decode(pr)
	if err == nil {
		_, err = io.Copy(w, decoded)
	}
	_ = pr.Close() // ends the read, if it is still going on
	<-read
	return err
}
