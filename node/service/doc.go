// Package service holds the gRPC handlers of a storage node: StoreService,
// AdminService and DirectoryService. They decode, check that the request has
// come to the right place, call the replica or its state, and encode; what a
// command does is decided in raftfsm.
//
// # Where a read reads
//
// A linearizable read asks the leader for a read index and waits until the state
// has reached it. Any other read waits, for a bounded time, until the state has
// reached what its session has seen; a replica that does not get there says
// NOT_READY and another is asked. Then a raftfsm.View is taken, which never changes,
// and everything in the response is of that view, except in Fetch: a view pins
// what compactions would otherwise remove, so Fetch takes a newer one every now
// and then while a slow client reads. Each message is of one view.
//
// # What bounds a request
//
// Commands of a stream go to their replicas' queues without waiting for each other,
// up to a number; a sender that does not take their outcomes is not read from beyond
// that. Responses are sent in batches of bounded size, one at a time: gRPC's flow
// control holds the handler back when the client is slow, and nothing is read
// ahead. A watch holds at most one merged event for each of its accounts, whatever
// happens meanwhile. Handlers end as soon as the client is gone.
package service
