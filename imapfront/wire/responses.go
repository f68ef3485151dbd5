package wire

import (
	"github.com/quorumail/quorumail/proto/imapnum"
)

// Capability prints an untagged CAPABILITY (RFC 9051, 7.2.2).
func (w *Writer) Capability(names ...string) { w.words("* CAPABILITY", names) }

// Enabled prints an untagged ENABLED (RFC 5161, 3.2), also of no name.
func (w *Writer) Enabled(names ...string) { w.words("* ENABLED", names) }

func (w *Writer) words(head string, words []string) {
	w.Raw(head)
	for _, s := range words {
		if isAtom(s) {
			w.Raw(" ", s)
		}
	}
	w.CRLF()
}

// FlagList prints an untagged FLAGS (RFC 9051, 7.3.5).
func (w *Writer) FlagList(flags []string) { w.Raw("* FLAGS ").Flags(flags).CRLF() }

// PermanentFlags prints the PERMANENTFLAGS code (RFC 9051, 7.1); `\*` says that
// keywords can be made.
func (w *Writer) PermanentFlags(flags []string) {
	w.Raw("* OK [PERMANENTFLAGS ").Flags(flags).Raw("] flags that can be changed").CRLF()
}

// ListEntry is what a LIST or LSUB response tells of a name (RFC 9051, 7.3.1).
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
func (w *Writer) List(e ListEntry) { w.list("LIST", e) }

// Lsub prints an LSUB response (RFC 3501, 7.2.3), which has no extended data.
func (w *Writer) Lsub(e ListEntry) {
	w.list("LSUB", ListEntry{Name: e.Name, Attrs: e.Attrs})
}

func (w *Writer) list(word string, e ListEntry) {
	w.Raw("* ", word, " ").Flags(e.Attrs).Raw(` "/" `).Mailbox(e.Name)
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

// StatusValue is an item of a STATUS response. Of MAILBOXID the value is ID, of
// all others Number.
type StatusValue struct {
	Item   StatusItem
	Number uint64
	ID     string // an objectid (RFC 8474, 7)
}

// MailboxStatus prints a STATUS response (RFC 9051, 7.3.3).
func (w *Writer) MailboxStatus(mailbox string, values []StatusValue) {
	w.Raw("* STATUS ").Mailbox(mailbox).Raw(" (")
	for i, v := range values {
		if i > 0 {
			w.Raw(" ")
		}
		w.Raw(string(v.Item), " ")
		if v.Item == "MAILBOXID" {
			w.objectID(v.ID)
		} else {
			w.Raw(v.Number)
		}
	}
	w.Raw(")").CRLF()
}

// objectID prints an identifier of RFC 8474: up to 255 letters, digits, "_" and
// "-".
func (w *Writer) objectID(id string) *Writer { return w.Raw("(", printable(id), ")") }

// Exists prints how many messages the mailbox has (RFC 9051, 7.4.1).
func (w *Writer) Exists(n uint32) { w.Untagged(n, " EXISTS") }

// Expunge prints that the message of a sequence number is gone (RFC 9051, 7.5.1).
func (w *Writer) Expunge(seq imapnum.SeqNum) { w.Untagged(uint32(seq), " EXPUNGE") }

// Vanished prints which UIDs are gone (RFC 7162, 3.2.10); earlier marks those
// that were before the client asked. An empty set is not printed.
func (w *Writer) Vanished(uids imapnum.Set, earlier bool) {
	if uids.Empty() {
		return
	}
	w.Raw("* VANISHED ")
	if earlier {
		w.Raw("(EARLIER) ")
	}
	w.Set(uids).CRLF()
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

// ID prints an ID response (RFC 2971, 3.2) of pairs of names and values; of none
// it is NIL. A name without a value is left out.
func (w *Writer) ID(pairs ...string) {
	w.Raw("* ID ")
	if len(pairs) < 2 {
		w.Raw("NIL").CRLF()
		return
	}
	for i := 0; i+1 < len(pairs); i += 2 {
		if i == 0 {
			w.Raw("(")
		} else {
			w.Raw(" ")
		}
		w.String(pairs[i]).Raw(" ").String(pairs[i+1])
	}
	w.Raw(")").CRLF()
}

// Namespace prints that there is one personal namespace, without a prefix, and no
// other (RFC 9051, 7.3.2).
func (w *Writer) Namespace() { w.Untagged(`NAMESPACE (("" "/")) NIL NIL`) }
