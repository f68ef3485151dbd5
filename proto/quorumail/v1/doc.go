// Package quorumailv1 is the wire of Quorumail: the gRPC services between
// frontends and storage nodes, the log entries of the Raft groups, and the
// data that both carry. Everything but this file is generated from the .proto
// files beside it (go generate ./proto/...), whose comments are the
// documentation.
package quorumailv1

//go:generate sh -c "cd ../.. && go run github.com/bufbuild/buf/cmd/buf@v1.75.0 generate"
