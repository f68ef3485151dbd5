package node

import (
	"bytes"
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"io/fs"
	"slices"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// identity is what a data directory says of itself. A node that started on the
// data of another would vote in its name.
type identity struct {
	Version int    `json:"version"`
	Node    string `json:"node"`
	Cluster string `json:"cluster"`
	// Incarnation tells this data from any other that the node ever had; drawn when
	// it is made, and empty in data of before there was one.
	Incarnation string `json:"incarnation,omitempty"`
	// Rejoins: it took the place of data that was damaged, so there is a cluster.
	Rejoins bool `json:"rejoins,omitempty"`
}

const (
	identityFile    = "identity.json"
	identityVersion = 2
	foundersFile    = "founders.json"
)

// newIdentity is that of data that is yet to be made.
func newIdentity(node, cluster string) identity {
	random := make([]byte, 6)
	_, _ = rand.Read(random) // it never fails
	return identity{Version: identityVersion, Node: node, Cluster: cluster, Incarnation: hex.EncodeToString(random)}
}

// claim checks that a data directory is the node's, or makes an empty one so.
func claim(f vfs.FS, dir, node, cluster string) (identity, error) {
	if err := makeDir(f, dir); err != nil {
		return identity{}, fmt.Errorf("create %s: %w", dir, err)
	}
	var got identity
	switch err := readJSON(f, f.PathJoin(dir, identityFile), &got); {
	case errors.Is(err, fs.ErrNotExist):
		id := newIdentity(node, cluster)
		return id, writeIdentity(f, dir, id)
	case err != nil:
		return identity{}, err
	case got.Node != node || got.Cluster != cluster || got.Version < 1 || got.Version > identityVersion:
		return identity{}, fmt.Errorf("%s belongs to node %q of cluster %q (version %d), not to %q of %q",
			dir, got.Node, got.Cluster, got.Version, node, cluster)
	}
	return got, nil
}

// makeDir makes a directory and those above it that are not there, durably but for the
// directory itself.
func makeDir(f vfs.FS, dir string) error {
	var missing []string
	for d := dir; ; d = f.PathDir(d) {
		if _, err := f.Stat(d); err == nil || d == f.PathDir(d) {
			break
		}
		missing = append(missing, d)
	}
	if err := f.MkdirAll(dir, 0o750); err != nil || len(missing) == 0 {
		return err
	}
	for _, d := range missing[1:] {
		if err := syncDir(f, f.PathDir(d)); err != nil && !errors.Is(err, fs.ErrPermission) {
			return err
		}
	}
	return nil
}

// writeIdentity makes an empty directory a node's.
func writeIdentity(f vfs.FS, dir string, id identity) error {
	names, err := f.List(dir)
	if err != nil {
		return err
	}
	for _, n := range names {
		if n != identityFile+".new" {
			return fmt.Errorf("%s has no %s, but is not empty", dir, identityFile)
		}
	}
	if err := writeJSON(f, dir, identityFile, id); err != nil {
		return err
	}
	// The directory itself may be new. Those above it need not be ours to read.
	if err := syncDir(f, f.PathDir(dir)); err != nil && !errors.Is(err, fs.ErrPermission) {
		return err
	}
	return nil
}

// founders are the server ids that a cluster was founded with.
type founders struct {
	Servers []string `json:"servers"`
}

// readFounders returns what is known of them, nil: nothing.
func readFounders(f vfs.FS, dir string) ([]string, error) {
	var got founders
	err := readJSON(f, f.PathJoin(dir, foundersFile), &got)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err == nil && (len(got.Servers) == 0 || slices.Contains(got.Servers, "")) {
		err = fmt.Errorf("read %s: it names nobody", foundersFile)
	}
	return got.Servers, err
}

// errDamagedFile says that one of the node's small files is not what was written.
var errDamagedFile = errors.New("file is damaged")

// readJSON reads what writeJSON wrote; or a first line without the second, which
// holds its checksum, as releases before wrote it.
func readJSON(f vfs.FS, path string, into any) error {
	file, err := f.Open(path)
	if err != nil {
		return fmt.Errorf("read %s: %w", path, err)
	}
	defer file.Close()
	data, err := io.ReadAll(io.LimitReader(file, 64<<10))
	if err != nil {
		return fmt.Errorf("read %s: %w", path, err)
	}
	line, sum, _ := bytes.Cut(data, []byte("\n"))
	if len(sum) > 0 && string(sum) != checksumLine(line) || json.Unmarshal(line, into) != nil {
		return fmt.Errorf("read %s: %w", path, errDamagedFile)
	}
	return nil
}

func checksumLine(line []byte) string {
	return fmt.Sprintf("crc32c %08x\n", crc32.Checksum(line, crc32.MakeTable(crc32.Castagnoli)))
}

// writeJSON makes a file appear whole, and durably, or not at all.
func writeJSON(f vfs.FS, dir, name string, v any) error {
	data, err := json.Marshal(v)
	if err != nil {
		return err
	}
	path := f.PathJoin(dir, name)
	file, err := f.Create(path+".new", vfs.WriteCategoryUnspecified)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(file, "%s\n%s", data, checksumLine(data))
	if err := errors.Join(err, file.Sync(), file.Close()); err != nil {
		return err
	}
	if err := f.Rename(path+".new", path); err != nil {
		return err
	}
	return syncDir(f, dir)
}

func syncDir(f vfs.FS, dir string) error {
	d, err := f.OpenDir(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}
