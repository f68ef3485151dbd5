package keys

import (
	"encoding/binary"

	"github.com/quorumail/quorumail/proto/imapnum"
)

// The octets that follow the mailbox in a Metadata key.
const (
	metadataPrivate = 'p' // actor's length(1) actor name
	metadataShared  = 's' // name
)

// MetadataScope says whose annotations of a mailbox are meant: those of one
// actor, or those that all share.
type MetadataScope struct {
	Mailbox imapnum.MailboxID // 0: the account itself
	Shared  bool
	Actor   string // of private ones; empty: the account's owner
}

// Metadata returns the key of an annotation: name is what follows "/private" or
// "/shared" in it. All of a mailbox are one range, and so are all of a scope. An
// actor's name has at most 255 octets.
func (s Space) Metadata(scope MetadataScope, name string) []byte {
	key := binary.BigEndian.AppendUint64(s.Key(Metadata), uint64(scope.Mailbox))
	if scope.Shared {
		key = append(key, metadataShared)
	} else {
		key = append(key, metadataPrivate, byte(len(scope.Actor)))
		key = append(key, scope.Actor...)
	}
	return append(key, name...)
}

// ParseMetadata takes the rest of a Metadata key apart.
func ParseMetadata(rest []byte) (scope MetadataScope, name string, err error) {
	if len(rest) < 9 {
		return scope, "", ErrMalformed
	}
	scope.Mailbox = imapnum.MailboxID(binary.BigEndian.Uint64(rest))
	kind, rest := rest[8], rest[9:]
	switch {
	case kind == metadataShared:
		scope.Shared = true
	case kind != metadataPrivate || len(rest) == 0 || len(rest) < 1+int(rest[0]):
		return scope, "", ErrMalformed
	default:
		n := 1 + int(rest[0])
		scope.Actor, rest = string(rest[1:n]), rest[n:]
	}
	return scope, string(rest), nil
}
