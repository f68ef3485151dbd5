package raftfsm

import "github.com/quorumail/quorumail/raftfsm/keys"

// ReadOn reads all that the shard has stored, keys and values, in pieces, to find out
// whether it can be read: from a key on, nil for the first, until it has read some limit
// of octets. It returns the key at which the next piece begins, nil if this was the last,
// and how many octets it has read. What is written meanwhile may be in no piece.
func (f *FSM) ReadOn(from []byte, limit int64) (next []byte, octets int64, err error) {
	v, err := f.View()
	if err != nil {
		return nil, 0, err
	}
	start, end := keys.Shard(f.cfg.Shard)
	if from != nil {
		start = from
	}
	err = scan(v.snap, start, end, func(key, value []byte) (bool, error) {
		if octets >= limit {
			next = append([]byte(nil), key...)
			return false, nil
		}
		octets += int64(len(key) + len(value))
		return true, nil
	})
	if cerr := v.Close(); err == nil {
		err = cerr
	}
	return next, octets, err
}
