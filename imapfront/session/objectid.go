package session

import (
	"crypto/sha256"
	"encoding/hex"
	"strconv"
	"strings"
)

// Object identifiers (RFC 8474) are numbers of an account with a letter before
// them for what they name: so none is ever the same as one of another sort, and
// none is digits alone (8.1). What is in another account than the connection's
// has that account's hash between: accounts count for themselves, and a client
// must not take one's message for another's.
const (
	mailboxPrefix = "M"
	emailPrefix   = "E"
	threadPrefix  = "T"
)

// objectID prints an identifier of a store's account.
func (c *Conn) objectID(in Store, prefix string, id uint64) string {
	return c.objectPrefix(in, prefix) + uitoa(id)
}

func (c *Conn) objectPrefix(in Store, prefix string) string {
	if in.Account() == c.store.Account() {
		return prefix
	}
	sum := sha256.Sum256([]byte(in.Account()))
	return prefix + hex.EncodeToString(sum[:8]) + "-"
}

// parseObjectID is the reverse of objectID. Identifiers match by their octets:
// what is not spelled as objectID spells it is another one.
func (c *Conn) parseObjectID(in Store, prefix, s string) (uint64, bool) {
	digits, ok := strings.CutPrefix(s, c.objectPrefix(in, prefix))
	id, err := strconv.ParseUint(digits, 10, 64)
	return id, ok && err == nil && id != 0 && c.objectID(in, prefix, id) == s
}

// threadID prints THREADID; NIL of a message of before there were threads (RFC
// 8474, 5.2).
func (f *fetcher) threadID(id uint64) {
	if id == 0 {
		f.name("THREADID").Raw("NIL")
		return
	}
	f.name("THREADID").Raw("(", f.c.objectID(f.c.box.store, threadPrefix, id), ")")
}
