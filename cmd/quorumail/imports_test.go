package main

import (
	"strings"
	"testing"
)

// importBan forbids packages to need others, however indirectly.
type importBan struct {
	from, to string // below the module; "x/..." is x and all below it
	// direct: only that the package's own files import it is forbidden. What
	// libraries need is theirs.
	direct  bool
	because string
}

// importBans are the directions of DESIGN: cmd → fronts, node, bench;
// fronts → node/client → proto; node → raftfsm → proto.
var importBans = []importBan{
	{from: "raftfsm/...", to: "node/...", because: "the state machine is a function of the log: it must not know who proposes"},
	{from: "raftfsm/...", to: "imapfront/...", because: "a second protocol must find the same semantics in the log"},
	{from: "raftfsm/...", to: "net", direct: true, because: "replicas that talk while they apply cannot be deterministic"},
	{from: "raftfsm/model", to: "raftfsm", because: "a model that shares code with its subject shares its bugs"},
	{from: "proto/...", to: "node/...", because: "the contract knows neither side"},
	{from: "proto/...", to: "raftfsm/...", because: "the contract knows neither side"},
	{from: "proto/...", to: "imapfront/...", because: "the contract knows neither side"},
	{from: "node/...", to: "imapfront/...", because: "storage serves any protocol"},
	{from: "node/...", to: "lmtpfront/...", because: "storage serves any protocol"},
	{from: "node/client/...", to: "raftfsm/...", because: "frontends hold it: they must not decide what only a replica can"},
	{from: "node/client/...", to: "node/shard", because: "frontends hold it: a frontend links no Raft"},
	{from: "imapfront/...", to: "raftfsm/...", because: "a frontend reads and proposes by gRPC; a state machine in it would be a second truth"},
	{from: "imapfront/...", to: "node/shard", because: "a frontend links no Raft"},
	{from: "imapfront/...", to: "lmtpfront/...", because: "frontends stand alone"},
	{from: "imapfront/view", to: "net", direct: true, because: "a view is pure, so that its invariants can be tested without a socket"},
	{from: "imapfront/wire", to: "node/...", because: "the grammar knows no storage"},
	{from: "lmtpfront/...", to: "raftfsm/...", because: "a frontend reads and proposes by gRPC; a state machine in it would be a second truth"},
	{from: "lmtpfront/...", to: "imapfront/...", because: "frontends stand alone"},
	{from: "bench/...", to: "node/...", because: "what judges uses the public protocols, as users do"},
	{from: "bench/...", to: "imapfront/...", because: "what judges shares no code with what is judged"},
	{from: "bench/...", to: "lmtpfront/...", because: "what judges shares no code with what is judged"},
	{from: "bench/check", to: "net", direct: true, because: "histories are judged, not made, there"},
}

func TestRepo_ImportsGoOneWay(t *testing.T) {
	packages := listPackages(t)
	for _, ban := range importBans {
		for pkg, needs := range packages {
			if !matches(ban.from, pkg) {
				continue
			}
			list := needs.Deps
			if ban.direct {
				list = needs.Imports
			}
			for _, dep := range list {
				if matches(ban.to, dep) && !matches(ban.from, dep) {
					t.Errorf("%s needs %s: %s", pkg, dep, ban.because)
				}
			}
		}
	}
}

// matches reports whether a package is what a ban's pattern names.
func matches(pattern, pkg string) bool {
	if !strings.Contains(pattern, "/") && pattern == pkg {
		return true // of the standard library
	}
	dir, tree := strings.CutSuffix(pattern, "/...")
	full := module + "/" + dir
	return pkg == full || tree && strings.HasPrefix(pkg, full+"/")
}

func TestMatches(t *testing.T) {
	for _, c := range []struct {
		pattern, pkg string
		want         bool
	}{
		{"node/...", module + "/node", true},
		{"node/...", module + "/node/shard", true},
		{"node/...", module + "/nodetest", false},
		{"node/shard", module + "/node/shard", true},
		{"node/shard", module + "/node/shardmap", false},
		{"net", "net", true},
		{"net", "net/http", false},
		{"raftfsm", module + "/raftfsm", true},
	} {
		if got := matches(c.pattern, c.pkg); got != c.want {
			t.Errorf("matches(%q, %q) = %v", c.pattern, c.pkg, got)
		}
	}
}
