package node_test

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/anishathalye/porcupine"

	"github.com/quorumail/quorumail/node/nodetest"
	"github.com/quorumail/quorumail/proto/imapnum"
	pb "github.com/quorumail/quorumail/proto/quorumail/v1"
)

// mailboxState is a mailbox as a sequential specification: the next UID, the
// last modseq, and the keyword that message 1 was given last.
type mailboxState struct {
	uidNext imapnum.UID
	modSeq  uint64
	value   string
}

type mailboxInput struct {
	op    string // "append", "store" or "read"
	value string
}

type mailboxOutput struct {
	uid    imapnum.UID // append: given; read: UIDNEXT
	modSeq uint64
	value  string
}

var mailboxModel = porcupine.Model{
	Init: func() any { return mailboxState{uidNext: 2} },
	Step: func(state, input, output any) (bool, any) {
		s, in, out := state.(mailboxState), input.(mailboxInput), output.(mailboxOutput)
		switch in.op {
		case "append":
			return out.uid == s.uidNext && out.modSeq > s.modSeq, mailboxState{s.uidNext + 1, out.modSeq, s.value}
		case "store":
			return out.modSeq > s.modSeq, mailboxState{s.uidNext, out.modSeq, in.value}
		default:
			// Whatever was not seen by an operation of ours (the set-up) may have
			// raised the modseq before the first.
			same := out.modSeq == s.modSeq || s.modSeq == 0
			return out.uid == s.uidNext && same && out.value == s.value, mailboxState{s.uidNext, out.modSeq, s.value}
		}
	},
	DescribeOperation: func(input, output any) string { return fmt.Sprintf("%+v -> %+v", input, output) },
}

// What clients see while leaders are killed is what they could see of one
// mailbox in one process.
func TestHistoryIsLinearizable(t *testing.T) {
	c := nodetest.Start(t, nodetest.Options{Shards: 1})
	c.CreateAccount(t, "alice", "secret")
	login(t, c.Client(t), "alice").append("message 1")

	var mu sync.Mutex
	var history []porcupine.Operation
	start := time.Now()
	record := func(id int, in mailboxInput, call func() (mailboxOutput, error)) bool {
		called := time.Since(start)
		out, err := call()
		if err != nil {
			t.Errorf("%+v: %v", in, err)
			return false
		}
		mu.Lock()
		defer mu.Unlock()
		history = append(history, porcupine.Operation{
			ClientId: id, Input: in, Output: out, Call: int64(called), Return: int64(time.Since(start)),
		})
		return true
	}
	const clients, pause = 4, 10 * time.Millisecond
	stop := make(chan struct{})
	var wg sync.WaitGroup
	for id := range clients {
		wg.Go(func() {
			u := login(t, c.Client(t), "alice")
			for n := 0; ; n++ {
				select {
				case <-stop:
					return
				case <-time.After(pause):
				}
				ok := true
				switch (id + n) % 3 {
				case 0:
					ok = record(id, mailboxInput{op: "append"}, func() (mailboxOutput, error) {
						res, err := u.Propose(context.Background(), appendEntry(message("x")))
						return mailboxOutput{uid: set(t, res.GetUids()).Min(), modSeq: res.GetModSeq()}, err
					})
				case 1:
					value := fmt.Sprintf("$%d.%d", id, n)
					ok = record(id, mailboxInput{"store", value}, func() (mailboxOutput, error) {
						res, err := u.Propose(context.Background(), u.storeEntry(imapnum.SetOf(1), pb.StoreOp_MODE_REPLACE, value))
						return mailboxOutput{modSeq: res.GetModSeq()}, err
					})
				case 2:
					ok = record(id, mailboxInput{op: "read"}, func() (mailboxOutput, error) { return readMailbox(u) })
				}
				if !ok {
					return
				}
			}
		})
	}
	for range 3 {
		<-time.After(200 * time.Millisecond)
		name := c.KillLeader(t, "alice")
		<-time.After(time.Second)
		c.Restart(t, name)
	}
	<-time.After(200 * time.Millisecond)
	close(stop)
	wg.Wait()
	result, _ := porcupine.CheckOperationsVerbose(mailboxModel, history, 20*time.Second)
	if result != porcupine.Ok {
		for _, op := range history {
			t.Logf("%d %8d %8d %s", op.ClientId, op.Call/1000, op.Return/1000, mailboxModel.DescribeOperation(op.Input, op.Output))
		}
		t.Fatalf("%d operations: %v", len(history), result)
	}
	t.Logf("%d operations in %v", len(history), time.Since(start))
	c.HashesEqual(t)
}

// readMailbox reads everything the model has, at one index.
func readMailbox(u *user) (mailboxOutput, error) {
	var out mailboxOutput
	var keywords []uint32
	o, err := u.OpenMailbox(context.Background(), "INBOX", 0,
		&pb.Since{Known: packed(imapnum.SetOf(1)), NoVanished: true}, func(b *pb.ChangeBatch) error {
			for _, st := range b.GetChanged() {
				keywords = st.GetKeywords()
			}
			return nil
		})
	if err != nil {
		return out, err
	}
	out.uid, out.modSeq = imapnum.UID(o.GetInfo().GetUidNext()), o.GetInfo().GetHighestModSeq()
	var names []string
	for _, k := range keywords {
		names = append(names, o.GetInfo().GetKeywords()[k])
	}
	out.value = strings.Join(names, " ")
	return out, nil
}
