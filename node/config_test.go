package node

import (
	"strings"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/quorumail/quorumail/node/shard"
)

func TestConfigValidate(t *testing.T) {
	good := func() Config {
		return Config{
			ID: "n1", DataDir: "d", Listen: "127.0.0.1:0",
			Peers: map[string]string{"n1": "127.0.0.1:7001", "n2": "mail2.example.org:7001"},
		}
	}
	c := good()
	if err := c.Validate(); err != nil {
		t.Fatalf("good config: %v", err)
	}
	for want, spoil := range map[string]func(*Config){
		"id \"\"":            func(c *Config) { c.ID = "" },
		"id \"a/b\"":         func(c *Config) { c.ID = "a/b"; c.Peers["a/b"] = "x:1" },
		"data directory":     func(c *Config) { c.DataDir = "" },
		"listen address":     func(c *Config) { c.Listen = "" },
		"peers do not name":  func(c *Config) { delete(c.Peers, "n1") },
		"peer n2: address":   func(c *Config) { c.Peers["n2"] = "mail2.example.org" },
		"peer id \"\"":       func(c *Config) { c.Peers[""] = "x:1" },
		"shards":             func(c *Config) { c.Shards = 100_000 },
		"3 replicas on 2":    func(c *Config) { c.Replicas = 3 },
		"longer than heartb": func(c *Config) { c.Timing = shard.Timing{Heartbeat: time.Second, Lease: time.Minute} },
	} {
		c := good()
		spoil(&c)
		if err := c.Validate(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("want an error with %q, got %v", want, err)
		}
	}
}

func TestConfigDefaults(t *testing.T) {
	c := (&Config{ID: "n1", Peers: map[string]string{"n1": "x:1", "n2": "y:1"}}).withDefaults()
	if c.Shards != 4 || c.Replicas != 2 || c.Cluster != "quorumail" || c.FS == nil || c.Log == nil || c.OnFatal == nil {
		t.Errorf("defaults: %+v", c)
	}
}

// A data directory has one owner for ever.
func TestClaim(t *testing.T) {
	fs := vfs.NewCrashableMem()
	mine := identity{Version: 1, Node: "n1", Cluster: "c"}
	for range 2 {
		if err := claim(fs, "data", mine); err != nil {
			t.Fatal(err)
		}
		fs = fs.CrashClone(vfs.CrashCloneCfg{}) // durable at once
	}
	for _, other := range []identity{{1, "n2", "c"}, {1, "n1", "d"}, {2, "n1", "c"}} {
		if err := claim(fs, "data", other); err == nil || !strings.Contains(err.Error(), `belongs to node "n1"`) {
			t.Errorf("%v: %v", other, err)
		}
	}
	if err := fs.MkdirAll("other/photos", 0o755); err != nil {
		t.Fatal(err)
	}
	if err := claim(fs, "other", mine); err == nil {
		t.Error("a directory with somebody's files is taken")
	}
}

// fullFS is a file system with so much space left.
type fullFS struct {
	vfs.FS
	free uint64
}

func (f *fullFS) GetDiskUsage(string) (vfs.DiskUsage, error) {
	return vfs.DiskUsage{AvailBytes: f.free}, nil
}

func TestDiskGuard(t *testing.T) {
	fs := &fullFS{FS: vfs.NewMem()}
	cfg := (&Config{ID: "n1", FS: fs, MinFree: 1000}).withDefaults()
	var g diskGuard
	for i, step := range []struct {
		free     uint64
		readOnly bool
	}{{1000, false}, {999, true}, {1050, true}, {1100, false}, {0, true}} {
		fs.free = step.free
		g.check(cfg)
		if got := g.reason() != ""; got != step.readOnly {
			t.Errorf("step %d, %d free: read-only %v, want %v", i, step.free, got, step.readOnly)
		}
	}
	cfg.MinFree = -1
	g = diskGuard{}
	if g.check(cfg); g.reason() != "" {
		t.Error("no guard was wanted")
	}
}
