// Package imapnum holds the numbers and names of IMAP that every part of
// Quorumail shares: UIDs, message sequence numbers, mod-sequences, sets of
// UIDs, system flags, account names and their slots.
//
// It is a leaf: pure data, no I/O, nothing imported from the project. The
// numbers are distinct types so that a UID cannot be passed where a message
// sequence number is meant.
package imapnum

// UID is a message's unique identifier in a mailbox (RFC 9051, 2.3.1.1). It is
// never 0 for a message.
type UID uint32

// SeqNum is a message sequence number: a message's rank in a session's view of
// a mailbox, from 1 (RFC 9051, 2.3.1.2).
type SeqNum uint32

// UIDValidity is the unique identifier validity value of a mailbox (RFC 9051,
// 2.3.1.1). It is never 0 for a mailbox.
type UIDValidity uint32

// ModSeq is a mod-sequence (RFC 7162, 3.1). 0 is before every change. It stays
// below MaxModSeq.
type ModSeq uint64

// MaxModSeq bounds mod-sequences to what clients that hold numbers as floating
// point can represent.
const MaxModSeq ModSeq = 1<<53 - 1

// MailboxID identifies a mailbox within its account for as long as it exists,
// whatever its name. It is never 0 for a mailbox.
type MailboxID uint64
