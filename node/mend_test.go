package node

import (
	"strings"
	"testing"

	"github.com/hashicorp/raft"

	pb "github.com/quorumail/quorumail/proto/quorumail/v1"
)

// servers parses "n1~a n2~b n3~c?": the question mark makes a learner.
func servers(s string) (list []raft.Server) {
	for _, id := range strings.Fields(s) {
		id, learner := strings.CutSuffix(id, "?")
		sv := raft.Server{ID: raft.ServerID(id), Address: raft.ServerAddress(id)}
		if learner {
			sv.Suffrage = raft.Nonvoter
		}
		list = append(list, sv)
	}
	return list
}

func TestNextStep(t *testing.T) {
	for _, c := range []struct{ name, servers, told, behind, want string }{
		{"all are there", "n1~a n2~a n3~a", "n1~a n2~a n3~a", "", ""},
		{"one is away", "n1~a n2~a n3~a", "n1~a n2~a", "", ""},
		{"a new disk", "n1~a n2~a n3~a", "n1~a n2~a n3~b", "", "remove n3~a"},
		{"a new disk, and no quorum without it", "n1~a n2~a n3~a", "n1~a n3~b", "", ""},
		{"a disk from before there were incarnations", "n1 n2 n3", "n1 n2 n3~b", "", "remove n3"},
		{"two new disks of three", "n1~a n2~a n3~a", "n1~a n2~b n3~b", "", ""},
		{"two new disks of five", "n1~a n2~a n3~a n4~a n5~a", "n1~a n2~a n3~a n4~b n5~b", "", "remove n4~a"},
		{"removed", "n1~a n2~a", "n1~a n2~a n3~b", "", "learn n3~b"},
		{"removed, and away", "n1~a n2~a", "n1~a n2~a", "", ""},
		{"learns", "n1~a n2~a n3~b?", "n1~a n2~a n3~b", "n3", ""},
		{"learns, while another has a new disk", "n1~a n2~a n3~b? n4~a n5~a", "n1~a n2~a n3~b n4~a n5~b", "n3", ""},
		{"has learnt", "n1~a n2~a n3~b?", "n1~a n2~a n3~b", "", "vote n3~b"},
		{"a learner with yet another disk", "n1~a n2~a n3~b?", "n1~a n2~a n3~c", "", "remove n3~b"},
		{"a learner is away, another has a new disk", "n1~a n2~a n3~b? n4~a n5~a", "n1~a n2~a n4~a n5~b", "", "remove n5~a"},
	} {
		told := make(map[string]*pb.NodeStatusResponse)
		for _, s := range servers(c.told) {
			node, _, _ := strings.Cut(string(s.ID), "~")
			told[node] = &pb.NodeStatusResponse{NodeId: node, ServerId: string(s.ID)}
		}
		nodes := []string{"n1", "n2", "n3"}
		if strings.Contains(c.servers, "n5") {
			nodes = append(nodes, "n4", "n5")
		}
		s := nextStep(servers(c.servers), nodes, told, func(st *pb.NodeStatusResponse) bool { return st.GetNodeId() != c.behind })
		if got := strings.TrimSpace(s.kind + " " + s.server); got != c.want {
			t.Errorf("%s: %q, want %q", c.name, got, c.want)
		}
	}
}

// Who founds the cluster, and when.
func TestFindFounders(t *testing.T) {
	st := func(server string, founders ...string) *pb.NodeStatusResponse {
		return &pb.NodeStatusResponse{ServerId: server, Founders: founders}
	}
	all := []string{"n1~a", "n2~a", "n3~a"}
	for _, c := range []struct {
		name, self string
		rejoins    bool
		told       map[string]*pb.NodeStatusResponse
		want       string
		waits      string
	}{
		{"the first, alone", "n1", false, nil, "", "for node n2"},
		{"the first of two", "n1", false, map[string]*pb.NodeStatusResponse{"n2": st("n2~a")}, "", "for node n3"},
		{"the first of all", "n1", false, map[string]*pb.NodeStatusResponse{"n2": st("n2~a"), "n3": st("n3~a")}, "n1~a n2~a n3~a", ""},
		{"another of all", "n2", false, map[string]*pb.NodeStatusResponse{"n1": st("n1~a"), "n3": st("n3~a")}, "", "to found it"},
		{"one knows", "n2", false, map[string]*pb.NodeStatusResponse{"n3": st("n3~a", all...)}, "n1~a n2~a n3~a", ""},
		{"its data was set aside", "n1", true, map[string]*pb.NodeStatusResponse{"n2": st("n2~a"), "n3": st("n3~a")}, "", "have the data"},
		{"another's was", "n1", false, map[string]*pb.NodeStatusResponse{"n2": st("n2~a"), "n3": {ServerId: "n3~a", Rejoins: true}}, "", "n3 has lost"},
		{"an older release", "n1", false, map[string]*pb.NodeStatusResponse{"n2": st("n2~a"), "n3": st("n3")}, "", "older release"},
	} {
		n := &Node{cfg: Config{ID: c.self, Peers: map[string]string{"n1": "", "n2": "", "n3": ""}}}
		n.identity.Rejoins, n.serverID = c.rejoins, c.self+"~a"
		list, waits := n.findFounders(c.told)
		if got := strings.Join(list, " "); got != c.want || !strings.Contains(waits, c.waits) || (waits == "") != (c.waits == "") {
			t.Errorf("%s: %q, waits %q; want %q, %q", c.name, got, waits, c.want, c.waits)
		}
	}
}
