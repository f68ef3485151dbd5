package wire

import (
	"github.com/quorumail/quorumail/proto/imapnum"
)

// ListEntry is what a LIST response tells of a name (RFC 9051, 7.3.1).
type ListEntry struct {
	// Name is "" for the answer to an empty pattern.
	Name string
	// Attrs, such as `\HasChildren`.
	Attrs []string
	// ChildInfo is the selection options that names below have met (RFC 5258,
	// 3.5), in upper case; nil: not told.
	ChildInfo []string
	// OldName is what the name was before RENAME (RFC 9051, 6.3.9.7); "": not told.
	OldName string
}

// List prints a LIST response. The hierarchy separator is "/".
func (w *Writer) List(e ListEntry) {
	w.Raw("* LIST ").Flags(e.Attrs).Raw(` "/" `).Mailbox(e.Name)
	if e.ChildInfo != nil || e.OldName != "" {
		w.Raw(" (")
		if e.ChildInfo != nil {
			w.Raw(`"CHILDINFO" (`)
			for i, option := range e.ChildInfo {
				if i > 0 {
					w.Raw(" ")
				}
				w.String(option) // always quoted (RFC 5258, 6)
			}
			w.Raw(")")
		}
		if e.OldName != "" {
			if e.ChildInfo != nil {
				w.Raw(" ")
			}
			w.Raw(`"OLDNAME" (`).Mailbox(e.OldName).Raw(")")
		}
		w.Raw(")")
	}
	w.CRLF()
}

// Set prints a set of UIDs or of sequence numbers, which must not be empty. It
// is not held in memory as a whole.
func (w *Writer) Set(s imapnum.Set) *Writer { return w.Ranges(s.Ranges()) }

// Ranges prints ranges as a sequence-set, in their order. There must be one.
func (w *Writer) Ranges(ranges []imapnum.Range) *Writer {
	for i, r := range ranges {
		if i > 0 {
			w.Raw(",")
		}
		w.Raw(uint32(r.First))
		if r.Last != r.First {
			w.Raw(":", uint32(r.Last))
		}
	}
	return w
}

// Search prints a SEARCH response (RFC 3501, 7.2.5); modSeq is the highest of
// the messages found, 0: not told (RFC 7162, 3.1.6).
func (w *Writer) Search(nums imapnum.Set, modSeq uint64) {
	w.Raw("* SEARCH")
	for n := range nums.All() {
		if w.out.err != nil {
			return // a set can be as large as the number space
		}
		w.Raw(" ", uint32(n))
	}
	if modSeq != 0 && !nums.Empty() {
		w.Raw(" (MODSEQ ", modSeq, ")")
	}
	w.CRLF()
}
