package imapnum

import "strings"

// SystemFlags is a set of IMAP's system flags (RFC 9051, 2.3.2), as bits. The
// values are stored on disk and never change.
type SystemFlags uint32

// The system flags that can be stored. \Recent is not among them: no session
// can tell reliably that it is the first to see a message, and IMAP4rev2 has
// dropped it.
const (
	FlagSeen SystemFlags = 1 << iota
	FlagAnswered
	FlagFlagged
	FlagDeleted
	FlagDraft

	allSystemFlags = FlagSeen | FlagAnswered | FlagFlagged | FlagDeleted | FlagDraft
)

var systemFlagNames = [...]string{`\Seen`, `\Answered`, `\Flagged`, `\Deleted`, `\Draft`}

// MaxKeywords is how many keywords a mailbox can have.
const MaxKeywords = 1000

// ParseSystemFlag returns the flag of an IMAP name such as `\Seen`, without
// regard to case, and false if there is none.
func ParseSystemFlag(name string) (SystemFlags, bool) {
	for i, n := range systemFlagNames {
		if strings.EqualFold(n, name) {
			return 1 << i, true
		}
	}
	return 0, false
}

// Names returns the IMAP names of the flags in f, in a fixed order. Bits that
// mean nothing are passed over.
func (f SystemFlags) Names() []string {
	var names []string
	for i, n := range systemFlagNames {
		if f&(1<<i) != 0 {
			names = append(names, n)
		}
	}
	return names
}

// Valid reports whether f has only bits that mean something.
func (f SystemFlags) Valid() bool { return f&^allSystemFlags == 0 }
