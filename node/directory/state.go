package directory

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"sync"

	"github.com/cockroachdb/pebble/v2"
	"google.golang.org/protobuf/proto"

	"github.com/quorumail/quorumail/node/shard"
	pb "github.com/quorumail/quorumail/proto/quorumail/v1"
)

// stateKey is where the map is kept in the node's state store: under the prefix
// of group 0, which no shard has.
var stateKey = []byte{0, 0, 0, 0, 'm'}

// maxState bounds what Import takes for a map.
const maxState = 64 << 20

// state is the directory's state machine: one value, the map, with the index and
// term of the command that set it.
type state struct {
	db *pebble.DB

	mu struct {
		sync.Mutex
		index, term uint64
		current     *pb.ClusterMap // never changed, only replaced
		changed     chan struct{}  // closed when current is replaced
	}
}

var _ shard.StateMachine = (*state)(nil)

func openState(db *pebble.DB) (*state, error) {
	s := &state{db: db}
	s.mu.changed = make(chan struct{})
	value, closer, err := db.Get(stateKey)
	if errors.Is(err, pebble.ErrNotFound) {
		return s, nil
	}
	if err != nil {
		return nil, err
	}
	index, term, m, err := decode(value)
	if err := errors.Join(err, closer.Close()); err != nil {
		return nil, err
	}
	s.mu.index, s.mu.term, s.mu.current = index, term, m
	return s, nil
}

// encode makes the stored value: index, term and, if there is one, the map.
func encode(index, term uint64, m *pb.ClusterMap) ([]byte, error) {
	b := binary.BigEndian.AppendUint64(nil, index)
	b = binary.BigEndian.AppendUint64(b, term)
	if m == nil {
		return b, nil
	}
	return proto.MarshalOptions{Deterministic: true}.MarshalAppend(b, m)
}

func decode(b []byte) (index, term uint64, m *pb.ClusterMap, err error) {
	if len(b) < 16 {
		return 0, 0, nil, errors.New("directory: stored map is cut short")
	}
	index, term = binary.BigEndian.Uint64(b), binary.BigEndian.Uint64(b[8:])
	if len(b) == 16 {
		return index, term, nil, nil
	}
	m = &pb.ClusterMap{}
	if err := proto.Unmarshal(b[16:], m); err != nil {
		return 0, 0, nil, fmt.Errorf("directory: stored map: %w", err)
	}
	return index, term, m, nil
}

// ApplyBatch implements shard.StateMachine. The result of a command is nil or
// the error that refused it, wrapped in a refusal: an error itself would mean
// that the command was not applied.
func (s *state) ApplyBatch(cmds []shard.Command) ([]any, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	results := make([]any, len(cmds))
	m := s.mu.current
	for i, c := range cmds {
		next, err := apply(m, c.Data)
		results[i] = refusal{err}
		m = next
		s.mu.index, s.mu.term = c.Index, c.Term
	}
	value, err := encode(s.mu.index, s.mu.term, m)
	if err != nil {
		return nil, err
	}
	if err := s.db.Set(stateKey, value, pebble.NoSync); err != nil {
		return nil, err
	}
	s.replaceLocked(m)
	return results, nil
}

// refusal is what a command came to; err is nil if it was done.
type refusal struct{ err error }

// apply returns the map after a command, which is m itself if it is refused.
func apply(m *pb.ClusterMap, data []byte) (*pb.ClusterMap, error) {
	var e pb.DirectoryEntry
	if err := proto.Unmarshal(data, &e); err != nil {
		return m, fmt.Errorf("%w: %w", ErrInvalid, err)
	}
	switch op := e.GetOp().(type) {
	case *pb.DirectoryEntry_Found:
		if m != nil {
			return m, ErrFounded
		}
		if err := Validate(op.Found); err != nil {
			return m, err
		}
		return op.Found, nil
	case *pb.DirectoryEntry_Update:
		if m == nil || op.Update.GetEpoch() != m.GetEpoch()+1 || op.Update.GetClusterId() != m.GetClusterId() {
			return m, ErrConflict
		}
		if err := Validate(op.Update); err != nil {
			return m, err
		}
		return op.Update, nil
	}
	return m, fmt.Errorf("%w: unknown command", ErrInvalid)
}

func (s *state) replaceLocked(m *pb.ClusterMap) {
	if m == s.mu.current {
		return
	}
	s.mu.current = m
	close(s.mu.changed)
	s.mu.changed = make(chan struct{})
}

// get returns the map, nil before there is one, and what is closed when another
// takes its place.
func (s *state) get() (*pb.ClusterMap, <-chan struct{}) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.mu.current, s.mu.changed
}

// Applied implements shard.StateMachine.
func (s *state) Applied() (index, term uint64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.mu.index, s.mu.term
}

// DurableApplied implements shard.StateMachine.
func (s *state) DurableApplied() (uint64, error) {
	it, err := s.db.NewIter(&pebble.IterOptions{
		LowerBound: stateKey, UpperBound: append(bytes.Clone(stateKey), 0), OnlyReadGuaranteedDurable: true,
	})
	if err != nil {
		return 0, err
	}
	var index uint64
	if it.First() {
		index, _, _, err = decode(it.Value())
	}
	return index, errors.Join(err, it.Error(), it.Close())
}

// Snapshot implements shard.StateMachine.
func (s *state) Snapshot() (shard.StateSnapshot, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	value, err := encode(s.mu.index, s.mu.term, s.mu.current)
	return &snapshot{s.mu.index, s.mu.term, value}, err
}

// Import implements shard.StateMachine.
func (s *state) Import(r io.Reader) error {
	value, err := io.ReadAll(io.LimitReader(r, maxState))
	if err != nil {
		return err
	}
	index, term, m, err := decode(value)
	if err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.db.Set(stateKey, value, pebble.NoSync); err != nil {
		return err
	}
	s.mu.index, s.mu.term = index, term
	s.replaceLocked(m)
	return nil
}

// snapshot is the state at one index.
type snapshot struct {
	index, term uint64
	value       []byte
}

// Applied implements shard.StateSnapshot.
func (s *snapshot) Applied() (index, term uint64) { return s.index, s.term }

// Export implements shard.StateSnapshot.
func (s *snapshot) Export(w io.Writer) error {
	_, err := w.Write(s.value)
	return err
}

// Close implements shard.StateSnapshot.
func (s *snapshot) Close() error { return nil }
