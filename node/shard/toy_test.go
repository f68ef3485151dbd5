package shard

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"sync"

	"github.com/cockroachdb/pebble/v2"
	"google.golang.org/protobuf/proto"

	pb "github.com/quorumail/quorumail/proto/quorumail/v1"
)

// toy is a state machine that keeps the accounts of all entries as a list, in a
// Pebble without a write-ahead log. Raw commands are answered with their length.
type toy struct {
	db     *pebble.DB
	prefix []byte

	mu struct {
		sync.Mutex
		index, term uint64
		items       []string
		before      func(Command) // called for each command before it is applied
	}
}

func openToy(db *pebble.DB, shard uint32) (*toy, error) {
	t := &toy{db: db, prefix: binary.BigEndian.AppendUint32(nil, shard)}
	return t, t.load()
}

func (t *toy) key(kind byte, n uint64) []byte {
	return binary.BigEndian.AppendUint64(append(bytes.Clone(t.prefix), kind), n)
}

func (t *toy) load() error {
	t.mu.items = nil
	it, err := t.db.NewIter(&pebble.IterOptions{LowerBound: t.key('i', 0), UpperBound: t.key('i'+1, 0)})
	if err != nil {
		return err
	}
	for ok := it.First(); ok; ok = it.Next() {
		t.mu.items = append(t.mu.items, string(it.Value()))
	}
	if err := it.Close(); err != nil {
		return err
	}
	t.mu.index, t.mu.term, err = t.applied(&pebble.IterOptions{})
	return err
}

func (t *toy) applied(o *pebble.IterOptions) (index, term uint64, err error) {
	o.LowerBound, o.UpperBound = t.key('a', 0), t.key('a', 1)
	it, err := t.db.NewIter(o)
	if err != nil {
		return 0, 0, err
	}
	if it.First() {
		index, term = binary.BigEndian.Uint64(it.Value()), binary.BigEndian.Uint64(it.Value()[8:])
	}
	return index, term, it.Close()
}

func (t *toy) setApplied(b *pebble.Batch) error {
	v := binary.BigEndian.AppendUint64(nil, t.mu.index)
	return b.Set(t.key('a', 0), binary.BigEndian.AppendUint64(v, t.mu.term), nil)
}

func (t *toy) ApplyBatch(cmds []Command) ([]any, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	b := t.db.NewBatch()
	defer b.Close()
	var out []any
	for _, c := range cmds {
		if t.mu.before != nil {
			t.mu.before(c)
		}
		if c.Index <= t.mu.index {
			return nil, fmt.Errorf("command %d after %d", c.Index, t.mu.index)
		}
		t.mu.index, t.mu.term = c.Index, c.Term
		if bytes.HasPrefix(c.Data, []byte("raw:")) {
			out = append(out, len(c.Data))
			continue
		}
		var batch pb.EntryBatch
		if err := proto.Unmarshal(c.Data, &batch); err != nil {
			return nil, err
		}
		var results []*pb.Result
		for _, e := range batch.Entries {
			if err := b.Set(t.key('i', uint64(len(t.mu.items))), []byte(e.Account), nil); err != nil {
				return nil, err
			}
			t.mu.items = append(t.mu.items, e.Account)
			results = append(results, &pb.Result{Code: pb.Code_CODE_OK, ModSeq: uint64(len(t.mu.items))})
		}
		out = append(out, results)
	}
	if err := t.setApplied(b); err != nil {
		return nil, err
	}
	return out, b.Commit(pebble.NoSync)
}

func (t *toy) Applied() (index, term uint64) {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.mu.index, t.mu.term
}

func (t *toy) DurableApplied() (uint64, error) {
	index, _, err := t.applied(&pebble.IterOptions{OnlyReadGuaranteedDurable: true})
	return index, err
}

func (t *toy) list() []string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return append([]string(nil), t.mu.items...)
}

type toySnapshot struct {
	index, term uint64
	items       []string
}

func (t *toy) Snapshot() (StateSnapshot, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	return &toySnapshot{t.mu.index, t.mu.term, append([]string(nil), t.mu.items...)}, nil
}

func (s *toySnapshot) Applied() (index, term uint64) { return s.index, s.term }

func (s *toySnapshot) Export(w io.Writer) error {
	m := &pb.EntryBatch{Entries: []*pb.Entry{{Version: uint32(s.term), Time: int64(s.index)}}}
	for _, i := range s.items {
		m.Entries = append(m.Entries, &pb.Entry{Account: i})
	}
	b, err := proto.Marshal(m)
	if err != nil {
		return err
	}
	_, err = w.Write(b)
	return err
}

func (s *toySnapshot) Close() error { return nil }

func (t *toy) Import(r io.Reader) error {
	raw, err := io.ReadAll(r)
	if err != nil {
		return err
	}
	var m pb.EntryBatch
	if err := proto.Unmarshal(raw, &m); err != nil {
		return err
	}
	if len(m.Entries) == 0 {
		return errors.New("not an export")
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	b := t.db.NewBatch()
	defer b.Close()
	if err := b.DeleteRange(t.key('i', 0), t.key('i'+1, 0), nil); err != nil {
		return err
	}
	t.mu.items = nil
	for i, e := range m.Entries[1:] {
		if err := b.Set(t.key('i', uint64(i)), []byte(e.Account), nil); err != nil {
			return err
		}
		t.mu.items = append(t.mu.items, e.Account)
	}
	t.mu.index, t.mu.term = uint64(m.Entries[0].Time), uint64(m.Entries[0].Version)
	if err := t.setApplied(b); err != nil {
		return err
	}
	return b.Commit(pebble.NoSync)
}
