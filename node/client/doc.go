// Package client is what a frontend holds of the cluster: it finds the shard of
// an account, follows its leader, retries with the same request id, and
// carries the token by which a session never sees time go back.
//
// # A request's way
//
//  1. The account's slot is looked up in the map, which is cached and watched. A
//     client with an old map is corrected by the node that it asks.
//  2. The attempt goes to the replica that is believed to lead the shard. Beliefs
//     come from answers: a replica that does not lead names the one that does.
//  3. An attempt that makes no progress for AttemptTimeout is given up, so that a
//     dead or stopped node costs seconds and not the whole budget of the request.
//  4. Whatever may be better next time is tried again, with exponential backoff and
//     jitter, until the request's context ends. Mutations keep their request id,
//     so doing them again does nothing but return the first result.
//
// Reads inside a session carry the highest index that the session has seen, and
// may then be answered by any replica that has reached it; the leader is asked
// first, since it surely has.
//
// # Goroutines
//
// One follows the map. For each node that commands have gone to, two serve the
// stream that all sessions' commands share. For each shard that is watched, two serve
// one stream, and all watches of the shard share it. Sessions have none, but while a watch looks
// for where its account has gone.
package client
