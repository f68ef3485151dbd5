package transport

import "strings"

// A server is a node with the disk that it has. A node that has lost its disk has
// lost its votes with it, and what it had acknowledged: under its old name it would
// count as one that remembers them. So what the groups of a cluster know as their
// members are servers, "node~incarnation"; a node of an older layout is one without
// an incarnation. A stream names the server that is meant, and any other that
// listens at the node's address refuses it.

// ServerID returns the id of a server; incarnation may be empty.
func ServerID(node, incarnation string) string {
	if incarnation == "" {
		return node
	}
	return node + "~" + incarnation
}

// NodeOf returns the id of a server's node.
func NodeOf(server string) string {
	node, _, _ := strings.Cut(server, "~")
	return node
}
