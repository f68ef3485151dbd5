package shard

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/hashicorp/raft"
	"google.golang.org/protobuf/proto"

	"github.com/quorumail/quorumail/node/transport"
	pb "github.com/quorumail/quorumail/proto/quorumail/v1"
)

// byHand is the leader "x" of a group of two, played by a test: it says what a leader
// may say to the follower "a", a whole replica, over the real transport, and keeps the
// log that the follower is to have.
type byHand struct {
	t     *testing.T
	c     *cluster
	mux   *transport.Mux
	group *transport.Group
	term  uint64
	leaderLog
	cut  uint64 // entries up to here are gone: there is the snapshot only
	sent int    // snapshots
	// known is the leader's log as the follower may know of it: what is new is there
	// before it is sent.
	known atomic.Pointer[leaderLog]
}

// leaderLog is a leader's log, and what is known of it.
type leaderLog struct {
	log    []*raft.Log // the entry of index 1 first; never changed, only replaced
	commit uint64
	acked  uint64 // up to here the follower has said that it has the log
}

// newByHand starts the leader, without a follower. change is for the follower's
// configuration, and may be nil.
func newByHand(t *testing.T, change func(*Config)) *byHand {
	t.Helper()
	c := &cluster{t: t, addrs: map[string]string{}, nodes: map[string]*testNode{}}
	c.change = func(cfg *Config) {
		shortLog(cfg)
		cfg.Timing = Timing{Heartbeat: time.Minute, Election: time.Minute, Lease: time.Minute, Commit: time.Minute} // it never stands for election
		if change != nil {
			change(cfg)
		}
	}
	h := &byHand{t: t, c: c, term: 1}
	t.Cleanup(func() {
		for _, n := range c.running() {
			c.stop(n)
		}
		h.hangUp()
	})
	conf := raft.Configuration{Servers: []raft.Server{{ID: "a", Address: "a"}, {ID: "x", Address: "x"}}}
	h.log = []*raft.Log{{Index: 1, Term: 1, Type: raft.LogConfiguration, Data: raft.EncodeConfiguration(conf)}}
	h.commit = 1
	return h
}

// follow starts the follower on a disk that is empty or has been its.
func (h *byHand) follow(disk *vfs.MemFS) *testNode {
	h.t.Helper()
	n, err := h.tryFollow(disk)
	if err != nil {
		h.t.Fatal(err)
	}
	return n
}

// hangUp ends the leader's connections.
func (h *byHand) hangUp() {
	if h.mux == nil {
		return
	}
	if err := h.mux.Close(); err != nil {
		h.t.Error(err)
	}
}

func (h *byHand) tryFollow(disk *vfs.MemFS) (*testNode, error) {
	h.hangUp() // a link to where a node has been takes a while to be made anew
	mux, err := transport.New(transport.Config{NodeID: "x", Resolve: h.c.resolve})
	if err != nil {
		return nil, err
	}
	h.mux, h.group = mux, mux.Group(1)
	n, err := h.c.tryStart("a", disk)
	if err == nil {
		err = n.Bootstrap([]string{"a", "x"})
	}
	return n, err
}

func (h *leaderLog) last() uint64 { return uint64(len(h.log)) }

// elect begins a term: the leader keeps its log up to some index, and its first entry
// there is none of the state machine's.
func (h *byHand) elect(keep uint64) {
	if keep < h.commit {
		h.t.Fatalf("a leader without what is committed: %d, %d", keep, h.commit)
	}
	h.term++
	h.acked = min(h.acked, keep)
	h.log = append(slices.Clone(h.log[:keep]), &raft.Log{Index: keep + 1, Term: h.term, Type: raft.LogNoop})
}

// add adds n commands to the leader's own log.
func (h *byHand) add(n int) {
	log := slices.Clone(h.log)
	for range n {
		index := uint64(len(log)) + 1
		data, err := proto.Marshal(&pb.EntryBatch{Entries: []*pb.Entry{{Version: 1, Account: itemAt(index, h.term)}}})
		if err != nil {
			h.t.Fatal(err)
		}
		log = append(log, &raft.Log{Index: index, Term: h.term, Type: raft.LogCommand, Data: data})
	}
	h.log = log
}

func itemAt(index, term uint64) string { return fmt.Sprintf("%d of term %d", index, term) }

// items returns what the commands up to an index make of the state, and index and term
// of the last of them.
func (h *leaderLog) items(upTo uint64) (items []string, index, term uint64) {
	for _, l := range h.log[:upTo] {
		if l.Type == raft.LogCommand {
			items = append(items, itemAt(l.Index, l.Term))
			index, term = l.Index, l.Term
		}
	}
	return items, index, term
}

func (h *byHand) publish() {
	now := h.leaderLog
	h.known.Store(&now)
}

func peerHeader() raft.RPCHeader {
	return raft.RPCHeader{ProtocolVersion: raft.ProtocolVersionMax, ID: []byte("x"), Addr: []byte("x")}
}

// append sends what follows an entry, up to another, and returns whether the follower
// has taken it.
func (h *byHand) append(prev, upTo uint64) (bool, error) {
	h.publish()
	req := &raft.AppendEntriesRequest{
		RPCHeader: peerHeader(), Term: h.term,
		PrevLogEntry: prev, Entries: h.log[prev:upTo], LeaderCommitIndex: h.commit,
	}
	if prev > 0 {
		req.PrevLogTerm = h.log[prev-1].Term
	}
	var resp raft.AppendEntriesResponse
	if err := h.group.AppendEntries("a", "a", req, &resp); err != nil {
		return false, err
	}
	if resp.Success {
		h.acked = max(h.acked, upTo)
		h.publish()
	}
	return resp.Success, nil
}

