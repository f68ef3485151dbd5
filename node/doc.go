// Package node is a storage process: it hosts the replicas of many shards, the
// replica of the directory, and the gRPC services by which frontends and other
// nodes reach them.
//
// # What a node is made of
//
//	listener ─ gRPC ─┬─ node/service    StoreService, AdminService, DirectoryService
//	                 └─ node/transport  Raft RPCs of all groups
//	node/directory ─ group 0: which shard is where
//	node/shard     ─ one replica for each shard that the map gives to this node
//	raftfsm        ─ the state of each shard
//	node/raftlog   ─ one sequence of files with the logs of all groups, synced
//	state          ─ one Pebble with the state of all groups, without a WAL:
//	                 the Raft log is its redo log
//
// # Founding a cluster
//
// All nodes are started with the same list of peers. Each founds group 0 with
// that list, which is safe because it is the same list. Whichever node then leads
// group 0 proposes the first map, unless there is one; the others find it by
// replication. A node opens the replicas that the map gives it and founds their
// groups in the same way. Restarted nodes find everything on their disk and do
// none of this again.
//
// The peers' addresses are those of the configuration. When they differ from the
// map, the leader of the directory puts the new ones into the map, so that
// frontends find nodes that have moved.
//
// # What a wiped node must not do
//
// A node that has lost its disk has forgotten whom it voted for. It must come
// back under a new id; started under its old one it would be taken for a
// founder. Nothing can tell the two apart from inside one node.
package node
