package imapnum

import (
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"
)

// Bounds of a mailbox's name, far above what people use.
const (
	MaxMailboxName  = 1000 // octets
	MaxMailboxDepth = 50   // levels of the hierarchy
)

const inbox = "INBOX"

// MailboxName returns the one form of a mailbox name: NFC, INBOX in upper case as
// the whole name or its first component. It reports false for what cannot be a
// name: empty components, controls, invalid UTF-8, too long or too deep.
func MailboxName(name string) (string, bool) {
	if !utf8.ValidString(name) || len(name) > MaxMailboxName {
		return "", false
	}
	name = norm.NFC.String(name)
	if name == "" || len(name) > MaxMailboxName {
		return "", false
	}
	parts := strings.Split(name, "/")
	if len(parts) > MaxMailboxDepth {
		return "", false
	}
	for _, p := range parts {
		if p == "" {
			return "", false
		}
	}
	for _, r := range name {
		if unicode.IsControl(r) || r == utf8.RuneError || r == '\u2028' || r == '\u2029' {
			return "", false
		}
	}
	if strings.EqualFold(parts[0], inbox) {
		name = inbox + name[len(parts[0]):]
	}
	return name, true
}
