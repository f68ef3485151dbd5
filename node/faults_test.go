package node_test

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/quorumail/quorumail/node/client"
	"github.com/quorumail/quorumail/node/nodetest"
	"github.com/quorumail/quorumail/proto/imapnum"
	pb "github.com/quorumail/quorumail/proto/quorumail/v1"
)

// traffic is writers and an observer on one mailbox, who check as they go that
// no number goes back.
type traffic struct {
	t       *testing.T
	c       *nodetest.Cluster
	account string
	acked   atomic.Int64

	mu     sync.Mutex
	byText map[string]imapnum.UID // acknowledged appends

	stop chan struct{}
	wg   sync.WaitGroup
}

func startTraffic(t *testing.T, c *nodetest.Cluster, account string, writers int) *traffic {
	tr := &traffic{t: t, c: c, account: account, byText: make(map[string]imapnum.UID), stop: make(chan struct{})}
	for i := range writers {
		tr.wg.Go(func() { tr.write(i) })
	}
	tr.wg.Go(tr.observe)
	return tr
}

func (tr *traffic) running() bool {
	select {
	case <-tr.stop:
		return false
	default:
		return true
	}
}

// write appends and flags in turns. A session's results must ascend.
func (tr *traffic) write(id int) {
	u := login(tr.t, tr.c.Client(tr.t), tr.account)
	var lastUID imapnum.UID
	var lastModSeq uint64
	for n := 0; tr.running(); n++ {
		text := fmt.Sprintf("writer %d message %d", id, n)
		res, err := u.Propose(context.Background(), appendEntry(message(text)))
		if err != nil || res.GetCode() != pb.Code_CODE_OK {
			tr.t.Errorf("append: %v, %v", res, err)
			return
		}
		uid := set(tr.t, res.GetUids()).Min()
		if uid <= lastUID || res.GetModSeq() <= lastModSeq {
			tr.t.Errorf("append got UID %d, modseq %d after %d, %d", uid, res.GetModSeq(), lastUID, lastModSeq)
		}
		lastUID, lastModSeq = uid, res.GetModSeq()
		tr.mu.Lock()
		tr.byText[text] = uid
		tr.mu.Unlock()
		tr.acked.Add(1)

		res, err = u.Propose(context.Background(), u.storeEntry(imapnum.SetOf(uid), pb.StoreOp_MODE_ADD, `\Seen`))
		if err != nil || res.GetModSeq() <= lastModSeq {
			tr.t.Errorf("store: %v, %v; modseq was %d", res, err, lastModSeq)
			return
		}
		lastModSeq = res.GetModSeq()
	}
}

// observe reads, linearizably.
func (tr *traffic) observe() {
	u := login(tr.t, tr.c.Client(tr.t), tr.account)
	var last *pb.MailboxInfo
	for tr.running() {
		o, err := u.OpenMailbox(context.Background(), "INBOX", 0, nil, nil)
		if err != nil {
			tr.t.Errorf("open: %v", err)
			return
		}
		now := o.GetInfo()
		if now.GetHighestModSeq() < last.GetHighestModSeq() || now.GetUidNext() < last.GetUidNext() || now.GetExists() < last.GetExists() {
			tr.t.Errorf("the mailbox went back from %v to %v", last, now)
		}
		last = now
	}
}

// await returns when n more appends have been acknowledged.
func (tr *traffic) await(n int64) {
	tr.t.Helper()
	want := tr.acked.Load() + n
	limit := time.After(30 * time.Second)
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for tr.acked.Load() < want {
		select {
		case <-tick.C:
		case <-limit:
			tr.t.Fatalf("no progress: %d appends acknowledged, want %d", tr.acked.Load(), want)
		}
	}
}

