package raftfsm

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"hash"

	"github.com/quorumail/quorumail/raftfsm/keys"
)

// Digest is of a range of keys with their values. Replicas that hold the same have
// the same.
type Digest struct {
	Keys uint64
	Sum  [sha256.Size]byte
}

// digester makes a Digest.
type digester struct {
	h hash.Hash
	n uint64
}

func newDigester() *digester { return &digester{h: sha256.New()} }

func (d *digester) add(key, value []byte) {
	var size [8]byte
	for _, part := range [][]byte{key, value} {
		binary.BigEndian.PutUint64(size[:], uint64(len(part)))
		d.h.Write(size[:])
		d.h.Write(part)
	}
	d.n++
}

func (d *digester) digest() Digest {
	sum := Digest{Keys: d.n}
	d.h.Sum(sum.Sum[:0])
	return sum
}

// Digests calls fn with the digest of each account, also of those deleted, in the
// order of keys, and returns that of the whole shard. It reads all of it, until ctx
// ends. fn may be nil.
func (v *View) Digests(ctx context.Context, fn func(account string, d Digest) error) (Digest, error) {
	whole := newDigester()
	var one *digester
	name := ""
	finish := func() error {
		if one == nil || fn == nil {
			return nil
		}
		return fn(name, one.digest())
	}
	first, last := keys.Accounts(v.f.cfg.Shard)
	start, end := keys.Replicated(v.f.cfg.Shard)
	err := scan(v.snap, start, end, func(key, value []byte) (bool, error) {
		if err := ctx.Err(); err != nil {
			return false, err
		}
		whole.add(key, value)
		if string(key) < string(first) || string(key) >= string(last) {
			return true, nil
		}
		of, _, _, err := keys.ParseAccount(key)
		if err != nil {
			return false, err
		}
		if one == nil || of != name {
			if err := finish(); err != nil {
				return false, err
			}
			one, name = newDigester(), of
		}
		one.add(key, value)
		return true, nil
	})
	if err == nil {
		err = finish()
	}
	return whole.digest(), err
}
