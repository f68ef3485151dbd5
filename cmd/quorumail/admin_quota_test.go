package main

import (
	"io"
	"strings"
	"testing"
)

// The first user of dev is its administrator unless others are named; operators
// need none.
func TestQuota_ByOperatorAndByAdmin(t *testing.T) {
	r := startDev(t, t.TempDir())
	admin := func(args ...string) string {
		t.Helper()
		var out strings.Builder
		args = append([]string{"admin", "--nodes", r.values["nodes"]}, args...)
		if err := run(t.Context(), args, strings.NewReader("secret\n"), &out, io.Discard); err != nil {
			t.Fatalf("%v: %v", args, err)
		}
		return out.String()
	}
	want := func(got, want string) {
		t.Helper()
		if strings.Join(strings.Fields(got), " ") != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
	want(admin("quota", "bob@example.org"), "RESOURCE USED LIMIT storage 0K none messages 0 none mailboxes 1 10000")
	want(admin("quota", "bob@example.org", "--storage", "2m", "--messages", "5"), "RESOURCE USED LIMIT storage 0K 2048K messages 0 5 mailboxes 1 10000")
	want(admin("quota", "Bob@example.org", "--messages", "none", "--mailboxes", "1"), "RESOURCE USED LIMIT storage 0K 2048K messages 0 none mailboxes 1 1")
	want(admin("quota", "bob@example.org", "--json"), `{"octets":0,"messages":0,"mailboxes":1,"storage_limit":2048,"messages_limit":null,"mailboxes_limit":1}`)
	want(admin("user", "add", "carol", "--storage", "0", "--messages", "7"), "added carol")
	want(admin("quota", "carol"), "RESOURCE USED LIMIT storage 0K 0K messages 0 7 mailboxes 1 10000")
	err := run(t.Context(), []string{"admin", "--nodes", r.values["nodes"], "quota", "nobody"}, strings.NewReader(""), io.Discard, io.Discard)
	if err == nil || !strings.Contains(err.Error(), "quota: nobody: ") {
		t.Errorf("quota of nobody: %v", err)
	}

	bob := r.login(t, "bob@example.org", "secret")
	if _, err := bob.OK("CREATE a"); err == nil || !strings.Contains(err.Error(), "[OVERQUOTA]") {
		t.Errorf("a second mailbox: %v", err)
	}
	if _, err := bob.OK("SETQUOTA bob@example.org ()"); err == nil || !strings.Contains(err.Error(), "[NOPERM]") {
		t.Errorf("bob sets his quota: %v", err)
	}
	lines, err := r.login(t, "alice@example.org", "secret").OK("SETQUOTA bob@example.org (MAILBOX 2)")
	if err != nil || len(lines) != 1 || lines[0] != "QUOTA bob@example.org (MAILBOX 1 2)" {
		t.Errorf("alice sets it: %q, %v", lines, err)
	}
	if _, err := bob.OK("CREATE a"); err != nil {
		t.Errorf("a second mailbox then: %v", err)
	}
	want(admin("quota", "bob@example.org"), "RESOURCE USED LIMIT storage 0K none messages 0 none mailboxes 2 2")
	r.stop(t)
}

func TestParseUnits(t *testing.T) {
	for in, want := range map[string]uint64{"0": 0, "0K": 0, "1k": 1, "500M": 500 << 10, "2G": 2 << 20, "1t": 1 << 30, "8589934591T": 8589934591 << 30} {
		if got, err := parseUnits(in); err != nil || got != want {
			t.Errorf("%s: %d, %v", in, got, err)
		}
	}
	for _, in := range []string{"", "K", "1", "500", "-1K", "1.5G", "1KB", "1 K", "8589934592T", "99999999999999999999K", "1\x0b", "k1"} {
		if got, err := parseUnits(in); err == nil {
			t.Errorf("%q: %d", in, got)
		}
	}
}
