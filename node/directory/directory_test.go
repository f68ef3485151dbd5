package directory

import (
	"errors"
	"fmt"
	"testing"

	"google.golang.org/protobuf/proto"
	"pgregory.net/rapid"

	"github.com/quorumail/quorumail/proto/imapnum"
	pb "github.com/quorumail/quorumail/proto/quorumail/v1"
)

func nodes(n int) []*pb.NodeInfo {
	var list []*pb.NodeInfo
	for i := range n {
		list = append(list, &pb.NodeInfo{Id: fmt.Sprintf("n%d", i), Address: fmt.Sprintf("127.0.0.1:%d", 7000+i)})
	}
	return list
}

func TestPlanIsValidAndEven(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.IntRange(1, 9).Draw(t, "nodes")
		shards := rapid.IntRange(1, 300).Draw(t, "shards")
		m, err := Plan("c", nodes(n), shards, rapid.IntRange(1, n).Draw(t, "replicas"))
		if err != nil {
			t.Fatal(err)
		}
		preferred := map[string]int{}
		for _, s := range m.GetShards() {
			preferred[s.GetReplicas()[0]]++
			if size := int(s.GetSlots()[0].GetLast()) - int(s.GetSlots()[0].GetFirst()) + 1; size < imapnum.Slots/shards || size > imapnum.Slots/shards+1 {
				t.Fatalf("shard %d has %d slots", s.GetId(), size)
			}
		}
		for id, count := range preferred {
			if count > shards/n+1 {
				t.Fatalf("%s is preferred by %d of %d shards", id, count, shards)
			}
		}
	})
}

func TestValidateRefuses(t *testing.T) {
	for name, spoil := range map[string]func(*pb.ClusterMap){
		"no epoch":        func(m *pb.ClusterMap) { m.Epoch = 0 },
		"slot twice":      func(m *pb.ClusterMap) { m.Shards[1].Slots[0].First-- },
		"slot missing":    func(m *pb.ClusterMap) { m.Shards[0].Slots[0].Last-- },
		"slot too high":   func(m *pb.ClusterMap) { m.Shards[1].Slots[0].Last = imapnum.Slots },
		"unknown node":    func(m *pb.ClusterMap) { m.Shards[0].Replicas[0] = "x" },
		"replica twice":   func(m *pb.ClusterMap) { m.Shards[0].Replicas[0] = m.Shards[0].Replicas[1] },
		"no replicas":     func(m *pb.ClusterMap) { m.Shards[0].Replicas = nil },
		"shard twice":     func(m *pb.ClusterMap) { m.Shards[0].Id = m.Shards[1].Id },
		"shard 0":         func(m *pb.ClusterMap) { m.Shards[0].Id = 0 },
		"node twice":      func(m *pb.ClusterMap) { m.Nodes[0].Id = "n1" },
		"without address": func(m *pb.ClusterMap) { m.Nodes[0].Address = "" },
	} {
		m, err := Plan("c", nodes(3), 2, 3)
		if err != nil {
			t.Fatal(err)
		}
		spoil(m)
		if err := Validate(m); !errors.Is(err, ErrInvalid) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestApplyChecksTheEpoch(t *testing.T) {
	m, err := Plan("c", nodes(3), 2, 3)
	if err != nil {
		t.Fatal(err)
	}
	command := func(e *pb.DirectoryEntry) []byte {
		b, err := proto.Marshal(e)
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	found := command(&pb.DirectoryEntry{Op: &pb.DirectoryEntry_Found{Found: m}})
	second := proto.CloneOf(m)
	second.Epoch = 2
	update := command(&pb.DirectoryEntry{Op: &pb.DirectoryEntry_Update{Update: second}})
	if _, err := apply(nil, update); !errors.Is(err, ErrConflict) {
		t.Errorf("update before the first map: %v", err)
	}
	first, err := apply(nil, found)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := apply(first, found); !errors.Is(err, ErrFounded) {
		t.Errorf("founded twice: %v", err)
	}
	next, err := apply(first, update)
	if err != nil || next.GetEpoch() != 2 {
		t.Errorf("update: %v, %v", next, err)
	}
	if _, err := apply(next, update); !errors.Is(err, ErrConflict) {
		t.Errorf("update repeated: %v", err)
	}
	if _, err := apply(next, []byte("garbage")); !errors.Is(err, ErrInvalid) {
		t.Errorf("garbage: %v", err)
	}
}
