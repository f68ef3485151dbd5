package load

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func execute(t *testing.T, args ...string) (stdout string, err error) {
	t.Helper()
	cmd := Command()
	var out, progress bytes.Buffer
	cmd.SetArgs(args)
	cmd.SetOut(&out)
	cmd.SetErr(&progress)
	cmd.SilenceUsage, cmd.SilenceErrors = true, true
	err = cmd.ExecuteContext(contextOf(t))
	return out.String(), err
}

func TestCommand_Run(t *testing.T) {
	target := memoryServer(t)
	file := filepath.Join(t.TempDir(), "table.md")
	args := []string{"run", "--imap", target.IMAP[0].Addr, "--account", "a@example.org:x", "--only", "^append-to-idle$", "--markdown", file}
	out, err := execute(t, args...)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"APPEND to the line", "cores", "GOMAXPROCS", target.IMAP[0].Addr} {
		if !strings.Contains(out, want) {
			t.Errorf("lacks %q:\n%s", want, out)
		}
	}
	if md, err := os.ReadFile(file); err != nil || !strings.Contains(string(md), "| APPEND to the line") {
		t.Errorf("%v:\n%s", err, md)
	}
	args[4] = "a@example.org:wrong"
	if _, err := execute(t, args...); err == nil || !strings.Contains(err.Error(), "append-to-idle") {
		t.Errorf("got %v, want an error that names the scenario", err)
	}
}

func TestCommand_List(t *testing.T) {
	out, err := execute(t, "list", "--scale", "full")
	if err != nil {
		t.Fatal(err)
	}
	if n := strings.Count(out, "\n"); n != len(Scenarios())+len(trials(Scales()["full"])) || !strings.Contains(out, "SELECT of 1000000 messages") {
		t.Errorf("%d lines:\n%s", n, out)
	}
}

func TestCommand_BadFlags(t *testing.T) {
	for _, args := range [][]string{
		{"run", "--scale", "huge"}, {"run", "--only", "("}, {"run", "--rounds", "-1"}, {"run", "--account", "nobody"},
		{"compare", "--side", "left", "--dir", t.TempDir()}, {"list", "--scale", "x"}, {"nonsense"},
	} {
		if _, err := execute(t, args...); err == nil {
			t.Errorf("%v: no error", args)
		}
	}
}
