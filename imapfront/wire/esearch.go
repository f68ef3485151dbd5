package wire

import "github.com/quorumail/quorumail/proto/imapnum"

// ESearchResult is what an ESEARCH response tells (RFC 9051, 7.3.4; RFC 4731,
// 3.1; RFC 5267, 3; RFC 7377, 2.1; RFC 9394, 3.1). What Return names is told, but
// for MIN, MAX and ALL if nothing was found. The numbers are message sequence
// numbers, or UIDs; the ranges are in the order of the result, which for SEARCH
// ascends, and each of them ascends (RFC 5267, 3.2).
type ESearchResult struct {
	// Tag of the command; UID: the numbers are UIDs.
	Tag string
	UID bool
	// Mailbox is named, with its UIDVALIDITY, if UIDValidity is not 0.
	Mailbox     string
	UIDValidity uint32
	// Return says which of the results are told.
	Return SearchReturn
	// Found is all messages found. It may be nil if MIN, MAX, ALL and COUNT are not
	// told.
	Found []imapnum.Range
	// Partial is what of them is in the range of Return.Partial.
	Partial []imapnum.Range
	// ModSeq is the highest of those that are told of (RFC 7162, 3.1.10); 0: not told.
	ModSeq uint64
}

// ESearch prints an ESEARCH response.
func (w *Writer) ESearch(e ESearchResult) {
	w.beginESearch(e.Tag, e.UID, e.Mailbox, e.UIDValidity)
	if n := len(e.Found); n > 0 {
		if e.Return.Min {
			w.Raw(" MIN ", uint32(e.Found[0].First))
		}
		if e.Return.Max {
			w.Raw(" MAX ", uint32(e.Found[n-1].Last))
		}
		if e.Return.All {
			w.Raw(" ALL ").Ranges(e.Found)
		}
	}
	if e.Return.Partial.First != 0 {
		w.Raw(" PARTIAL (").partialRange(e.Return.Partial).Raw(" ")
		if len(e.Partial) > 0 {
			w.Ranges(e.Partial)
		} else {
			w.Raw("NIL")
		}
		w.Raw(")")
	}
	if e.Return.Count {
		w.Raw(" COUNT ", lenOf(e.Found))
	}
	if e.ModSeq != 0 {
		w.Raw(" MODSEQ ", e.ModSeq)
	}
	w.CRLF()
}

// beginESearch prints an ESEARCH response up to its data, with the correlators.
func (w *Writer) beginESearch(tag string, uid bool, mailbox string, uidValidity uint32) {
	w.Raw("* ESEARCH (TAG ").String(tag)
	if uidValidity != 0 {
		w.Raw(" MAILBOX ").Mailbox(mailbox).Raw(" UIDVALIDITY ", uidValidity)
	}
	w.Raw(")")
	if uid {
		w.Raw(" UID")
	}
}

func lenOf(ranges []imapnum.Range) uint64 {
	n := uint64(0)
	for _, r := range ranges {
		n += r.Len()
	}
	return n
}

// ESearchUpdate is what an ESEARCH response tells of a search whose result has
// changed (RFC 5267, 4.3.2). The correlators are those of its result.
type ESearchUpdate struct {
	Tag         string
	UID         bool
	Mailbox     string
	UIDValidity uint32
	// Removed leave the result, Added come into it, each in mailbox order.
	Removed, Added imapnum.Set
}

// ESearchUpdate prints an update; nothing if nothing has changed.
func (w *Writer) ESearchUpdate(e ESearchUpdate) {
	if e.Removed.Empty() && e.Added.Empty() {
		return
	}
	w.beginESearch(e.Tag, e.UID, e.Mailbox, e.UIDValidity)
	if !e.Removed.Empty() {
		w.Raw(" REMOVEFROM (0 ").Set(e.Removed).Raw(")")
	}
	if !e.Added.Empty() {
		w.Raw(" ADDTO (0 ").Set(e.Added).Raw(")")
	}
	w.CRLF()
}
