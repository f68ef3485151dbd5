// Package transport carries the Raft RPCs of all groups of a node over a pair
// of gRPC streams to each other node.
//
// A [Mux] is a node's end of it. To each peer it holds two links, each with a
// connection and a stream of its own: control for heartbeats, votes,
// confirmations and small appends, bulk for large appends, so that a heartbeat
// never waits behind megabytes. They are opened when first needed and again, with
// backoff, when they break. A peer opens its own two the other way. Snapshots
// have a connection each, for as long as they take.
//
// # Promises
//
//   - Appends of one group to one peer arrive in the order in which they were
//     sent: a pipeline changes its link only when nothing of it is under way.
//   - No group can block another: what arrives is put into a bounded queue of its
//     group, and refused when that is full. Nothing is sent by waiting for a
//     group's answer.
//   - A heartbeat does not wait for its group's disk: it goes to the library's
//     heartbeat handler at once.
//   - A reply answers its own request, never an earlier one. [Group.Confirm]
//     rests on that.
//   - What a broken or hostile peer sends is bounded in size and checked before
//     the library sees it, which panics on some of it.
//
// An outcome may be unknown, as always in a network; Raft is made for that.
//
// # Identity
//
// The ServerAddress of a node is its id; [Config.Resolve] turns it into host and
// port at each connection, so that an address may change without a membership
// change. The caller of a stream names the node it means: an address that has
// gone to another node would otherwise let one node vote for two.
package transport
