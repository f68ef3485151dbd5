package node_test

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"

	"github.com/quorumail/quorumail/node"
	"github.com/quorumail/quorumail/node/client"
	"github.com/quorumail/quorumail/node/nodetest"
	"github.com/quorumail/quorumail/node/shard"
	pb "github.com/quorumail/quorumail/proto/quorumail/v1"
)

// In the environment of a process that is to be failingNode: directory, what is in the
// paths of the files that fail, and which of the operations on them does.
const failingNodeEnv = "NODE_TEST_FAILING"

// enoughOperations is how many there are to choose from. Files of the state are written
// by the clock, and a fast machine appends much between.
const enoughOperations = 5

// failingNode is a process: a node by itself on the real file system, one of whose
// operations fails, and a client that appends. It prints what the client was told. What
// ends it is what ends a node; if nothing does, it prints how many operations there
// were.
func failingNode(dir, match string, at int64) (err error) {
	var count atomic.Int64
	var armed atomic.Bool
	disk := errorfs.Wrap(vfs.Default, errorfs.InjectorFunc(func(op errorfs.Op) error {
		if !armed.Load() || !strings.Contains(filepath.Base(op.Path), match) || op.Kind.ReadOrWrite() == errorfs.OpIsRead || op.Kind == errorfs.OpRemove || op.Kind == errorfs.OpFileClose {
			return nil
		}
		if count.Add(1) != at {
			return nil
		}
		fmt.Printf("failed operation %d of %s\n", op.Kind, op.Path)
		return &fs.PathError{Op: "write", Path: op.Path, Err: syscall.EIO}
	}))
	lis, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	addr := lis.Addr().String()
	short := 5 * time.Millisecond
	n, err := node.Open(context.Background(), node.Config{
		ID: "n1", DataDir: dir, FS: disk, Listener: lis, Peers: map[string]string{"n1": addr}, Shards: 1,
		Timing:  shard.Timing{Heartbeat: short, Election: short, Lease: short, Commit: short},
		Limits:  shard.Limits{SnapshotBytes: 16 << 10, SnapshotEvery: 20 * time.Millisecond, TrailingBytes: 1, TrailingLogs: 8},
		MinFree: -1, Upkeep: -1, BlockCache: 8 << 20, MemTable: 4 << 20, LogCache: 8 << 20,
	})
	if err != nil {
		return err
	}
	c, err := client.New(client.Config{Nodes: []string{addr}, AttemptTimeout: time.Second, RequestTimeout: 20 * time.Second})
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	if err := c.WaitReady(ctx); err != nil {
		return err
	}
	s := c.Session("alice")
	_, err = s.Propose(ctx, &pb.Entry{Op: &pb.Entry_CreateAccount{CreateAccount: &pb.CreateAccountOp{UidValiditySeed: 7}}})
	if err != nil {
		return err
	}
	armed.Store(true)
	for i := 0; i < 60 || count.Load() < enoughOperations || at > 0; i++ { // at some time it will fail
		text := fmt.Sprintf("%d %s", i, strings.Repeat("body ", 1000))
		if _, err := s.Propose(ctx, appendEntry(message(text))); err != nil {
			return err
		}
		fmt.Println("acked", i)
	}
	armed.Store(false)
	fmt.Println("operations", count.Load())
	return errors.Join(c.Close(), n.Close(ctx))
}

// runFailingNode runs the process, and returns what it printed, and how it ended.
func runFailingNode(t *testing.T, dir, match string, at int64) (lines []string, stderr string, err error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, os.Args[0])
	cmd.Env = append(os.Environ(), fmt.Sprintf("%s=%s:%s:%d", failingNodeEnv, dir, match, at))
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	err = cmd.Run()
	for sc := bufio.NewScanner(&out); sc.Scan(); {
		lines = append(lines, sc.Text())
	}
	return lines, errs.String(), err
}

// Where a write of Pebble's own files fails, what would come next is a panic, or a
// process that must not go on; so the process is a real one. It ends with status 1, as
// for any other failed write, and what had been acknowledged is there.
func TestFailedWriteEndsTheProcess(t *testing.T) {
	points := max(2, *eioPoints/5)
	for _, match := range []string{"MANIFEST", ".blob", ".sst"} {
		lines, stderr, err := runFailingNode(t, filepath.Join(t.TempDir(), "n1"), match, 0)
		if err != nil || len(lines) == 0 {
			t.Fatalf("%s: without a failure: %v\n%s", match, err, stderr)
		}
		count, err := strconv.Atoi(strings.TrimPrefix(lines[len(lines)-1], "operations "))
		if err != nil || count < enoughOperations {
			t.Fatalf("%s: %v: %v", match, lines, err)
		}
		for i := range points {
			at := 2 + i*count/points // the second of a file is a write
			t.Run(fmt.Sprint(match, " ", at), func(t *testing.T) { failProcess(t, match, int64(at)) })
		}
	}
}

func failProcess(t *testing.T, match string, at int64) {
	dir := t.TempDir()
	lines, stderr, err := runFailingNode(t, filepath.Join(dir, "n1"), match, at)
	failed := ""
	acked := make(map[string]bool)
	for _, line := range lines {
		if n, ok := strings.CutPrefix(line, "acked "); ok {
			acked[n] = true
		} else if strings.HasPrefix(line, "failed ") {
			failed = line
		}
	}
	var exit *exec.ExitError
	switch {
	case failed == "":
		t.Fatalf("nothing has failed: %v\n%s", err, stderr)
	case !errors.As(err, &exit) || exit.ExitCode() != 1 || strings.Contains(stderr, "panic"):
		t.Errorf("%s: the process ends with %v\n%s", failed, err, stderr)
	}
	c := nodetest.Start(t, nodetest.Options{Nodes: 1, Dir: dir})
	u := login(t, c.Client(t), "alice")
	_, uids := u.open()
	got, _, err := u.fetch(&pb.FetchRequest{Uids: packed(uids), Envelope: true})
	if err != nil {
		t.Fatal(err)
	}
	there := make(map[string]int)
	for _, m := range got {
		n, _, _ := strings.Cut(string(m.msg.GetEmail().GetEnvelope().GetSubject()), " ")
		there[n]++
	}
	for n := range acked {
		if there[n] != 1 {
			t.Errorf("%s: message %s is there %d times", failed, n, there[n])
		}
	}
	c.HashesEqual(t)
	t.Logf("%s; %d were acknowledged, %d are there", failed, len(acked), len(there))
}

// childProcess runs what the environment asks for in place of the tests, and says
// whether it asks for anything.
func childProcess() (asked bool, err error) {
	spec := os.Getenv(failingNodeEnv)
	if spec == "" {
		return false, nil
	}
	part := strings.Split(spec, ":")
	if len(part) != 3 {
		return true, fmt.Errorf("%s=%q", failingNodeEnv, spec)
	}
	at, err := strconv.ParseInt(part[2], 10, 64)
	if err != nil {
		return true, err
	}
	return true, failingNode(part[0], part[1], at)
}
