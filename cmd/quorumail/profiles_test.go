package main

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// Node and frontend serve all that a question of speed needs: where the processor
// time goes, what holds memory, what is contended for and what is waited for.
func TestProfiles(t *testing.T) {
	lis, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	addr := lis.Addr().String()
	lis.Close() // the node takes it in a moment
	node := startCommand(t, "node", "--id", "n1", "--data", filepath.Join(t.TempDir(), "n1"), "--listen", addr,
		"--peer", "n1="+addr, "--shards", "1", "--heartbeat", "200ms", "--pprof", "127.0.0.1:0")
	front := startCommand(t, "front", "--nodes", addr, "--imap", "127.0.0.1:0", "--pprof", "127.0.0.1:0")
	for name, p := range map[string]*running{"node": node, "front": front} {
		for _, profile := range []struct{ path, begins string }{
			{"profile?seconds=1", "\x1f\x8b"}, // gzip
			{"heap?debug=1", "heap profile: "},
			{"mutex?debug=1", "--- mutex:\ncycles/second="},
			{"block?debug=1", "--- contention:\ncycles/second="},
			{"goroutine?debug=1", "goroutine profile: total "},
		} {
			if err := fetchProfile(p.values["pprof"], profile.path, profile.begins); err != nil {
				t.Errorf("%s: %v", name, err)
			}
		}
		// That it is served does not mean that anything is noted: some goroutine of
		// either waits for longer than a millisecond all the time.
		if err := fetchProfile(p.values["pprof"], "block?debug=1", "", "runtime.selectgo"); err != nil {
			t.Errorf("%s: block profile is empty: %v", name, err)
		}
	}
	front.stop(t)
	node.stop(t)
}

// fetchProfile checks how a profile begins and what is in it.
func fetchProfile(addr, path, begins string, holds ...string) error {
	client := http.Client{Timeout: 30 * time.Second}
	resp, err := client.Get("http://" + addr + "/debug/pprof/" + path)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	if resp.StatusCode != http.StatusOK || !strings.HasPrefix(string(body), begins) {
		return fmt.Errorf("%s: %s: begins with %.60q, want %q", path, resp.Status, body, begins)
	}
	for _, want := range holds {
		if !strings.Contains(string(body), want) {
			return fmt.Errorf("%s: nothing of %s in %d octets", path, want, len(body))
		}
	}
	return nil
}
