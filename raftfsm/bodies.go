package raftfsm

import (
	"github.com/cockroachdb/pebble/v2"

	pb "github.com/quorumail/quorumail/proto/quorumail/v1"
	"github.com/quorumail/quorumail/raftfsm/keys"
)

// Bodies walks over the chunks of bodies, one body after the other, and reads those
// that are asked for: to count the others costs no octet of theirs. It is not safe
// for concurrent use and must be closed before its View.
type Bodies struct {
	a  *Account
	it *pebble.Iterator
	at uint64
	ok bool
}

// Bodies returns a reader of the account's bodies.
func (a *Account) Bodies() (*Bodies, error) {
	start, end := a.space.Kind(keys.Body)
	it, err := a.v.snap.NewIter(&pebble.IterOptions{LowerBound: start, UpperBound: end})
	if err != nil {
		return nil, err
	}
	return &Bodies{a: a, it: it}, nil
}

// Close ends the reading.
func (b *Bodies) Close() error { return b.it.Close() }

// Seek goes to the first chunk of a body that holds octets of [offset, end).
func (b *Bodies) Seek(bodyID []byte, offset, end uint64) error {
	b.ok = false
	if offset >= end {
		return nil
	}
	start := b.a.space.Body(bodyID, 0)
	b.it.SetBounds(start, b.a.space.Body(bodyID, end))
	// The chunk that holds offset starts at or before it.
	found := offset > 0 && b.it.SeekLT(b.a.space.Body(bodyID, offset+1)) || b.it.SeekGE(start)
	if err := b.settle(found); err != nil || !b.ok || offset == 0 {
		return err
	}
	c, err := b.Chunk()
	if err != nil {
		return err
	}
	if b.at+uint64(c.GetRawSize()) <= offset {
		return b.Next()
	}
	return nil
}

// Valid reports whether there is a chunk.
func (b *Bodies) Valid() bool { return b.ok }

// Next goes to the next chunk.
func (b *Bodies) Next() error { return b.settle(b.it.Next()) }

func (b *Bodies) settle(found bool) (err error) {
	if b.ok = found; !found {
		return b.it.Error()
	}
	_, b.at, err = keys.ParseBody(b.a.space.Rest(b.it.Key()))
	return err
}

// Offset returns where the chunk begins.
func (b *Bodies) Offset() uint64 { return b.at }

// Chunk reads the chunk. Its data are good until the next call of another method.
func (b *Bodies) Chunk() (*pb.BodyChunk, error) {
	value, err := b.it.ValueAndErr()
	if err != nil {
		return nil, err
	}
	return decodeChunk(b.at, value)
}

// Chunks calls fn, in order, for each chunk of a body that holds octets of
// [offset, offset+length), until it returns false or an error. The chunk's data
// are only good during the call.
func (a *Account) Chunks(bodyID []byte, offset, length uint64, fn func(*pb.BodyChunk) (bool, error)) (err error) {
	end := offset + length
	if end < offset {
		end = 1<<64 - 1
	}
	b, err := a.Bodies()
	if err != nil {
		return err
	}
	defer func() {
		if e := b.Close(); err == nil {
			err = e
		}
	}()
	err = b.Seek(bodyID, offset, end)
	for err == nil && b.ok {
		c, e := b.Chunk()
		if e != nil {
			return e
		}
		if more, e := fn(c); e != nil || !more {
			return e
		}
		err = b.Next()
	}
	return err
}
