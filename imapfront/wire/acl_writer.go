package wire

import "github.com/quorumail/quorumail/proto/imapnum"

// ACLEntry is what an identifier has been granted, or has had taken away.
type ACLEntry struct {
	Identifier string
	Rights     imapnum.Rights
}

// ACL prints an ACL response (RFC 4314, 3.6).
func (w *Writer) ACL(mailbox string, entries []ACLEntry) {
	w.Raw("* ACL ").Mailbox(mailbox)
	for _, e := range entries {
		w.Raw(" ").Astring(e.Identifier).Raw(" ").rights(e.Rights.Told())
	}
	w.CRLF()
}

// MyRights prints a MYRIGHTS response (RFC 4314, 3.8).
func (w *Writer) MyRights(mailbox string, r imapnum.Rights) {
	w.Raw("* MYRIGHTS ").Mailbox(mailbox).Raw(" ").rights(r.Told()).CRLF()
}

// ListRights prints a LISTRIGHTS response (RFC 4314, 3.7): the rights that an
// identifier always has, and those that it can be granted, each by itself. "c" and
// "d" are among them (2.1.1).
func (w *Writer) ListRights(mailbox, identifier string, required imapnum.Rights, optional bool) {
	w.Raw("* LISTRIGHTS ").Mailbox(mailbox).Raw(" ").Astring(identifier).Raw(" ").rights(required.Told())
	if optional {
		for _, r := range imapnum.Rights(imapnum.AllRights &^ required).Told() {
			w.Raw(" ", string(r))
		}
	}
	w.CRLF()
}

// rights prints letters, which can be none.
func (w *Writer) rights(letters string) *Writer {
	if letters == "" {
		letters = `""`
	}
	return w.Raw(letters)
}
