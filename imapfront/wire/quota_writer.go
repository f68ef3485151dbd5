package wire

// Quota is a resource of a quota root, as the QUOTA response tells it.
type Quota struct {
	Resource     string
	Usage, Limit uint64
}

// Quota prints a QUOTA response (RFC 9208, 4.2.1). A root without limits has an
// empty list, as the section's text has it; its grammar knows of none.
func (w *Writer) Quota(root string, list []Quota) {
	w.Raw("* QUOTA ").Astring(root).Raw(" (")
	for i, q := range list {
		if i > 0 {
			w.Raw(" ")
		}
		w.Raw(q.Resource, " ", q.Usage, " ", q.Limit)
	}
	w.Raw(")").CRLF()
}

// QuotaRoot prints a QUOTAROOT response (RFC 9208, 4.2.2).
func (w *Writer) QuotaRoot(mailbox string, roots ...string) {
	w.Raw("* QUOTAROOT ").Mailbox(mailbox)
	for _, root := range roots {
		w.Raw(" ").Astring(root)
	}
	w.CRLF()
}
