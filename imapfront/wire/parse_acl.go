package wire

import (
	"strings"

	"github.com/quorumail/quorumail/proto/imapnum"
)

// SetACL is RFC 4314, 3.1. The identifier is as the client spells it, and not
// checked.
type SetACL struct {
	Mailbox, Identifier string
	// Op is '+' or '-' to add the rights or to take them away, 0 to replace those
	// that the identifier has.
	Op     byte
	Rights imapnum.Rights
}

// DeleteACL is RFC 4314, 3.2.
type DeleteACL struct{ Mailbox, Identifier string }

// GetACL is RFC 4314, 3.3.
type GetACL struct{ Mailbox string }

// ListRights is RFC 4314, 3.4.
type ListRights struct{ Mailbox, Identifier string }

// MyRights is RFC 4314, 3.5.
type MyRights struct{ Mailbox string }

func (SetACL) command()     {}
func (DeleteACL) command()  {}
func (GetACL) command()     {}
func (ListRights) command() {}
func (MyRights) command()   {}

// acl parses the commands of RFC 4314; nil if name is none of them.
func (p *parser) acl(name string) Command {
	switch name {
	case "GETACL":
		return GetACL{Mailbox: p.mailbox()}
	case "MYRIGHTS":
		return MyRights{Mailbox: p.mailbox()}
	case "SETACL", "DELETEACL", "LISTRIGHTS":
	default:
		return nil
	}
	mailbox := p.mailbox()
	p.sp()
	id := p.astring()
	switch name {
	case "DELETEACL":
		return DeleteACL{mailbox, id}
	case "LISTRIGHTS":
		return ListRights{mailbox, id}
	}
	p.sp()
	s := SetACL{Mailbox: mailbox, Identifier: id}
	s.Op, s.Rights = p.modRights()
	return s
}

// modRights reads a change of rights. One that is not known is BAD, and must not
// be passed over (RFC 4314, 3.1).
func (p *parser) modRights() (op byte, rights imapnum.Rights) {
	letters := p.astring()
	if letters != "" && strings.IndexByte("+-", letters[0]) >= 0 {
		op, letters = letters[0], letters[1:]
	}
	rights, err := imapnum.ParseRights(letters)
	if err != nil {
		p.fail("there is no such right")
	}
	return op, rights
}
