package node

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// identity is what a data directory says of itself. A node that started on the
// data of another would vote in its name.
type identity struct {
	Version int    `json:"version"`
	Node    string `json:"node"`
	Cluster string `json:"cluster"`
}

const identityFile = "identity.json"

// claim checks that a data directory is the node's, or makes an empty one so.
func claim(f vfs.FS, dir string, want identity) error {
	if err := f.MkdirAll(dir, 0o750); err != nil {
		return fmt.Errorf("create %s: %w", dir, err)
	}
	path := f.PathJoin(dir, identityFile)
	got, err := readIdentity(f, path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return writeIdentity(f, dir, path, want)
	case err != nil:
		return fmt.Errorf("read %s: %w", path, err)
	case got != want:
		return fmt.Errorf("%s belongs to node %q of cluster %q (version %d), not to %q of %q",
			dir, got.Node, got.Cluster, got.Version, want.Node, want.Cluster)
	}
	return nil
}

func readIdentity(f vfs.FS, path string) (id identity, err error) {
	file, err := f.Open(path)
	if err != nil {
		return id, err
	}
	defer file.Close()
	data, err := io.ReadAll(io.LimitReader(file, 64<<10))
	if err != nil {
		return id, err
	}
	return id, json.Unmarshal(data, &id)
}

// writeIdentity makes the file appear whole or not at all.
func writeIdentity(f vfs.FS, dir, path string, id identity) (err error) {
	names, err := f.List(dir)
	if err != nil {
		return err
	}
	for _, n := range names {
		if n != identityFile+".new" {
			return fmt.Errorf("%s has no %s, but is not empty", dir, identityFile)
		}
	}
	data, err := json.Marshal(id)
	if err != nil {
		return err
	}
	file, err := f.Create(path+".new", vfs.WriteCategoryUnspecified)
	if err != nil {
		return err
	}
	_, err = file.Write(append(data, '\n'))
	if err := errors.Join(err, file.Sync(), file.Close()); err != nil {
		return err
	}
	if err := f.Rename(path+".new", path); err != nil {
		return err
	}
	if err := syncDir(f, dir); err != nil {
		return err
	}
	// The directory itself may be new. Whoever made those above it is to see to
	// them, and they need not be ours to read.
	if err := syncDir(f, f.PathDir(dir)); err != nil && !errors.Is(err, fs.ErrPermission) {
		return err
	}
	return nil
}

func syncDir(f vfs.FS, dir string) error {
	d, err := f.OpenDir(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}
