package node

import (
	"fmt"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// failStop is the file system of the state store: a write or an fsync that fails ends
// the node there and then, before the store learns of it. Pebble would try again to
// flush and to compact, for ever, on a disk of which nothing is known any more; after a
// MANIFEST that cannot be written it counts on its logger to end the process; and after
// a file of bodies that cannot be written it gives that file up twice (2.1.7,
// blob.FileWriter), which is a panic. Where fatal returns, as in tests, the error goes
// on to the store.
type failStop struct {
	vfs.FS
	fatal func(error)
}

// Create implements vfs.FS.
func (f *failStop) Create(name string, category vfs.DiskWriteCategory) (vfs.File, error) {
	file, err := f.FS.Create(name, category)
	return f.watch("create", name, file, err)
}

// ReuseForWrite implements vfs.FS.
func (f *failStop) ReuseForWrite(old, name string, category vfs.DiskWriteCategory) (vfs.File, error) {
	file, err := f.FS.ReuseForWrite(old, name, category)
	return f.watch("reuse", name, file, err)
}

// OpenReadWrite implements vfs.FS.
func (f *failStop) OpenReadWrite(name string, category vfs.DiskWriteCategory, opts ...vfs.OpenOption) (vfs.File, error) {
	file, err := f.FS.OpenReadWrite(name, category, opts...)
	return f.watch("open", name, file, err)
}

// OpenDir implements vfs.FS. What is opened is to be synced.
func (f *failStop) OpenDir(name string) (vfs.File, error) {
	file, err := f.FS.OpenDir(name)
	return f.watch("open directory", name, file, err)
}

// Rename implements vfs.FS.
func (f *failStop) Rename(old, name string) error {
	return f.judge("rename", name, f.FS.Rename(old, name))
}

// Unwrap implements vfs.FS.
func (f *failStop) Unwrap() vfs.FS { return f.FS }

func (f *failStop) watch(op, name string, file vfs.File, err error) (vfs.File, error) {
	if err != nil {
		return nil, f.judge(op, name, err)
	}
	return watchedFile{File: file, fs: f, name: name}, nil
}

// judge ends the node if an operation has failed.
func (f *failStop) judge(op, name string, err error) error {
	if err != nil {
		f.fatal(fmt.Errorf("state store: %s %s: %w", op, name, err))
	}
	return err
}

// watchedFile is a file of a failStop.
type watchedFile struct {
	vfs.File
	fs   *failStop
	name string
}

// Write implements vfs.File.
func (w watchedFile) Write(b []byte) (int, error) {
	n, err := w.File.Write(b)
	return n, w.fs.judge("write", w.name, err)
}

// WriteAt implements vfs.File.
func (w watchedFile) WriteAt(b []byte, at int64) (int, error) {
	n, err := w.File.WriteAt(b, at)
	return n, w.fs.judge("write", w.name, err)
}

// Sync implements vfs.File.
func (w watchedFile) Sync() error { return w.fs.judge("sync", w.name, w.File.Sync()) }

// SyncData implements vfs.File.
func (w watchedFile) SyncData() error { return w.fs.judge("sync", w.name, w.File.SyncData()) }

// SyncTo implements vfs.File.
func (w watchedFile) SyncTo(length int64) (bool, error) {
	full, err := w.File.SyncTo(length)
	return full, w.fs.judge("sync", w.name, err)
}
