package wire

import (
	"bytes"
	"io"
	"time"

	"github.com/quorumail/quorumail/proto/imapnum"
	pb "github.com/quorumail/quorumail/proto/quorumail/v1"
)

// FetchWriter prints one FETCH response item by item (RFC 9051, 7.5.2). Nothing
// else may be printed before End. A response without items, which the grammar
// does not have, is not printed at all.
type FetchWriter struct {
	w    *Writer
	head string
	num  uint32
	open bool // the first item has been printed
}

// Fetch begins the FETCH response of a message by its sequence number.
func (w *Writer) Fetch(seq imapnum.SeqNum) *FetchWriter {
	return &FetchWriter{w: w, head: " FETCH (", num: uint32(seq)}
}

// UIDFetch begins a UIDFETCH response, for clients that know no sequence numbers
// (RFC 9586, 3.3).
func (w *Writer) UIDFetch(uid imapnum.UID) *FetchWriter {
	return &FetchWriter{w: w, head: " UIDFETCH (", num: uint32(uid)}
}

// Item begins an item that has no method of its own; its value is then printed to
// the Writer that is returned.
func (f *FetchWriter) Item(name string) *Writer {
	f.next()
	return f.w.Raw(name, " ")
}

func (f *FetchWriter) next() {
	if f.open {
		f.w.Raw(" ")
		return
	}
	f.open = true
	f.w.Raw("* ", f.num, f.head)
}

// End ends the response and returns the connection's first error.
func (f *FetchWriter) End() error {
	if f.open {
		f.w.Raw(")").CRLF()
	}
	return f.w.out.err
}

// Flags prints FLAGS.
func (f *FetchWriter) Flags(flags []string) { f.Item("FLAGS").Flags(flags) }

// UID prints UID.
func (f *FetchWriter) UID(uid imapnum.UID) { f.Item("UID").Raw(uint32(uid)) }

// ModSeq prints MODSEQ (RFC 7162, 3.1.4.2).
func (f *FetchWriter) ModSeq(n imapnum.ModSeq) { f.Item("MODSEQ").Raw("(", uint64(n), ")") }

// InternalDate prints INTERNALDATE in the zone of t.
func (f *FetchWriter) InternalDate(t time.Time) { f.Item("INTERNALDATE").DateTime(t) }

// SaveDate prints SAVEDATE (RFC 8514, 4.2); of the zero time it is NIL.
func (f *FetchWriter) SaveDate(t time.Time) {
	if t.IsZero() {
		f.Item("SAVEDATE").Raw("NIL")
		return
	}
	f.Item("SAVEDATE").DateTime(t)
}

// Size prints RFC822.SIZE.
func (f *FetchWriter) Size(octets uint64) { f.Item("RFC822.SIZE").Raw(octets) }

// Envelope prints ENVELOPE.
func (f *FetchWriter) Envelope(e *pb.Envelope) { f.Item("ENVELOPE").Envelope(e) }

// Body prints BODY, which is BODYSTRUCTURE without extension data.
func (f *FetchWriter) Body(p *pb.BodyPart) { f.Item("BODY").BodyStructure(p, false) }

// BodyStructure prints BODYSTRUCTURE.
func (f *FetchWriter) BodyStructure(p *pb.BodyPart) { f.Item("BODYSTRUCTURE").BodyStructure(p, true) }

// EmailID prints EMAILID (RFC 8474, 5.1).
func (f *FetchWriter) EmailID(id string) { f.Item("EMAILID").objectID(id) }

// ThreadID prints THREADID (RFC 8474, 5.2); of "" it is NIL.
func (f *FetchWriter) ThreadID(id string) {
	if id == "" {
		f.Item("THREADID").Raw("NIL")
		return
	}
	f.Item("THREADID").objectID(id)
}

// Preview prints PREVIEW (RFC 8970, 3.2).
func (f *FetchWriter) Preview(text string) { f.Item("PREVIEW").String(text) }

// NoSection prints that a message has no such section: NIL.
func (f *FetchWriter) NoSection(s *Section) {
	f.next()
	f.w.SectionLabel(s).Raw(" NIL")
}

// Section prints a section whose size octets are read from r. Fewer break the
// connection off.
func (f *FetchWriter) Section(s *Section, size uint64, r io.Reader) {
	f.next()
	f.w.SectionLabel(s).Raw(" ").Literal(size, r, false)
}

// SectionBytes prints a section that is at hand.
func (f *FetchWriter) SectionBytes(s *Section, b []byte) {
	f.Section(s, uint64(len(b)), bytes.NewReader(b))
}

// SectionWriter begins a section whose octets are written as they come.
func (f *FetchWriter) SectionWriter(s *Section, size uint64) *LiteralWriter {
	f.next()
	return f.w.SectionLabel(s).Raw(" ").BeginLiteral(size, false)
}

// Binary prints BINARY (RFC 9051, 7.5.2): as a literal8 only if the octets have
// a NUL, so that the client knows (RFC 3516, 4.3).
func (f *FetchWriter) Binary(s *Section, size uint64, hasNUL bool, r io.Reader) {
	f.next()
	f.w.SectionLabel(s).Raw(" ").Literal(size, r, hasNUL)
}

// BinarySize prints BINARY.SIZE of a part.
func (f *FetchWriter) BinarySize(part []uint32, size uint64) {
	f.next()
	f.w.Raw("BINARY.SIZE[").partNumbers(part).Raw("] ", size)
}
