package main

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/quorumail/quorumail/bench/traffic"
)

// running is a command in this process that runs until it is stopped.
type running struct {
	cancel context.CancelFunc
	values map[string]string // of the lines on stdout, by their first word
	stderr *lockedBuffer
	err    chan error
}

type lockedBuffer struct {
	mu sync.Mutex
	sb strings.Builder
}

func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.sb.Write(p)
}

func (b *lockedBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.sb.String()
}

// startDev runs dev on data and returns when it is ready.
func startDev(t *testing.T, data string, args ...string) *running {
	t.Helper()
	return startCommand(t, append([]string{"dev", "--data", data, "--imap", "127.0.0.1:0", "--lmtp", "127.0.0.1:0"}, args...)...)
}

// startCommand runs a command and returns when it is ready.
func startCommand(t *testing.T, args ...string) *running {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	r := &running{cancel: cancel, values: make(map[string]string), stderr: new(lockedBuffer), err: make(chan error, 1)}
	pr, pw := io.Pipe()
	args = append(args, "--log-level", "warn")
	go func() {
		r.err <- run(ctx, args, strings.NewReader(""), pw, r.stderr)
		pw.Close()
	}()
	t.Cleanup(func() { cancel(); go io.Copy(io.Discard, pr) })
	sc := bufio.NewScanner(pr)
	for sc.Scan() {
		key, value, _ := strings.Cut(sc.Text(), " ")
		r.values[key] = strings.TrimSpace(value)
		if key == "ready" {
			go io.Copy(io.Discard, pr)
			return r
		}
	}
	t.Fatalf("%s ended before it was ready: %v\n%s", args[0], <-r.err, r.stderr)
	return nil
}

// stop ends the command as a signal does.
func (r *running) stop(t *testing.T) {
	t.Helper()
	r.cancel()
	select {
	case err := <-r.err:
		if err != nil {
			t.Fatalf("stopped: %v\n%s", err, r.stderr)
		}
	case <-time.After(30 * time.Second):
		t.Fatalf("it does not stop\n%s", r.stderr)
	}
}

func (r *running) login(t *testing.T, user, password string) *traffic.Conn {
	t.Helper()
	c, err := traffic.Dial(t.Context(), r.values["IMAP"], nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	if err := c.Login(user, password); err != nil {
		t.Fatal(err)
	}
	return c
}

// status returns the answer of STATUS INBOX.
func status(t *testing.T, c *traffic.Conn, items string) string {
	t.Helper()
	lines, err := c.OK("STATUS INBOX (%s)", items)
	if err != nil || len(lines) != 1 {
		t.Fatal(lines, err)
	}
	return lines[0]
}

func TestDev_RestartKeepsEverything(t *testing.T) {
	data := filepath.Join(t.TempDir(), "data")
	r := startDev(t, data)
	c := r.login(t, "alice@example.org", "secret")
	for i := range 3 {
		text := fmt.Sprintf("Message-ID: <%d@dev>\r\n\r\nhello\r\n", i)
		if _, err := c.Append("INBOX", nil, time.Time{}, int64(len(text)), strings.NewReader(text)); err != nil {
			t.Fatal(err)
		}
	}
	const items = "MESSAGES UIDNEXT UIDVALIDITY HIGHESTMODSEQ"
	before, nodes := status(t, c, items), r.values["nodes"]

	// A second one on the same data is told so, at once.
	err := run(t.Context(), []string{"dev", "--data", data}, strings.NewReader(""), io.Discard, io.Discard)
	if err == nil || !strings.Contains(err.Error(), "is in use by another process") {
		t.Errorf("a second dev on the same data: %v", err)
	}
	r.stop(t)

	r = startDev(t, data, "--user", "carol:other")
	if r.values["nodes"] != nodes {
		t.Errorf("nodes were at %s and are at %s", nodes, r.values["nodes"])
	}
	if after := status(t, r.login(t, "alice@example.org", "secret"), items); after != before {
		t.Errorf("before %s, after %s", before, after)
	}
	r.login(t, "carol", "other")
	r.stop(t)
}

func TestDev_DemoOnce(t *testing.T) {
	data := t.TempDir()
	want := fmt.Sprintf("STATUS INBOX (MESSAGES %d UNSEEN %d)", demoMessages, demoUnread)
	r := startDev(t, data, "--demo")
	if got := status(t, r.login(t, "alice@example.org", "secret"), "MESSAGES UNSEEN"); got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	if !strings.Contains(r.stderr.String(), fmt.Sprintf("demo mail for alice@example.org: %d/%d\n", demoMessages, demoMessages)) {
		t.Errorf("no progress was shown: %s", r.stderr)
	}
	r.stop(t)
	r = startDev(t, data, "--demo")
	if got := status(t, r.login(t, "alice@example.org", "secret"), "MESSAGES UNSEEN"); got != want {
		t.Errorf("after a restart: got %s, want %s", got, want)
	}
	r.stop(t)
}

// Ports that others have taken meanwhile are given up.
func TestDevDir_ListensElsewhereIfTaken(t *testing.T) {
	d, err := openDevDir(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	first, err := d.listen([]string{"n1"})
	if err != nil {
		t.Fatal(err)
	}
	defer first["n1"].Close()
	was := d.state.Nodes["n1"]
	second, err := d.listen([]string{"n1"})
	if err != nil {
		t.Fatal(err)
	}
	defer second["n1"].Close()
	if d.state.Nodes["n1"] == was {
		t.Errorf("two listeners at %s", was)
	}
}

func TestDevDir_RefusesWhatItCannotRead(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "dev.json"), []byte("{"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := openDevDir(dir); err == nil {
		t.Error("a broken dev.json is taken")
	}
}
