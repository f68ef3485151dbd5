package shard

import (
	"context"
	"fmt"
	"io"
	"sync"
	"time"

	"github.com/hashicorp/raft"

	pb "github.com/quorumail/quorumail/proto/quorumail/v1"
)

var _ raft.BatchingFSM = (*machine)(nil)

// machine is what the library takes for the state machine: it passes commands
// on to the real one, once each, and stops at the first error.
//
// ApplyBatch, Snapshot and Restore are called by the library's FSM goroutine.
type machine struct {
	state   StateMachine
	store   *snapshots
	applied *appliedWaiter
	fail    func(error)
	// aligned is told that a snapshot was taken in, and up to where the log was
	// dropped because it did not belong to it, 0: it was not.
	aligned func(note *pb.SnapshotNote, dropped uint64)

	mu struct {
		sync.Mutex
		err error // not nil once the replica has failed
	}
}

// failed returns why the replica has failed, or nil.
func (m *machine) failed() error {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.mu.err
}

// halt stops the machine: nothing is applied any more.
func (m *machine) halt(err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.mu.err == nil {
		m.mu.err = err
	}
}

// broken halts the machine and has the replica stopped.
func (m *machine) broken(err error) error {
	m.halt(err)
	m.fail(err)
	return err
}

// Apply implements raft.FSM; the library uses ApplyBatch.
func (m *machine) Apply(l *raft.Log) any { return m.ApplyBatch([]*raft.Log{l})[0] }

// ApplyBatch implements raft.BatchingFSM. A response is the state machine's
// result, or an error.
func (m *machine) ApplyBatch(logs []*raft.Log) []any {
	out := make([]any, len(logs))
	if err := m.failed(); err != nil {
		for i := range out {
			out[i] = err
		}
		return out
	}
	done := m.applied.get()
	cmds := make([]Command, 0, len(logs))
	at := make([]int, 0, len(logs)) // where in out the result of a command goes
	for i, l := range logs {
		switch {
		case l.Type == raft.LogConfiguration:
			m.store.members.add(l.Index, raft.DecodeConfiguration(l.Data))
		case l.Type == raft.LogCommand && l.Index > done:
			cmds = append(cmds, Command{Index: l.Index, Term: l.Term, Data: l.Data})
			at = append(at, i)
		}
	}
	if len(cmds) > 0 {
		results, err := m.apply(cmds)
		if err != nil {
			err = m.broken(fmt.Errorf("apply %d to %d: %w", cmds[0].Index, cmds[len(cmds)-1].Index, err))
			for _, i := range at {
				out[i] = err
			}
			return out
		}
		for n, i := range at {
			out[i] = results[n]
		}
		m.applied.advance(cmds[len(cmds)-1].Index)
	}
	m.store.members.saw(logs[len(logs)-1].Index)
	return out
}

// apply calls the state machine. A panic in it, which means that one of its
// invariants is broken, is an error of this replica alone.
func (m *machine) apply(cmds []Command) (results []any, err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("panic: %v", p)
		}
	}()
	results, err = m.state.ApplyBatch(cmds)
	if err == nil && len(results) != len(cmds) {
		err = fmt.Errorf("%d results for %d commands", len(results), len(cmds))
	}
	return results, err
}

// Snapshot implements raft.FSM.
func (m *machine) Snapshot() (raft.FSMSnapshot, error) {
	if err := m.failed(); err != nil {
		return nil, err
	}
	index, _ := m.state.Applied()
	return &persister{m: m, index: index}, nil
}

// persister implements raft.FSMSnapshot: it has the state made durable.
type persister struct {
	m     *machine
	index uint64 // the state's when the snapshot was asked for
}

// Persist implements raft.FSMSnapshot.
func (p *persister) Persist(s raft.SnapshotSink) error {
	own, ok := s.(*sink)
	if !ok {
		return fmt.Errorf("unexpected sink %T", s)
	}
	if err := p.m.makeDurable(own.store.ctx, p.index); err != nil {
		return err
	}
	own.coverLocal(p.index)
	return nil
}

