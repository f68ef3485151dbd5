package node

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	pb "github.com/quorumail/quorumail/proto/quorumail/v1"
)

// saying is what a node says of itself that leads some groups and follows in the others,
// with a log up to 10.
func saying(server string, groups int, leads ...uint32) *pb.NodeStatusResponse {
	st := &pb.NodeStatusResponse{NodeId: strings.Split(server, "~")[0], ServerId: server}
	for g := range uint32(groups) {
		role := "follower"
		if slices.Contains(leads, g) {
			role = "leader"
		}
		st.Replicas = append(st.Replicas, &pb.ReplicaStatus{Shard: g, Role: role, LastLogIndex: 10})
	}
	return st
}

func TestBalancerLook(t *testing.T) {
	all := servers("n1~a n2~a n3~a")
	five := func() (leads []lead) { // of six groups n1 leads the first five, n3 the last
		for g := range uint32(5) {
			leads = append(leads, lead{g, all, 10})
		}
		return leads
	}
	others := func(change func(n2, n3 *pb.NodeStatusResponse)) map[string]*pb.NodeStatusResponse {
		n2, n3 := saying("n2~a", 6), saying("n3~a", 6, 5)
		if change != nil {
			change(n2, n3)
		}
		return map[string]*pb.NodeStatusResponse{"n2": n2, "n3": n3}
	}
	settled := func(leads []lead) *balancer {
		b := &balancer{led: map[uint32]int{}, there: map[string]int{"n2": settledLooks, "n3": settledLooks}}
		for _, l := range leads {
			b.led[l.group] = settledLooks
		}
		return b
	}
	for _, c := range []struct {
		name   string
		change func(leads []lead, b *balancer, told map[string]*pb.NodeStatusResponse)
		want   string
	}{
		{"the one with the fewest", func([]lead, *balancer, map[string]*pb.NodeStatusResponse) {}, "0 to n2"},
		{"it does not answer", func(_ []lead, _ *balancer, told map[string]*pb.NodeStatusResponse) { delete(told, "n2") }, "0 to n3"},
		{"nobody answers", func(_ []lead, _ *balancer, told map[string]*pb.NodeStatusResponse) { clear(told) }, "none"},
		{"it would not lead", func(_ []lead, _ *balancer, told map[string]*pb.NodeStatusResponse) {
			told["n2"].Unwilling = "disk is full"
		}, "0 to n3"},
		{"it is back only now", func(_ []lead, b *balancer, _ map[string]*pb.NodeStatusResponse) { b.there["n2"] = settledLooks - 2 }, "0 to n3"},
		{"it has been there long enough", func(_ []lead, b *balancer, _ map[string]*pb.NodeStatusResponse) { b.there["n2"] = settledLooks - 1 }, "0 to n2"},
		{"it is behind with one", func(_ []lead, _ *balancer, told map[string]*pb.NodeStatusResponse) {
			told["n2"].Replicas[0].LastLogIndex = 9
		}, "1 to n2"},
		{"its replica has failed", func(_ []lead, _ *balancer, told map[string]*pb.NodeStatusResponse) {
			told["n2"].Replicas[0].Error = "damaged"
		}, "1 to n2"},
		{"it has another disk", func(_ []lead, _ *balancer, told map[string]*pb.NodeStatusResponse) { told["n2"].ServerId = "n2~b" }, "0 to n3"},
		{"it only learns one", func(leads []lead, _ *balancer, _ map[string]*pb.NodeStatusResponse) {
			leads[0].servers = servers("n1~a n2~a? n3~a")
		}, "1 to n2"},
		{"it has no replica of most", func(leads []lead, _ *balancer, _ map[string]*pb.NodeStatusResponse) {
			for i := range 4 {
				leads[i].servers = servers("n1~a n3~a")
			}
		}, "4 to n2"},
		{"one is led only now", func(_ []lead, b *balancer, _ map[string]*pb.NodeStatusResponse) { delete(b.led, 0) }, "1 to n2"},
		{"one has come back", func(_ []lead, b *balancer, _ map[string]*pb.NodeStatusResponse) { b.rest = map[uint32]int{0: 2} }, "1 to n2"},
		{"one came back long ago", func(_ []lead, b *balancer, _ map[string]*pb.NodeStatusResponse) { b.rest = map[uint32]int{0: 1} }, "0 to n2"},
		{"one fewer is not enough", func(_ []lead, _ *balancer, told map[string]*pb.NodeStatusResponse) {
			told["n2"] = saying("n2~a", 20, 10, 11, 12, 13)
			told["n3"] = saying("n3~a", 20, 14, 15, 16, 17, 18, 19)
		}, "none"},
	} {
		leads, told := five(), others(nil)
		b := settled(leads)
		c.change(leads, b, told)
		got := "none"
		if group, to := b.look(leads, told); to != "" {
			got = fmt.Sprint(group, " to ", to)
		}
		if got != c.want {
			t.Errorf("%s: %s, want %s", c.name, got, c.want)
		}
	}
}

// From whatever state nodes come to lead the same number, give or take one, and then
// nothing moves any more; also if all look at the same moment.
func TestBalancersComeToRest(t *testing.T) {
	const groups = 32
	names := []string{"n1", "n2", "n3"}
	all := servers("n1~a n2~a n3~a")
	for seed := range 20 {
		leader := make([]int, groups)
		for g := range leader {
			leader[g] = []int{0, g % 2, g * seed % 3}[seed%3]
		}
		balancers := make([]balancer, 3)
		quiet := 0
		for look := 0; quiet < settledLooks+2; look++ {
			if look > 200 {
				t.Fatalf("seed %d: after %d looks %v", seed, look, leader)
			}
			said := make(map[string]*pb.NodeStatusResponse)
			for i, n := range names {
				var leads []uint32
				for g, l := range leader {
					if l == i {
						leads = append(leads, uint32(g))
					}
				}
				said[n] = saying(n+"~a", groups, leads...)
			}
			next := slices.Clone(leader)
			for i, n := range names {
				var leads []lead
				told := make(map[string]*pb.NodeStatusResponse)
				for other, st := range said {
					if other != n {
						told[other] = st
					}
				}
				for g, l := range leader {
					if l == i {
						leads = append(leads, lead{uint32(g), all, 10})
					}
				}
				if group, to := balancers[i].look(leads, told); to != "" {
					next[group] = slices.Index(names, to)
				}
			}
			quiet++
			if !slices.Equal(next, leader) {
				quiet = 0
			}
			leader = next
		}
		counts := make([]int, 3)
		for _, l := range leader {
			counts[l]++
		}
		if slices.Max(counts)-slices.Min(counts) > 1 {
			t.Errorf("seed %d: %v", seed, counts)
		}
	}
}
