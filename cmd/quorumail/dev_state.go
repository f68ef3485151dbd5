package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"os"
	"path/filepath"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// devDir is the data directory of "quorumail dev", locked for this process:
//
//	LOCK      held while a process uses the directory
//	dev.json  devState
//	n1 n2 n3  the nodes' own directories
type devDir struct {
	path  string
	lock  io.Closer
	state devState
}

// devState is what dev remembers from one start to the next, beside what the
// nodes keep.
type devState struct {
	// Nodes is where each node listened, by id. Ports are kept where they can be,
	// so that the addresses in a shell's history go on working.
	Nodes map[string]string `json:"nodes"`
	// Demo: the demonstration mail is there.
	Demo bool `json:"demo,omitempty"`
}

// openDevDir creates the directory if need be, and locks it.
func openDevDir(path string) (*devDir, error) {
	if err := os.MkdirAll(path, 0o700); err != nil {
		return nil, fmt.Errorf("dev: data: %w", err)
	}
	lock, err := vfs.Default.Lock(filepath.Join(path, "LOCK"))
	if err != nil {
		return nil, fmt.Errorf("dev: data: %s is in use by another process: %w", path, err)
	}
	d := &devDir{path: path, lock: lock, state: devState{Nodes: make(map[string]string)}}
	data, err := os.ReadFile(d.statePath())
	switch {
	case errors.Is(err, fs.ErrNotExist):
	case err != nil:
		lock.Close()
		return nil, fmt.Errorf("dev: data: %w", err)
	default:
		if err := json.Unmarshal(data, &d.state); err != nil {
			lock.Close()
			return nil, fmt.Errorf("dev: data: %s: %w", d.statePath(), err)
		}
	}
	return d, nil
}

func (d *devDir) statePath() string { return filepath.Join(d.path, "dev.json") }

// save writes the state, all or nothing.
func (d *devDir) save() error {
	data, err := json.MarshalIndent(&d.state, "", "  ")
	if err != nil {
		return fmt.Errorf("dev: data: %w", err)
	}
	tmp := d.statePath() + ".new"
	if err := os.WriteFile(tmp, append(data, '\n'), 0o600); err != nil {
		return fmt.Errorf("dev: data: %w", err)
	}
	if err := os.Rename(tmp, d.statePath()); err != nil {
		return fmt.Errorf("dev: data: %w", err)
	}
	return nil
}

// listen opens the listeners of the nodes, where they were before if possible.
func (d *devDir) listen(ids []string) (map[string]net.Listener, error) {
	listeners := make(map[string]net.Listener, len(ids))
	for _, id := range ids {
		lis, err := listenAgain(d.state.Nodes[id])
		if err != nil {
			for _, l := range listeners {
				l.Close()
			}
			return nil, fmt.Errorf("dev: node %s: %w", id, err)
		}
		listeners[id] = lis
		d.state.Nodes[id] = lis.Addr().String()
	}
	return listeners, nil
}

// listenAgain listens on addr, or, if that is taken or empty, on a free port.
func listenAgain(addr string) (net.Listener, error) {
	if addr != "" {
		if lis, err := net.Listen("tcp", addr); err == nil {
			return lis, nil
		}
	}
	return net.Listen("tcp", "127.0.0.1:0")
}

// Close gives the directory free for others.
func (d *devDir) Close() error { return d.lock.Close() }
