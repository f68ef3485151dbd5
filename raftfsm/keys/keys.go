// Package keys is the layout of a shard's keyspace in Pebble: every key that
// the state machine writes is built and taken apart here.
//
// All keys of a shard begin with its number, so that a shard is one range; in
// it, all keys of an account begin with the account's slot and name, so that a
// slot is one range and an account is one within it:
//
//	shard(4) 0x01 …                              of the shard itself
//	shard(4) 0x02 slot(2) len(1) account kind(1) … of an account
//	shard(4) 0x03 slot(2) len(1) account mailbox(8) the replica's own: a summary
//
// What begins with 0x03 is made by each replica for itself out of the rest, and is
// in no digest and no export.
//
// Numbers are big-endian, so that keys sort as the numbers do. The layout is on
// disk: a golden test fails when it changes.
package keys

import (
	"encoding/binary"
	"errors"

	"github.com/quorumail/quorumail/proto/imapnum"
)

// ErrMalformed says that octets are not a key of the kind asked for.
var ErrMalformed = errors.New("malformed key")

// Kind is the kind of an account's key: the octet after the account's name.
type Kind byte

// The kinds. The values are on disk.
const (
	Account     Kind = 'a' // the modseq clock and other counters
	Body        Kind = 'b' // chunk: body id(16) offset(8)
	Credentials Kind = 'c'
	Delivery    Kind = 'd' // LMTP delivery: id(32)
	Email       Kind = 'e' // content record: email id(8)
	EmailRefs   Kind = 'f' // references to it: email id(8)
	Message     Kind = 'g' // message record: mailbox(8) uid(4)
	SharedBy    Kind = 'h' // who may share mailboxes with the account: owner's name
	Thread      Kind = 'i' // messages by Message-ID: hash(16) thread id(8) email id(8)
	ACL         Kind = 'l' // access control list: mailbox(8)
	Mailbox     Kind = 'm' // mailbox record: mailbox(8)
	Name        Kind = 'n' // mailbox id by name
	Metadata    Kind = 'o' // annotation: mailbox(8) then see Space.Metadata
	MetadataUse Kind = 'p' // how many annotations there are, and when one changed
	Expunge     Kind = 'q' // expunge queue: mailbox(8) modseq(8)
	Retained    Kind = 'r' // expunged message: mailbox(8) uid(4)
	Retention   Kind = 's' // order of expunges: time(8) mailbox(8) uid(4)
	Session     Kind = 't' // last result: session id(16)
	Upload      Kind = 'u' // staged body: body id(16)
	Subscribed  Kind = 'v' // by name
	Change      Kind = 'x' // change index: mailbox(8) modseq(8) uid(4)
)

const (
	spaceMeta    = 0x01
	spaceAccount = 0x02
	spaceOwn     = 0x03

	// BodyIDLen and SessionIDLen are the lengths of random ids.
	BodyIDLen    = 16
	SessionIDLen = 16
	// DeliveryIDLen is the length of a delivery's hash.
	DeliveryIDLen = 32
	// ThreadHashLen is the length of a Message-ID's hash.
	ThreadHashLen = 16
)

// Shard returns the range [start, end) of all keys of a shard.
func Shard(shard uint32) (start, end []byte) {
	start = binary.BigEndian.AppendUint32(nil, shard)
	if shard == 1<<32-1 {
		return start, []byte{0xff, 0xff, 0xff, 0xff, 0xff}
	}
	return start, binary.BigEndian.AppendUint32(nil, shard+1)
}

// Replicated returns the range of those keys of a shard that all its replicas have
// alike.
func Replicated(shard uint32) (start, end []byte) {
	start = binary.BigEndian.AppendUint32(nil, shard)
	return start, append(binary.BigEndian.AppendUint32(nil, shard), spaceOwn)
}

// Applied returns the key of a shard's applied index, term and time.
func Applied(shard uint32) []byte {
	return append(binary.BigEndian.AppendUint32(nil, shard), spaceMeta, 'a')
}

// Accounts returns the range of all accounts' keys of a shard.
func Accounts(shard uint32) (start, end []byte) {
	start = append(binary.BigEndian.AppendUint32(nil, shard), spaceAccount)
	return start, append(binary.BigEndian.AppendUint32(nil, shard), spaceAccount+1)
}

// Space makes the keys of one account in one shard.
type Space struct{ prefix []byte }

