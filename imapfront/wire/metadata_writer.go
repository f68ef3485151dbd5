package wire

import "bytes"

// Metadata prints a METADATA response with values (RFC 5464, 4.4.1); of no
// entries, which the grammar does not have, nothing. An empty mailbox means the
// server.
func (w *Writer) Metadata(mailbox string, entries []MetadataEntry) {
	if len(entries) == 0 {
		return
	}
	w.Raw("* METADATA ").Mailbox(mailbox).Raw(" (")
	for i, e := range entries {
		if i > 0 {
			w.Raw(" ")
		}
		w.Astring(e.Name).Raw(" ")
		if bytes.IndexByte(e.Value, 0) >= 0 {
			w.Literal(uint64(len(e.Value)), bytes.NewReader(e.Value), true)
		} else {
			w.NString(e.Value)
		}
	}
	w.Raw(")").CRLF()
}

// MetadataChanged prints a METADATA response without values: that entries have
// changed (RFC 5464, 4.4.2).
func (w *Writer) MetadataChanged(mailbox string, names []string) {
	if len(names) == 0 {
		return
	}
	w.Raw("* METADATA ").Mailbox(mailbox)
	for _, name := range names {
		w.Raw(" ").Astring(name)
	}
	w.CRLF()
}
