package session

import (
	"strconv"
	"strings"
)

// Object identifiers (RFC 8474) are numbers of the account with a letter before
// them for what they name: so none is ever the same as one of another sort, and
// none is digits alone (8.1).
const (
	mailboxPrefix = "M"
	emailPrefix   = "E"
	threadPrefix  = "T"
)

// objectID prints an identifier of an account's.
func objectID(prefix string, id uint64) string { return prefix + uitoa(id) }

// parseObjectID is the reverse of objectID. Identifiers match by their octets:
// what is not spelled as objectID spells it is another one.
func parseObjectID(prefix, s string) (uint64, bool) {
	digits, ok := strings.CutPrefix(s, prefix)
	id, err := strconv.ParseUint(digits, 10, 64)
	return id, ok && err == nil && id != 0 && objectID(prefix, id) == s
}

func mailboxID(id uint64) string { return objectID(mailboxPrefix, id) }

// threadID prints THREADID; NIL of a message of before there were threads (RFC
// 8474, 5.2).
func (f *fetcher) threadID(id uint64) {
	if id == 0 {
		f.name("THREADID").Raw("NIL")
		return
	}
	f.name("THREADID").Raw("(", objectID(threadPrefix, id), ")")
}