// ForAccount returns the key space of an account. The name is normalised
// already and has 1 to 255 octets.
func ForAccount(shard uint32, account string) Space {
	return Space{prefix: accountPrefix(shard, spaceAccount, account)}
}

func accountPrefix(shard uint32, space byte, account string) []byte {
	p := make([]byte, 0, 4+1+2+1+len(account))
	p = binary.BigEndian.AppendUint32(p, shard)
	p = append(p, space)
	p = binary.BigEndian.AppendUint16(p, uint16(imapnum.SlotOf(account)))
	p = append(p, byte(len(account)))
	return append(p, account...)
}

// Summary returns the key of the summary of a mailbox.
func Summary(shard uint32, account string, mailbox imapnum.MailboxID) []byte {
	return binary.BigEndian.AppendUint64(accountPrefix(shard, spaceOwn, account), uint64(mailbox))
}

// Summaries returns the range of the summaries of all mailboxes of an account.
func Summaries(shard uint32, account string) (start, end []byte) {
	start = accountPrefix(shard, spaceOwn, account)
	return start, Successor(start)
}

// Range returns the range of all keys of the account.
func (s Space) Range() (start, end []byte) { return s.prefix, Successor(s.prefix) }

// Key returns the key of a kind with the given octets behind.
func (s Space) Key(k Kind, rest ...byte) []byte {
	key := make([]byte, 0, len(s.prefix)+1+len(rest))
	key = append(key, s.prefix...)
	key = append(key, byte(k))
	return append(key, rest...)
}

// Kind returns the range of all keys of a kind.
func (s Space) Kind(k Kind) (start, end []byte) {
	start = s.Key(k)
	return start, Successor(start)
}

// ID returns the key of a kind that is followed by one id: Mailbox, Email,
// EmailRefs, ACL.
func (s Space) ID(k Kind, id uint64) []byte {
	return binary.BigEndian.AppendUint64(s.Key(k), id)
}

// Bytes returns the key of a kind that is followed by octets as they are: Name,
// Subscribed, Session, Upload, Delivery, SharedBy.
func (s Space) Bytes(k Kind, b []byte) []byte { return s.Key(k, b...) }

// UID returns the key of a kind that is followed by a mailbox and a UID:
// Message, Retained. The UID 0 begins the mailbox's range.
func (s Space) UID(k Kind, mailbox imapnum.MailboxID, uid imapnum.UID) []byte {
	key := binary.BigEndian.AppendUint64(s.Key(k), uint64(mailbox))
	return binary.BigEndian.AppendUint32(key, uint32(uid))
}

// Mailbox returns the range of a kind whose keys go on with a mailbox.
func (s Space) Mailbox(k Kind, mailbox imapnum.MailboxID) (start, end []byte) {
	start = binary.BigEndian.AppendUint64(s.Key(k), uint64(mailbox))
	return start, Successor(start)
}

// Change returns the change index's key of a message.
func (s Space) Change(mailbox imapnum.MailboxID, modseq imapnum.ModSeq, uid imapnum.UID) []byte {
	key := binary.BigEndian.AppendUint64(s.Key(Change), uint64(mailbox))
	key = binary.BigEndian.AppendUint64(key, uint64(modseq))
	return binary.BigEndian.AppendUint32(key, uint32(uid))
}

// Expunge returns the expunge queue's key of a mailbox and modseq.
func (s Space) Expunge(mailbox imapnum.MailboxID, modseq imapnum.ModSeq) []byte {
	key := binary.BigEndian.AppendUint64(s.Key(Expunge), uint64(mailbox))
	return binary.BigEndian.AppendUint64(key, uint64(modseq))
}

// Retention returns the key that orders expunged messages by time.
func (s Space) Retention(time int64, mailbox imapnum.MailboxID, uid imapnum.UID) []byte {
	key := binary.BigEndian.AppendUint64(s.Key(Retention), uint64(max(time, 0)))
	key = binary.BigEndian.AppendUint64(key, uint64(mailbox))
	return binary.BigEndian.AppendUint32(key, uint32(uid))
}

// Body returns the key of the chunk of a body that starts at offset.
func (s Space) Body(bodyID []byte, offset uint64) []byte {
	return binary.BigEndian.AppendUint64(s.Key(Body, bodyID...), offset)
}

// Thread returns the key of a message under the hash of a Message-ID.
func (s Space) Thread(hash []byte, thread, email uint64) []byte {
	key := binary.BigEndian.AppendUint64(s.Key(Thread, hash...), thread)
	return binary.BigEndian.AppendUint64(key, email)
}

