package shard

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"sync"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/hashicorp/raft"
	"google.golang.org/protobuf/proto"

	"github.com/quorumail/quorumail/node/raftlog"
	pb "github.com/quorumail/quorumail/proto/quorumail/v1"
)

var _ raft.SnapshotStore = (*snapshots)(nil)

// Names of the notes among the group's stable values.
const (
	noteSnapshot = "snapshot" // the newest snapshot, whose state is durable
	noteReceived = "received" // one that is to be taken in from a file
)

// liveID is the id of the one snapshot that there is: the state itself.
const liveID = "live"

var errOldSnapshot = errors.New("older than this replica's own snapshot")

// snapshots implements raft.SnapshotStore. It holds no snapshots but notes about
// the state machine's state, and the file of a received one until that is taken
// in. See the package comment.
type snapshots struct {
	shard   uint32
	log     *raftlog.Group
	state   StateMachine
	flusher *Flusher
	fs      vfs.FS
	dir     string
	members *members
	ctx     context.Context // ends when the replica is closed
	fail    func(error)     // stops the replica

	updating sync.Mutex // held while the notes change; taken before mu
	mu       struct {
		sync.Mutex
		note     *pb.SnapshotNote // noteSnapshot, or nil
		received *pb.SnapshotNote // noteReceived, or nil
		files    int              // numbers the files of this process
	}
}

// load reads the notes, and removes files that none refers to.
func (s *snapshots) load() error {
	var err error
	if s.mu.note, err = s.readNote(noteSnapshot); err != nil {
		return err
	}
	if s.mu.received, err = s.readNote(noteReceived); err != nil {
		return err
	}
	if s.mu.note != nil {
		s.members.reset(s.mu.note.Index, s.mu.note.ConfigurationIndex, raft.DecodeConfiguration(s.mu.note.Configuration))
	}
	if err := s.fs.MkdirAll(s.dir, 0o755); err != nil {
		return err
	}
	if err := s.syncDir(s.fs.PathDir(s.dir)); err != nil {
		return err
	}
	names, err := s.fs.List(s.dir)
	if err != nil {
		return err
	}
	for _, n := range names {
		keep := s.mu.received != nil && n == s.mu.received.File
		if strings.HasPrefix(n, s.filePrefix()) && !keep {
			if err := s.fs.Remove(s.fs.PathJoin(s.dir, n)); err != nil {
				return err
			}
		}
	}
	return nil
}