// Release implements raft.FSMSnapshot.
func (p *persister) Release() {}

// durablePatience is how long makeDurable looks again after a flush.
const durablePatience = 30 * time.Second

// makeDurable flushes, and checks that the state at index will survive a crash.
//
// The check may fail at first: the flush may have taken along a later batch,
// which replaces the applied index, in the moment between its going into the
// memtable and its becoming visible. Then neither the new index nor the old one,
// which a flush drops, is to be read until the goroutine that commits the batch
// runs again.
func (m *machine) makeDurable(ctx context.Context, index uint64) error {
	if ok, err := m.durable(index); ok || err != nil {
		return err
	}
	if err := m.store.flusher.Flush(ctx); err != nil {
		return err
	}
	deadline := time.Now().Add(durablePatience)
	for wait := time.Millisecond; ; wait = min(2*wait, time.Second) {
		if ok, err := m.durable(index); ok || err != nil {
			return err
		}
		if time.Now().After(deadline) {
			return m.broken(fmt.Errorf("state at %d is not durable after a flush", index))
		}
		select {
		case <-time.After(wait):
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

func (m *machine) durable(index uint64) (bool, error) {
	durable, err := m.state.DurableApplied()
	if err != nil {
		return false, m.broken(fmt.Errorf("durable index: %w", err))
	}
	return durable >= index, nil
}

// Restore implements raft.FSM. The library calls it when it has received a
// snapshot whole; the snapshot store holds it.
func (m *machine) Restore(rc io.ReadCloser) error {
	if err := m.failed(); err != nil {
		return err
	}
	return m.takeIn(m.store.ctx, rc)
}

// takeIn replaces the state by the received snapshot, durably, and makes the
// snapshot the replica's own. It also runs before the library does, when a crash
// has interrupted it.
//
// A snapshot that the state has reached already, because the leader sent it
// twice, is not taken in: the state never goes back.
func (m *machine) takeIn(ctx context.Context, r io.Reader) error {
	note := m.store.received()
	if note == nil {
		return fmt.Errorf("no snapshot was received")
	}
	if own := m.store.newest(); own != nil && own.Index > note.Index {
		return joinCleanup(fmt.Errorf("snapshot at %d: %w", note.Index, errOldSnapshot), m.store.dropReceived())
	}
	if have, _ := m.state.Applied(); have < note.Index {
		if err := m.load(r); err != nil {
			err = fmt.Errorf("take in snapshot at %d: %w", note.Index, err)
			if IsDiskError(err) {
				return m.broken(err)
			}
			return joinCleanup(err, m.store.dropReceived())
		}
	}
	index, _ := m.state.Applied()
	if err := m.makeDurable(ctx, index); err != nil {
		// What is in the state store is of the new state, what is on disk may be of
		// the old one: only a restart, which takes the file in again, is sure to
		// bring them together.
		err = fmt.Errorf("take in snapshot at %d: %w", note.Index, err)
		if ctx.Err() != nil { // the replica is being closed
			m.halt(err)
			return err
		}
		return m.broken(err)
	}
	if err := m.store.adoptReceived(index); err != nil {
		return m.broken(fmt.Errorf("take in snapshot at %d: %w", note.Index, err))
	}
	m.applied.advance(index)
	// Before the library cuts the log: it would leave a rest of which nobody could
	// tell any more that it is another's.
	dropped, err := alignLog(m.store.newest(), m.store.log)
	if err != nil {
		return m.broken(fmt.Errorf("take in snapshot at %d: drop the log: %w", note.Index, err))
	}
	m.aligned(note, dropped)
	return nil
}

func (m *machine) load(r io.Reader) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = m.broken(fmt.Errorf("panic: %v", p))
		}
	}()
	return m.state.Import(r)
}