// state is what is sent of the state at an index.
func (h *byHand) state(at uint64) []byte {
	items, index, term := h.items(at)
	var b bytes.Buffer
	if err := (&toySnapshot{index, term, items}).Export(&b); err != nil {
		h.t.Fatal(err)
	}
	return b.Bytes()
}

// install sends the state at an index as a snapshot; change, if there is one, is for
// the stream.
func (h *byHand) install(at uint64, change func(io.Reader) io.Reader) error {
	var stream io.Reader = bytes.NewReader(h.state(at))
	if change != nil {
		stream = change(stream)
	}
	h.sent++
	h.publish()
	var resp raft.InstallSnapshotResponse
	err := h.group.InstallSnapshot("a", "a", &raft.InstallSnapshotRequest{
		RPCHeader: peerHeader(), SnapshotVersion: raft.SnapshotVersionMax, Term: h.term,
		LastLogIndex: at, LastLogTerm: h.log[at-1].Term, Configuration: h.log[0].Data, ConfigurationIndex: 1,
	}, &resp, stream)
	if err == nil && !resp.Success {
		err = errors.New("snapshot was refused")
	}
	if err == nil {
		h.acked = max(h.acked, at)
		h.publish()
	}
	return err
}

// replicate brings the follower to where the leader is, as the library does: the next
// entries, or older ones if they are refused, or the state, if those are gone. It gives
// up after more snapshots than can be needed.
func (h *byHand) replicate() error {
	next := h.last() + 1
	for snapshots := 0; ; {
		if next <= h.cut {
			if snapshots++; snapshots > 2 {
				return fmt.Errorf("after %d snapshots the follower refuses what follows", snapshots-1)
			}
			if err := h.install(h.cut, nil); err != nil {
				return err
			}
			next = h.cut + 1
		}
		ok, err := h.append(next-1, h.last())
		if err != nil {
			return err
		}
		if ok {
			return nil
		}
		if next == 1 {
			return errors.New("the follower refuses the whole log")
		}
		next--
	}
}

// bringUp is replicate, which must succeed.
func (h *byHand) bringUp() {
	h.t.Helper()
	if err := h.replicate(); err != nil {
		h.t.Fatalf("replicate: %v", err)
	}
}

// commitAll commits all that there is, tells the follower, and waits for its state.
func (h *byHand) commitAll(n *testNode) {
	h.t.Helper()
	h.bringUp()
	h.commit = h.last()
	h.bringUp()
	_, index, _ := h.items(h.commit)
	if err := n.WaitApplied(ask(h.t), index); err != nil {
		h.t.Fatal(err)
	}
}

// check compares what the follower has with a log: all up to what it had acknowledged,
// and a state that is of that log, and no further than what is committed.
func (h *leaderLog) check(n *testNode) error {
	applied, _ := n.toy.Applied()
	note := n.snaps.newest().GetIndex()
	first, _ := n.logs.FirstIndex()
	last, _ := n.logs.LastIndex()
	switch {
	case max(last, note) < h.acked:
		return fmt.Errorf("log ends at %d, snapshot is at %d; acknowledged was %d", last, note, h.acked)
	case applied > h.commit:
		return fmt.Errorf("applied %d, committed is %d", applied, h.commit)
	}
	want, _, _ := h.items(applied)
	if got := n.toy.list(); !slices.Equal(got, want) {
		return fmt.Errorf("state at %d is %q, want %q", applied, got, want)
	}
	for i := max(first, 1); i <= min(last, h.acked); i++ {
		var l raft.Log
		if err := n.logs.GetLog(i, &l); err != nil {
			return err
		}
		if w := h.log[i-1]; l.Term != w.Term || l.Type != w.Type || !bytes.Equal(l.Data, w.Data) {
			return fmt.Errorf("entry %d is of term %d, %v; want term %d, %v", i, l.Term, l.Type, w.Term, w.Type)
		}
	}
	return nil
}

// A follower's own log may go on behind the snapshot that it is sent, with entries
// that were never committed: it had led, and was cut off. Wherever that log ends, the
// follower takes what comes after the snapshot, and no entry of the other log is left.
func TestSnapshotReplacesAConflictingLog(t *testing.T) {
	for name, at := range map[string]uint64{"log ends before": 12, "log ends with it": 10, "log goes on": 7} {
		for _, trailing := range []uint64{1, 100} {
			t.Run(fmt.Sprintf("%s, %d trailing", name, trailing), func(t *testing.T) {
				h := newByHand(t, func(cfg *Config) { cfg.Limits.TrailingLogs = trailing })
				n := h.follow(vfs.NewCrashableMem())
				h.add(4)
				h.commitAll(n)
				h.elect(h.last())
				h.add(4) // up to 10, and nobody else hears of it
				h.bringUp()
				h.elect(h.commit)
				h.add(int(at - h.last()))
				h.cut, h.commit = at, at
				h.bringUp()
				h.add(1)
				h.commitAll(n)
				if err := h.check(n); err != nil {
					t.Error(err)
				}
				if h.sent != 1 {
					t.Errorf("%d snapshots were sent", h.sent)
				}
				if first, _ := n.logs.FirstIndex(); first != at+1 {
					t.Errorf("log begins at %d", first)
				}
				n = h.follow(h.c.crash(n, 0, 1))
				if err := h.check(n); err != nil {
					t.Error(err)
				}
				h.add(1)
				h.commitAll(n)
			})
		}
	}
}