// finish ends the traffic and compares what was acknowledged with what is there.
func (tr *traffic) finish() {
	tr.t.Helper()
	close(tr.stop)
	tr.wg.Wait()
	u := login(tr.t, tr.c.Client(tr.t), tr.account)
	_, uids := u.open()
	got, _, err := u.fetch(&pb.FetchRequest{Uids: packed(uids), Envelope: true})
	if err != nil {
		tr.t.Fatal(err)
	}
	there := make(map[string]imapnum.UID)
	for uid, m := range got {
		text := string(m.msg.GetEmail().GetEnvelope().GetSubject())
		if other := there[text]; other != 0 {
			tr.t.Errorf("%q is there twice: %d and %d", text, other, uid)
		}
		there[text] = uid
		if m.msg.GetState().GetSystemFlags()&uint32(imapnum.FlagSeen) == 0 {
			tr.t.Errorf("%q has lost its flag", text)
		}
	}
	for text, uid := range tr.byText {
		if there[text] != uid {
			tr.t.Errorf("%q was acknowledged with UID %d, but has %d", text, uid, there[text])
		}
	}
	if len(there) != len(tr.byText) {
		tr.t.Errorf("%d messages are there, %d were acknowledged", len(there), len(tr.byText))
	}
	tr.t.Logf("%d appends acknowledged", len(tr.byText))
}

func TestLeadersKilledDuringTraffic(t *testing.T) {
	c := nodetest.Start(t, nodetest.Options{})
	c.CreateAccount(t, "alice", "secret")
	tr := startTraffic(t, c, "alice", 4)
	tr.await(20)
	for range 4 {
		name := c.KillLeader(t, "alice")
		tr.await(20)
		c.Restart(t, name)
		tr.await(20)
	}
	tr.finish()
	c.HashesEqual(t)
}

func TestAllNodesKilledAtOnce(t *testing.T) {
	c := nodetest.Start(t, nodetest.Options{})
	c.CreateAccount(t, "alice", "secret")
	tr := startTraffic(t, c, "alice", 4)
	for range 3 {
		tr.await(20)
		var wg sync.WaitGroup
		for _, name := range c.Nodes() {
			wg.Go(func() { c.Kill(t, name) })
		}
		wg.Wait()
		for _, name := range c.Nodes() {
			c.Restart(t, name)
		}
	}
	tr.await(20)
	tr.finish()
	c.HashesEqual(t)
}

// A stopped process answers nothing and closes nothing.
func TestFrozenLeader(t *testing.T) {
	c := nodetest.Start(t, nodetest.Options{})
	c.CreateAccount(t, "alice", "secret")
	tr := startTraffic(t, c, "alice", 2)
	tr.await(10)
	for range 2 {
		c.Freeze(t, c.Leader(t, "alice"))
		tr.await(10)
		c.Thaw()
		tr.await(10)
	}
	tr.finish()
	c.HashesEqual(t)
}

func TestProperRestartOfEachNode(t *testing.T) {
	c := nodetest.Start(t, nodetest.Options{})
	c.CreateAccount(t, "alice", "secret")
	tr := startTraffic(t, c, "alice", 2)
	for _, name := range c.Nodes() {
		tr.await(5)
		start := time.Now()
		c.Stop(t, name)
		tr.await(5) // leadership was handed over: nobody waits for an election
		t.Logf("%s: progress %v after the stop began", name, time.Since(start))
		c.Restart(t, name)
	}
	tr.finish()
	c.HashesEqual(t)
}

// A session that has seen an index reads at followers while no leader can be
// had.
func TestReadsWithoutQuorum(t *testing.T) {
	c := nodetest.Start(t, nodetest.Options{})
	c.CreateAccount(t, "alice", "secret")
	u := login(t, c.Client(t), "alice")
	u.append("hello")
	leader := c.Leader(t, "alice")
	// Another node has it for sure once a watch there tells.
	c.HashesEqual(t)
	c.Kill(t, leader)
	for _, name := range c.Nodes() {
		if name != leader {
			c.Kill(t, name)
			break
		}
	}
	got, _, err := u.fetch(&pb.FetchRequest{Uids: packed(imapnum.SetOf(1)), Body: pb.FetchRequest_BODY_ALL})
	if err != nil || len(got) != 1 {
		t.Errorf("fetched %v, %v", got, err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Second)
	defer cancel()
	if _, err := u.GetAccount(ctx); !client.Retryable(err) {
		t.Errorf("a linearizable read without a quorum: %v", err)
	}
}
