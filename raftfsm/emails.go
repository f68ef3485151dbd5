package raftfsm

import (
	"slices"

	"github.com/cockroachdb/pebble/v2"
	"google.golang.org/protobuf/encoding/protowire"

	pb "github.com/quorumail/quorumail/proto/quorumail/v1"
	"github.com/quorumail/quorumail/raftfsm/keys"
)

// Emails reads the content records of many messages. It is not safe for concurrent
// use, must be closed before its View, and is fastest if ids ascend.
type Emails struct {
	a  *Account
	it *pebble.Iterator
}

// Emails returns a reader of the account's content records.
func (a *Account) Emails() (*Emails, error) {
	start, end := a.space.Kind(keys.Email)
	it, err := a.v.snap.NewIter(&pebble.IterOptions{LowerBound: start, UpperBound: end})
	if err != nil {
		return nil, err
	}
	return &Emails{a, it}, nil
}

// Close ends the reading.
func (e *Emails) Close() error { return e.it.Close() }

// Fields returns some fields of a content record, all without any, as they are
// stored: they are not read, only passed on, and the message that is returned is
// good for nothing but being marshalled.
func (e *Emails) Fields(id uint64, fields ...protowire.Number) (*pb.Email, error) {
	key := e.a.space.ID(keys.Email, id)
	if !e.it.SeekGE(key) || !slices.Equal(e.it.Key(), key) {
		if err := e.it.Error(); err != nil {
			return nil, err
		}
		return nil, errCorrupt
	}
	value, err := e.it.ValueAndErr()
	if err != nil {
		return nil, err
	}
	raw := make([]byte, 0, len(value))
	for len(value) > 0 {
		num, typ, n := protowire.ConsumeTag(value)
		if n < 0 {
			return nil, errCorrupt
		}
		size := protowire.ConsumeFieldValue(num, typ, value[n:])
		if size < 0 {
			return nil, errCorrupt
		}
		if len(fields) == 0 || slices.Contains(fields, num) {
			raw = append(raw, value[:n+size]...)
		}
		value = value[n+size:]
	}
	email := &pb.Email{}
	email.ProtoReflect().SetUnknown(raw)
	return email, nil
}
