// Package raftfsm is the replicated state machine of a shard: it turns
// committed log entries into mailboxes.
//
// The package is a function of the log. It reads no clock, draws no random
// number, starts no goroutine and opens no socket; whatever could differ
// between replicas (time, identifiers, a UIDVALIDITY seed) is decided once by
// the proposer and travels in the entry. Replicas that have applied the same
// prefix of the log hold equal keyspaces, and [View.Hash] proves it.
//
// # Invariants
//
//   - HIGHESTMODSEQ of a mailbox never decreases, and each entry that changes
//     the mailbox raises it to the account's next modseq.
//   - A UID is given to at most one message of a UIDVALIDITY, in ascending
//     order (RFC 9051, 2.3.1.1).
//   - Each expunged UID is in the expunge queue, or was expunged at or below
//     the mailbox's floor. There is no third case: that is what makes QRESYNC
//     exact (RFC 7162, 3.2).
//   - A mailbox's counts equal what its message records say; each message
//     record stands once in the change index, under its modseq; each content
//     record counts the records that refer to it.
//
// [FSM.Check] verifies them; builds with the invariants tag do so after every
// batch.
//
// # Durability
//
// The Pebble store has no write-ahead log: the Raft log is its redo log. Each
// batch carries the applied index, so what a crash leaves is the state at some
// earlier index, and the log is replayed from there.
//
// # Concurrency
//
// ApplyBatch, Import and Close belong to the shard's one apply goroutine. A
// [View] may be taken and read from any goroutine; it never waits for Apply,
// nor Apply for it.
// An Import ends the views that were taken before it: see [ErrReplaced].
package raftfsm
