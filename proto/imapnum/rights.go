package imapnum

import (
	"errors"
	"strings"
)

// Rights is a set of the rights of RFC 4314, as bits. The values are stored on
// disk and never change.
type Rights uint32

// The standard rights (RFC 4314, 2.1).
const (
	RightLookup  Rights = 1 << iota // l: the mailbox is listed
	RightRead                       // r: select, STATUS
	RightSeen                       // s: change \Seen
	RightWrite                      // w: change other flags and keywords
	RightInsert                     // i: APPEND and COPY into it
	RightPost                       // p: send mail to it; means nothing here
	RightCreate                     // k: create mailboxes below it
	RightDelete                     // x: delete or rename it
	RightDeleted                    // t: change \Deleted
	RightExpunge                    // e: expunge
	RightAdmin                      // a: read and change its access control list

	// AllRights is what an owner has.
	AllRights = 1<<iota - 1
)

// rightLetters are the letters of the bits, in order.
const rightLetters = "lrswipkxtea"

// The rights that RFC 2086 had instead of k, x, t and e (RFC 4314, 2.1.1): of
// the two ways to take them apart, the one in which "c" is who may create and
// delete mailboxes.
const (
	oldCreate = RightCreate | RightDelete   // c
	oldDelete = RightDeleted | RightExpunge // d
)

// AnyoneID is the identifier of everybody (RFC 4314, 2).
const AnyoneID = "anyone"

// ErrRights says that a text has letters that are no rights.
var ErrRights = errors.New("no such right")

// ParseRights returns the rights of a list of letters, "c" and "d" among them.
func ParseRights(s string) (Rights, error) {
	var r Rights
	for i := 0; i < len(s); i++ {
		switch at := strings.IndexByte(rightLetters, s[i]); {
		case at >= 0:
			r |= 1 << at
		case s[i] == 'c':
			r |= oldCreate
		case s[i] == 'd':
			r |= oldDelete
		default:
			return 0, ErrRights
		}
	}
	return r, nil
}

// Has reports whether all rights of want are in r.
func (r Rights) Has(want Rights) bool { return r&want == want }

// String returns the letters of the rights.
func (r Rights) String() string {
	var sb strings.Builder
	for i := range len(rightLetters) {
		if r&(1<<i) != 0 {
			sb.WriteByte(rightLetters[i])
		}
	}
	return sb.String()
}

// Told returns the letters as a client is told them: with "c" and "d" behind, for
// those that know RFC 2086 only, if there are any rights that these stand for
// (RFC 4314, 2.1.1).
func (r Rights) Told() string {
	s := r.String()
	if r&oldCreate != 0 {
		s += "c"
	}
	if r&oldDelete != 0 {
		s += "d"
	}
	return s
}

// MayAnnotate reports whether the rights are enough to set and read annotations of
// a mailbox (RFC 5464, 3.3).
func (r Rights) MayAnnotate() bool {
	const some = RightRead | RightSeen | RightWrite | RightInsert | RightPost
	return r.Has(RightLookup) && r&some != 0
}

// Valid reports whether r has only bits that mean something.
func (r Rights) Valid() bool { return r&^AllRights == 0 }

// ValidIdentifier reports whether a text is an identifier as it is stored: an
// account's normalised name or "anyone", with "-" before it if the rights are
// taken away.
func ValidIdentifier(id string) bool {
	name := strings.TrimPrefix(id, "-")
	canon, err := AccountName(name)
	return err == nil && canon == name
}
