package raftfsm

import (
	"strings"

	"github.com/quorumail/quorumail/proto/imapnum"
)

// Inbox is the name of the mailbox that every account has.
const Inbox = "INBOX"

// Separator is the hierarchy separator of mailbox names.
const Separator = "/"

// Bounds of what a client can make an account hold. They are far above what
// people use, and keep records and listings of a size that one response can
// carry.
const (
	maxMailboxes      = 10_000
	maxSubscriptions  = 10_000
	maxKeywords       = imapnum.MaxKeywords
	maxKeyword        = 255  // octets
	maxAppendMessages = 1000 // in one entry
	maxACL            = 200  // identifiers in a mailbox's access control list
	maxSharedBy       = 1000 // accounts noted to share mailboxes with one

	maxMetadataSet    = 1000    // annotations in one entry
	maxMetadataScope  = 100     // of one mailbox: shared, and private ones of each actor
	maxMetadata       = 10_000  // of an account with all its mailboxes
	maxMetadataOctets = 8 << 20 // of all their names and values
)

// specialUses are the attributes that a mailbox may be given (RFC 6154, 2; RFC
// 8457): not \All and \Flagged, which say that a mailbox presents messages of
// others.
var specialUses = [...]string{`\Archive`, `\Drafts`, `\Junk`, `\Sent`, `\Trash`, `\Important`}

// canonUse returns the one spelling of a special-use attribute.
func canonUse(use string) (string, bool) {
	for _, u := range specialUses {
		if strings.EqualFold(u, use) {
			return u, true
		}
	}
	return "", use == ""
}

// validKeyword reports whether a text is a flag-keyword (RFC 9051, 9): an atom.
func validKeyword(k string) bool {
	if k == "" || len(k) > maxKeyword {
		return false
	}
	for i := 0; i < len(k); i++ {
		if c := k[i]; c <= ' ' || c >= 0x7f || strings.IndexByte(`(){%*"\]`, c) >= 0 {
			return false
		}
	}
	return true
}
