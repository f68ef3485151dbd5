// Package nodetest runs a whole storage cluster in one process: real nodes,
// real Raft, real gRPC on 127.0.0.1, and disks in memory that can crash.
//
// A node can be stopped properly, killed as by a power cut, cut off from the
// others, or frozen as by SIGSTOP, and started again on what its disk holds. It
// keeps its address throughout.
package nodetest
