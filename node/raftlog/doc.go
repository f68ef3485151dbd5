// Package raftlog holds the Raft logs and the stable state of all groups of a
// node in one sequence of files.
//
// Each [Group] is a raft.LogStore and raft.StableStore. All groups append to one
// stream of records, so that those that append at the same time share a write and
// an fsync: while one is under way, what the others want waits and is the next. If
// that is much, it is written while the one before is still being synced, since a
// large write takes as long as its fsync; it is acknowledged after its own.
// That is the group commit; nothing here waits in order to gather more. A record
// is written once: what is no longer wanted is dropped by the file, not compacted.
//
// # Files
//
// The stream is cut into segments, "0000000001.seg" and so on. A record has a
// header with a checksum, the segment's number and its place, and a payload (see
// record.go). Each segment begins with a checkpoint: the bounds of all logs and
// all stable values. So a segment is needed only for the entries in it, and the
// oldest can go once none of them is wanted. If one group holds an old segment
// back while much behind it is free, its entries are written again at the
// stream's end; so at most about half of the disk space is waste. Files that are
// free are kept as "spare-…" and written over: a disk flushes data faster if the
// file need not grow.
//
// Where each entry lies is kept in memory, 16 octets an entry, and read back from
// the segments when the store opens.
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
// behind. So an append that would make a gap drops all before it.
//
// # Failure
//
// A write or sync that fails leaves the file in an unknown state, and trying
// again hides that (the kernel may have dropped the dirty page). The store is
// then failed for good: [Options.OnFatal] is told once, every later call fails.
//
// A crash may tear what was being written at the stream's end. What cannot be
// read there is cut off, unless a later record shows that it had been synced:
// each record says up to where the stream was known to be durable. That, and
// anything that cannot be read elsewhere, is damage, and the store does not open.
//
// # Goroutines
//
// The store starts none: whoever commits first writes for those that wait.
package raftlog