func (s *snapshots) syncDir(dir string) error {
	d, err := s.fs.OpenDir(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

func (s *snapshots) filePrefix() string { return fmt.Sprintf("shard-%d-", s.shard) }

func (s *snapshots) readNote(name string) (*pb.SnapshotNote, error) {
	b, err := s.log.Get([]byte(name))
	if err != nil {
		return nil, nil // Get fails for a missing value only
	}
	n := &pb.SnapshotNote{}
	if err := proto.Unmarshal(b, n); err != nil {
		return nil, fmt.Errorf("note %q: %w", name, err)
	}
	if err := checkConfiguration(n.Configuration); err != nil {
		return nil, fmt.Errorf("note %q: %w", name, err)
	}
	return n, nil
}

// checkConfiguration says whether the library can decode a membership; it
// panics if not.
func checkConfiguration(b []byte) (err error) {
	defer func() {
		if recover() != nil {
			err = errors.New("membership cannot be decoded")
		}
	}()
	raft.DecodeConfiguration(b)
	return nil
}

// newest returns the note of the newest snapshot, or nil. It must not be changed.
func (s *snapshots) newest() *pb.SnapshotNote {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.mu.note
}

// received returns the note of a snapshot that is to be taken in, or nil.
func (s *snapshots) received() *pb.SnapshotNote {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.mu.received
}

// List implements raft.SnapshotStore: what is durable here.
func (s *snapshots) List() ([]*raft.SnapshotMeta, error) {
	n := s.newest()
	if n == nil {
		return nil, nil
	}
	return []*raft.SnapshotMeta{metaOf(n, liveID)}, nil
}

func metaOf(n *pb.SnapshotNote, id string) *raft.SnapshotMeta {
	return &raft.SnapshotMeta{
		Version: raft.SnapshotVersionMax, ID: id, Index: n.Index, Term: n.Term,
		Configuration: raft.DecodeConfiguration(n.Configuration), ConfigurationIndex: n.ConfigurationIndex,
	}
}

// Open implements raft.SnapshotStore. The library opens a snapshot to send it,
// and gets the state as it is now; or to restore what it has just received.
func (s *snapshots) Open(id string) (*raft.SnapshotMeta, io.ReadCloser, error) {
	if id == liveID {
		return s.openLive()
	}
	n := s.received()
	if n == nil || n.File != id {
		return nil, nil, fmt.Errorf("snapshot %q: not found", id)
	}
	f, err := s.fs.Open(s.fs.PathJoin(s.dir, n.File))
	if err != nil {
		return nil, nil, fmt.Errorf("snapshot %q: %w", id, err)
	}
	r, err := newReceivedFile(f)
	if err != nil {
		return nil, nil, errors.Join(fmt.Errorf("snapshot %q: %w", id, err), f.Close())
	}
	return metaOf(n, id), r, nil
}

func (s *snapshots) openLive() (*raft.SnapshotMeta, io.ReadCloser, error) {
	note := s.newest()
	if note == nil {
		return nil, nil, errors.New("snapshot: none was taken yet")
	}
	state, err := s.state.Snapshot()
	if err != nil {
		return nil, nil, fmt.Errorf("snapshot: %w", err)
	}
	meta := metaOf(note, liveID)
	// At or below the note's index the state has all that the note covers: what is
	// between are entries of Raft's own.
	if index, term := state.Applied(); index > note.Index {
		m, err := s.members.at(index)
		if err != nil {
			return nil, nil, errors.Join(fmt.Errorf("snapshot: %w", err), state.Close())
		}
		meta.Index, meta.Term = index, term
		meta.Configuration, meta.ConfigurationIndex = m.conf, m.index
	}
	return meta, newExport(state), nil
}

// export reads what a state writes.
type export struct {
	*io.PipeReader
	state StateSnapshot
	wg    sync.WaitGroup
}

func newExport(state StateSnapshot) *export {
	pr, pw := io.Pipe()
	e := &export{PipeReader: pr, state: state}
	e.wg.Go(func() { _ = pw.CloseWithError(state.Export(pw)) })
	return e
}

func (e *export) Close() error {
	err := e.PipeReader.Close()
	e.wg.Wait()
	return errors.Join(err, e.state.Close())
}

// Create implements raft.SnapshotStore. The library creates a snapshot to take
// one, and then calls Persist with the sink; or to write to it what it receives.
func (s *snapshots) Create(_ raft.SnapshotVersion, index, term uint64, conf raft.Configuration, confIndex uint64, _ raft.Transport) (raft.SnapshotSink, error) {
	// The library would go on from a received snapshot's index, wherever its own
	// log begins, and panic when the entries between are gone.
	if n := s.newest(); n != nil && index < n.Index {
		return nil, fmt.Errorf("snapshot at %d: %w, which is at %d", index, errOldSnapshot, n.Index)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.mu.files++
	return &sink{store: s, note: &pb.SnapshotNote{
		Index: index, Term: term,
		Configuration: raft.EncodeConfiguration(conf), ConfigurationIndex: confIndex,
		File: fmt.Sprintf("%s%d-%d.snap", s.filePrefix(), index, s.mu.files),
	}}, nil
}

// update changes the notes: durably, then in memory. Of two updates at once each
// sees what the other has done.
func (s *snapshots) update(change func(note, received *pb.SnapshotNote) (*pb.SnapshotNote, *pb.SnapshotNote, error)) error {
	s.updating.Lock()
	defer s.updating.Unlock()
	note, received, err := change(s.newest(), s.received())
	if err != nil {
		return err
	}
	values := make(map[string][]byte)
	for name, n := range map[string]*pb.SnapshotNote{noteSnapshot: note, noteReceived: received} {
		values[name] = nil
		if n != nil {
			if values[name], err = proto.Marshal(n); err != nil {
				return err
			}
		}
	}
	if err := s.log.SetAll(values); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.mu.note, s.mu.received = note, received
	return nil
}

// adoptReceived makes the received snapshot, which the state has taken in and
// which is durable, the newest one. index is the state's.
func (s *snapshots) adoptReceived(index uint64) error {
	var file string
	var n *pb.SnapshotNote
	err := s.update(func(_, received *pb.SnapshotNote) (*pb.SnapshotNote, *pb.SnapshotNote, error) {
		n = proto.CloneOf(received)
		file = n.File
		n.File, n.StateIndex = "", min(index, n.Index)
		return n, nil, nil
	})
	if err != nil {
		return err
	}
	s.members.reset(n.Index, n.ConfigurationIndex, raft.DecodeConfiguration(n.Configuration))
	return s.remove(file)
}

// dropReceived forgets the received snapshot, which was not taken in.
func (s *snapshots) dropReceived() error {
	var file string
	err := s.update(func(note, received *pb.SnapshotNote) (*pb.SnapshotNote, *pb.SnapshotNote, error) {
		file = received.GetFile()
		return note, nil, nil
	})
	if err != nil || file == "" {
		return err
	}
	return s.remove(file)
}

func (s *snapshots) remove(file string) error {
	if err := s.fs.Remove(s.fs.PathJoin(s.dir, file)); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	return nil
}

func joinCleanup(err, cleanup error) error {
	if cleanup == nil {
		return err
	}
	return errors.Join(err, fmt.Errorf("clean up: %w", cleanup))
}
