// Package raftlog holds the Raft logs and the stable state of all groups of a
// node in one Pebble.
//
// Each [Group] is a raft.LogStore and raft.StableStore. StoreLogs is one batch,
// synced: groups that append at the same time share an fsync, since Pebble's
// commit pipeline syncs its one write-ahead log for all that wait. That is the
// group commit; nothing here waits in order to gather more.
//
// # Layout
//
//	group (4 octets, big endian) 'l' index (8 octets, big endian)  an entry
//	group 's' name                                                 a stable value
//	0xffffffff 'v'                                                 version of this layout
//
// # What is durable when
//
// Appended entries and stable values are durable when the call returns.
// Truncation of the tail (a conflict with a new leader) is too, since an entry
// that came back could be taken for one that was acknowledged. Truncation of the
// head is not: entries that come back are a correct prefix, and the next
// truncation takes them again.
//
// A log has no gaps. After a snapshot was installed Raft goes on at the
// snapshot's index and leaves older entries behind, some of which may never have
// been committed; a later leader would hand them to a follower that is further
// behind. So the batch that would make a gap drops all before it.
//
// # Failure
//
// A write or sync that fails leaves the file in an unknown state, and trying
// again hides that (the kernel may have dropped the dirty page). The store is
// then failed for good: [Options.OnFatal] is told once, every later call fails.
package raftlog
