// Package nodetest runs a whole storage cluster in one process: real nodes,
// real Raft, real gRPC on 127.0.0.1, and disks in memory that can crash.
package nodetest