// Threads returns the range of all messages under the hash of a Message-ID,
// those of the oldest thread first.
func (s Space) Threads(hash []byte) (start, end []byte) {
	start = s.Key(Thread, hash...)
	return start, Successor(start)
}

// Rest returns what follows the kind in a key of this account.
func (s Space) Rest(key []byte) []byte { return key[len(s.prefix)+1:] }

// ParseUID takes the rest of a Message or Retained key apart.
func ParseUID(rest []byte) (imapnum.MailboxID, imapnum.UID, error) {
	if len(rest) != 12 {
		return 0, 0, ErrMalformed
	}
	return imapnum.MailboxID(binary.BigEndian.Uint64(rest)), imapnum.UID(binary.BigEndian.Uint32(rest[8:])), nil
}

// ParseChange takes the rest of a Change key apart.
func ParseChange(rest []byte) (imapnum.MailboxID, imapnum.ModSeq, imapnum.UID, error) {
	if len(rest) != 20 {
		return 0, 0, 0, ErrMalformed
	}
	return imapnum.MailboxID(binary.BigEndian.Uint64(rest)), imapnum.ModSeq(binary.BigEndian.Uint64(rest[8:])),
		imapnum.UID(binary.BigEndian.Uint32(rest[16:])), nil
}

// ParseExpunge takes the rest of an Expunge key apart.
func ParseExpunge(rest []byte) (imapnum.MailboxID, imapnum.ModSeq, error) {
	if len(rest) != 16 {
		return 0, 0, ErrMalformed
	}
	return imapnum.MailboxID(binary.BigEndian.Uint64(rest)), imapnum.ModSeq(binary.BigEndian.Uint64(rest[8:])), nil
}

// ParseRetention takes the rest of a Retention key apart.
func ParseRetention(rest []byte) (time int64, mailbox imapnum.MailboxID, uid imapnum.UID, err error) {
	if len(rest) != 20 || rest[0]&0x80 != 0 {
		return 0, 0, 0, ErrMalformed
	}
	return int64(binary.BigEndian.Uint64(rest)), imapnum.MailboxID(binary.BigEndian.Uint64(rest[8:])),
		imapnum.UID(binary.BigEndian.Uint32(rest[16:])), nil
}

// ParseBody takes the rest of a Body key apart.
func ParseBody(rest []byte) (bodyID []byte, offset uint64, err error) {
	if len(rest) != BodyIDLen+8 {
		return nil, 0, ErrMalformed
	}
	return rest[:BodyIDLen], binary.BigEndian.Uint64(rest[BodyIDLen:]), nil
}

// ParseThread takes the rest of a Thread key apart.
func ParseThread(rest []byte) (hash []byte, thread, email uint64, err error) {
	if len(rest) != ThreadHashLen+16 {
		return nil, 0, 0, ErrMalformed
	}
	hash, rest = rest[:ThreadHashLen], rest[ThreadHashLen:]
	return hash, binary.BigEndian.Uint64(rest), binary.BigEndian.Uint64(rest[8:]), nil
}

// ParseID takes the rest of a key with one id apart.
func ParseID(rest []byte) (uint64, error) {
	if len(rest) != 8 {
		return 0, ErrMalformed
	}
	return binary.BigEndian.Uint64(rest), nil
}

// ParseAccount returns the account, the kind and the rest of an account's key.
func ParseAccount(key []byte) (account string, kind Kind, rest []byte, err error) {
	if len(key) < 9 || key[4] != spaceAccount {
		return "", 0, nil, ErrMalformed
	}
	n := int(key[7])
	if n == 0 || len(key) < 8+n+1 {
		return "", 0, nil, ErrMalformed
	}
	account = string(key[8 : 8+n])
	if imapnum.SlotOf(account) != imapnum.Slot(binary.BigEndian.Uint16(key[5:])) {
		return "", 0, nil, ErrMalformed
	}
	return account, Kind(key[8+n]), key[8+n+1:], nil
}

// Successor returns the first key after all keys that begin with prefix. prefix
// must have an octet other than 0xff: all prefixes here do.
func Successor(prefix []byte) []byte {
	end := append([]byte(nil), prefix...)
	for i := len(end) - 1; i >= 0; i-- {
		if end[i] != 0xff {
			end[i]++
			return end[:i+1]
		}
	}
	return append(end, 0xff)
}
