package fault

import (
	"context"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"
)

// binary is quorumail, built once for all tests of the package.
var binary = sync.OnceValues(func() (string, error) {
	if bin := os.Getenv("QUORUMAIL_BIN"); bin != "" {
		return bin, nil
	}
	dir, err := os.MkdirTemp("", "quorumail-fault-")
	if err != nil {
		return "", err
	}
	return Build(context.Background(), dir)
})

func TestMain(m *testing.M) {
	status := m.Run()
	if bin, err := binary(); err == nil && os.Getenv("QUORUMAIL_BIN") == "" {
		os.RemoveAll(strings.TrimSuffix(bin, "/quorumail"))
	}
	os.Exit(status)
}

func build(t *testing.T) string {
	t.Helper()
	bin, err := binary()
	if err != nil {
		t.Fatal(err)
	}
	return bin
}

// A small kill test; run.sh makes large ones.
func TestKill(t *testing.T) {
	o := Options{
		Bin: build(t), Dir: t.TempDir(), Kills: 2, Stops: 1, Blackouts: 1,
		Seed: uint64(time.Now().UnixNano()), Out: testWriter{t},
	}
	if testing.Short() {
		o.Kills, o.Stops = 1, 0
	}
	t.Logf("seed %d", o.Seed)
	if err := KillTest(t.Context(), o); err != nil {
		t.Fatal(err)
	}
}

type testWriter struct{ t *testing.T }

func (w testWriter) Write(p []byte) (int, error) {
	w.t.Logf("%s", strings.TrimSuffix(string(p), "\n"))
	return len(p), nil
}

// shell starts a shell script as a Process.
func shell(t *testing.T, script string) *Process {
	t.Helper()
	sh, err := exec.LookPath("sh")
	if err != nil {
		t.Fatal(err)
	}
	p, err := start(t.TempDir(), "script", sh, "-c", script)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.Kill)
	return p
}

func TestProcess_Ready(t *testing.T) {
	p := shell(t, "echo 'IMAP  127.0.0.1:143'; echo ready; exec sleep 60")
	if err := p.WaitReady(t.Context()); err != nil {
		t.Fatal(err)
	}
	if v, err := p.Value("IMAP"); v != "127.0.0.1:143" || err != nil {
		t.Error(v, err)
	}
	if _, err := p.Value("LMTP"); err == nil {
		t.Error("a value that was not printed")
	}
	if !p.Alive() {
		t.Error("not alive")
	}
	p.Kill()
	if p.Alive() {
		t.Error("alive after Kill")
	}
}

func TestProcess_EndsBeforeReady(t *testing.T) {
	p := shell(t, "echo no luck >&2; exit 3")
	err := p.WaitReady(t.Context())
	if err == nil || !strings.Contains(err.Error(), "exit status 3") || !strings.Contains(err.Error(), "no luck") {
		t.Error(err)
	}
}

func TestProcess_NotReadyInTime(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if err := shell(t, "exec sleep 60").WaitReady(ctx); err == nil || !strings.Contains(err.Error(), "is not ready") {
		t.Error(err)
	}
}

func TestProcess_Stop(t *testing.T) {
	p := shell(t, "trap 'exit 0' TERM; echo ready; while :; do sleep 0.01; done")
	if err := p.WaitReady(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := p.Stop(10 * time.Second); err != nil {
		t.Error(err)
	}
	p = shell(t, "trap '' TERM; echo ready; while :; do sleep 0.01; done")
	if err := p.WaitReady(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := p.Stop(50 * time.Millisecond); err == nil || !strings.Contains(err.Error(), "did not stop") {
		t.Error(err)
	}
}
