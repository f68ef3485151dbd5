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
	first, err := claim(fs, "data", "n1", "c")
	if err != nil {
		t.Fatal(err)
	}
	for range 2 {
		fs = fs.CrashClone(vfs.CrashCloneCfg{}) // durable at once
		if got, err := claim(fs, "data", "n1", "c"); err != nil || got != first {
			t.Fatalf("%+v, %v; want %+v", got, err, first)
		}
	}
	for _, other := range [][2]string{{"n2", "c"}, {"n1", "d"}} {
		if _, err := claim(fs, "data", other[0], other[1]); err == nil || !strings.Contains(err.Error(), `belongs to node "n1"`) {
			t.Errorf("%v: %v", other, err)
		}
	}
	if another, err := claim(fs, "empty", "n1", "c"); err != nil || another.Incarnation == first.Incarnation {
		t.Errorf("another disk: %+v, %v; the first is %+v", another, err, first)
	}
	for name, content := range map[string]string{
		"of a release before": `{"version":1,"node":"n1","cluster":"c"}` + "\n",
		"of a later one":      `{"version":3,"node":"n1","cluster":"c"}` + "\n",
		"damaged":             `{"version":2,"node":"n1","cluster":"c"}` + "\ncrc32c 00000000\n",
	} {
		f, err := fs.Create("data/"+identityFile, vfs.WriteCategoryUnspecified)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := f.Write([]byte(content)); err != nil || f.Close() != nil {
			t.Fatal(err)
		}
		got, err := claim(fs, "data", "n1", "c")
		switch {
		case name == "of a release before":
			if err != nil || got.Incarnation != "" {
				t.Errorf("%s: %+v, %v", name, got, err)
			}
		case err == nil:
			t.Errorf("%s: is taken", name)
		case isDamage(err) != (name == "damaged"):
			t.Errorf("%s: %v", name, err)
		}
	}
	if err := fs.MkdirAll("other/photos", 0o755); err != nil {
		t.Fatal(err)
	}
	if _, err := claim(fs, "other", "n1", "c"); err == nil {
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
