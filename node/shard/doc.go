// Package shard hosts one replica of one Raft group: hashicorp/raft, the log of
// raftlog, the RPCs of transport, and a [StateMachine] that keeps its state in
// the node's state store.
//
// # The state machine is the snapshot
//
// The state store has no write-ahead log; the Raft log is its redo log. What
// makes that right is the order in which things become durable:
//
//  1. Each batch of the state machine carries the applied index, so that a
//     crash leaves a state at some index, and Raft replays from the newest
//     snapshot's index; what is applied already is passed over.
//  2. A snapshot copies nothing. It captures the applied index, waits until a
//     flush of the state store covers it (one flush for all replicas that wait,
//     see [Flusher]), and writes a note of a few octets to the log store. Only
//     then may Raft cut the log.
//  3. A lagging replica is sent the state as it is when it is sent. It keeps
//     what it receives in a file with a checksum, durably, notes that, takes the
//     file in, makes the result durable, and then replaces the note. A crash in
//     between finds the note and does it again. A log of its own that does not
//     belong to the snapshot is dropped then.
//  4. Open compares the note, the state and the log, and refuses to start over a
//     hole in any of them: silently lost entries are worse than a lost replica.
//
// # Linearizable reads
//
// ReadIndex does not use the library's VerifyLeader, which is satisfied by any
// reply to an earlier message; see transport.Group.Confirm. The index that it
// returns is one of a command: entries of Raft's own (the no-op of each new
// leader, barriers, memberships) never reach the state machine, so a wait for
// its applied index to reach the commit index would hang after every election.
//
// # Failure
//
// An error of the state machine, or a panic in it, stops the replica for good
// after leadership was handed over where that is possible. It never goes on
// with a state that is not known. See [Config.OnFail].
package shard
