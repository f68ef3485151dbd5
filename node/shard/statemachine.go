package shard

import "io"

// Command is a committed log entry for a [StateMachine].
type Command struct {
	Index, Term uint64
	Data        []byte
}

// StateMachine is what a replica replicates. It keeps its state in the node's
// state store, without a write-ahead log: the Raft log is its redo log.
//
// ApplyBatch and Import are called from one goroutine at a time; the other
// methods from any, also while those run.
type StateMachine interface {
	// ApplyBatch applies commands, which ascend by index, each above Applied. It
	// returns one result a command. An error, or a panic, stops the replica for
	// good: it means that its state is no longer known.
	ApplyBatch(cmds []Command) ([]any, error)
	// Applied returns index and term of the last command applied, 0 before the
	// first.
	Applied() (index, term uint64)
	// DurableApplied returns the index up to which the state would be there after
	// a crash.
	DurableApplied() (uint64, error)
	// Snapshot captures the state as it is. It is quick; reading it may take
	// long, and Apply goes on meanwhile.
	Snapshot() (StateSnapshot, error)
	// Import replaces the state by what Export of another replica wrote: whole,
	// or, with an error, not at all. It need not be durable when it returns.
	Import(r io.Reader) error
}

// StateSnapshot is a state machine's state at one index.
type StateSnapshot interface {
	// Applied returns index and term of the last command in it.
	Applied() (index, term uint64)
	// Export writes the state for Import.
	Export(w io.Writer) error
	Close() error
}
