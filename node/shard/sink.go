package shard

import (
	"errors"
	"fmt"

	"github.com/cockroachdb/pebble/v2/vfs"
	"google.golang.org/protobuf/proto"

	pb "github.com/quorumail/quorumail/proto/quorumail/v1"
)

// sink implements raft.SnapshotSink: of a snapshot that is taken here, which is a
// note and no more; or of one that is received, which is written to a file.
type sink struct {
	store *snapshots
	note  *pb.SnapshotNote
	local bool     // the state is the snapshot; nothing was written
	file  vfs.File // of a received one, once something was written
	sum   checksum // of what was written
}

// ID implements raft.SnapshotSink.
func (k *sink) ID() string {
	if k.local {
		return liveID
	}
	return k.note.File
}

// coverLocal makes the sink one of a snapshot taken here: the state at index is
// durable.
func (k *sink) coverLocal(index uint64) {
	k.local = true
	k.note.StateIndex = min(index, k.note.Index)
}

func (k *sink) path() string { return k.store.fs.PathJoin(k.store.dir, k.note.File) }

// Write implements raft.SnapshotSink.
func (k *sink) Write(b []byte) (int, error) {
	n, err := k.write(b)
	return n, k.judge(err)
}

// judge stops the replica if an error is the disk's: the library would receive the
// snapshot again, and write it to the same disk.
func (k *sink) judge(err error) error {
	if IsDiskError(err) {
		k.store.fail(fmt.Errorf("receive snapshot at %d: %w", k.note.Index, err))
	}
	return err
}

func (k *sink) write(b []byte) (int, error) {
	if k.file == nil {
		f, err := k.store.fs.Create(k.path(), vfs.WriteCategoryUnspecified)
		if err != nil {
			return 0, err
		}
		k.file = f
	}
	k.sum.add(b) // before: Write may change the octets that it is given
	return k.file.Write(b)
}

// Close implements raft.SnapshotSink: the snapshot is durable when it returns.
func (k *sink) Close() error {
	if k.local {
		n := proto.CloneOf(k.note)
		n.File = ""
		err := k.store.update(func(note, received *pb.SnapshotNote) (*pb.SnapshotNote, *pb.SnapshotNote, error) {
			if note != nil && note.Index > n.Index { // one was received meanwhile
				return nil, nil, fmt.Errorf("snapshot at %d: %w, which is at %d", n.Index, errOldSnapshot, note.Index)
			}
			return n, received, nil
		})
		if err == nil {
			k.store.members.forget(n.Index)
		}
		return err
	}
	return k.judge(k.finish())
}

// finish makes what was received durable, and notes it.
func (k *sink) finish() error {
	if _, err := k.write(nil); err != nil { // an empty state has a file as well
		return err
	}
	if _, err := k.file.Write(k.sum.trailer()); err != nil {
		return err
	}
	if err := k.file.Sync(); err != nil {
		return err
	}
	if err := k.file.Close(); err != nil {
		return err
	}
	if err := k.store.syncDir(k.store.dir); err != nil {
		return err
	}
	return k.store.update(func(note, _ *pb.SnapshotNote) (*pb.SnapshotNote, *pb.SnapshotNote, error) {
		return note, k.note, nil
	})
}

// Cancel implements raft.SnapshotSink.
func (k *sink) Cancel() error {
	if k.file == nil {
		return nil
	}
	err := k.file.Close()
	k.file = nil
	return errors.Join(err, k.store.fs.Remove(k.path()))
}
