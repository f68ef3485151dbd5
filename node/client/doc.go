// Package client is what a frontend holds of the cluster: it finds the shard of
// an account, follows its leader, retries with the same request id, and
// carries the token by which a session never sees time go back.
package client
