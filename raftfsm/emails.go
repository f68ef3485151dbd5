package raftfsm

import (
	"bytes"
	"encoding/binary"
	"slices"

	"github.com/cockroachdb/pebble/v2"
	"google.golang.org/protobuf/encoding/protowire"

	"github.com/quorumail/quorumail/raftfsm/keys"
)

// Emails reads the content records of messages. It is not safe for concurrent use,
// must be closed before its View, and is fastest if ids ascend.
type Emails struct {
	a *Account
	// it is nil for few: an iterator looks into every level of the store before it
	// gives its first record.
	it  *pebble.Iterator
	key []byte
	at  uint64 // the id that it is at; 0: nowhere
}

// nearEmails is how far on an id is got to step by step: a step costs a fraction of
// a seek.
const nearEmails = 4

// Emails returns a reader of the account's content records, of some n of them.
func (a *Account) Emails(n int) (*Emails, error) {
	if n <= fewMessages {
		return &Emails{a: a}, nil
	}
	start, end := a.space.Kind(keys.Email)
	it, err := a.v.snap.NewIter(&pebble.IterOptions{LowerBound: start, UpperBound: end})
	if err != nil {
		return nil, err
	}
	return &Emails{a: a, it: it}, nil
}

// Close ends the reading.
func (e *Emails) Close() error {
	if e.it == nil {
		return nil
	}
	return e.it.Close()
}

// Email returns a content record as it is stored; it is good until the next call.
func (e *Emails) Email(id uint64) (StoredEmail, error) {
	if e.it == nil {
		value, err := get(e.a.v.snap, e.a.space.ID(keys.Email, id))
		if err == nil && value == nil {
			err = errCorrupt
		}
		return value, err
	}
	found, err := e.find(id)
	if err != nil {
		return nil, err
	}
	if !found {
		return nil, errCorrupt
	}
	return e.it.ValueAndErr()
}

// find moves the iterator to an id.
func (e *Emails) find(id uint64) (bool, error) {
	at := e.at
	e.at = 0
	if at != 0 && id > at && id-at <= nearEmails {
		for at < id && e.it.Next() {
			var err error
			if at, err = keys.ParseID(e.a.space.Rest(e.it.Key())); err != nil {
				return false, err
			}
		}
	}
	if at != id || at == 0 {
		if e.key == nil {
			e.key = e.a.space.ID(keys.Email, id)
		}
		binary.BigEndian.PutUint64(e.key[len(e.key)-8:], id)
		if !e.it.SeekGE(e.key) || !bytes.Equal(e.it.Key(), e.key) {
			return false, e.it.Error()
		}
	}
	e.at = id
	return true, nil
}

// StoredEmail is the octets of a pb.Email. It is read field by field: most of it is
// only passed on.
type StoredEmail []byte

// Fields of pb.Email and pb.BodyPart.
const (
	emailSize, emailStructure, emailBodyID = 1, 3, 6
	partHeaderSize                         = 15
)

// Size returns the octets of the message.
func (e StoredEmail) Size() (uint64, error) {
	n, _, err := lastField(e, emailSize)
	return n, err
}

// HeaderSize returns the octets of its header.
func (e StoredEmail) HeaderSize() (uint64, error) {
	_, structure, err := lastField(e, emailStructure)
	if err != nil {
		return 0, err
	}
	n, _, err := lastField(structure, partHeaderSize)
	return n, err
}

// BodyID returns the key of its body.
func (e StoredEmail) BodyID() ([]byte, error) {
	_, id, err := lastField(e, emailBodyID)
	return id, err
}

// lastField returns the value of a field, that of the last one if there are several:
// the number or the octets, zero if there is none.
func lastField(b []byte, field protowire.Number) (n uint64, octets []byte, err error) {
	err = eachField(b, func(num protowire.Number, typ protowire.Type, whole, value []byte) {
		switch {
		case num != field:
		case typ == protowire.VarintType:
			n, _ = protowire.ConsumeVarint(value)
		case typ == protowire.BytesType:
			octets, _ = protowire.ConsumeBytes(value)
		}
	})
	return n, octets, err
}

// eachField calls fn with each field: with its tag in whole, without it in value.
func eachField(b []byte, fn func(num protowire.Number, typ protowire.Type, whole, value []byte)) error {
	for len(b) > 0 {
		num, typ, n := protowire.ConsumeTag(b)
		if n < 0 {
			return errCorrupt
		}
		size := protowire.ConsumeFieldValue(num, typ, b[n:])
		if size < 0 {
			return errCorrupt
		}
		fn(num, typ, b[:n+size], b[n:n+size])
		b = b[n+size:]
	}
	return nil
}

// AppendFields appends some fields of the record to dst, all without any: an Email
// of just those.
func (e StoredEmail) AppendFields(dst []byte, fields ...protowire.Number) ([]byte, error) {
	if len(fields) == 0 {
		return append(dst, e...), nil
	}
	err := eachField(e, func(num protowire.Number, _ protowire.Type, whole, _ []byte) {
		if slices.Contains(fields, num) {
			dst = append(dst, whole...)
		}
	})
	return dst, err
}
