package node

import (
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"
	"google.golang.org/protobuf/proto"

	"github.com/quorumail/quorumail/proto/imapnum"
	pb "github.com/quorumail/quorumail/proto/quorumail/v1"
	"github.com/quorumail/quorumail/raftfsm"
)

// machineBench is a state machine that is driven by hand.
type machineBench struct {
	t     *testing.T
	db    *pebble.DB
	fsm   *raftfsm.FSM
	index uint64
	now   time.Time
}

func newMachineBench(t *testing.T) *machineBench {
	t.Helper()
	return newMachineBenchOf(t, (&Config{FS: vfs.NewMem()}).withDefaults())
}

func newMachineBenchOf(t *testing.T, cfg Config) *machineBench {
	t.Helper()
	db, err := openState(cfg, "state", func(err error) { t.Error(err) })
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	fsm, err := raftfsm.Open(raftfsm.Config{DB: db, FS: cfg.FS, Dir: "import", Shard: 1})
	if err != nil {
		t.Fatal(err)
	}
	return &machineBench{t: t, db: db, fsm: fsm, now: time.Unix(1_800_000_000, 0)}
}

func (b *machineBench) apply(entries ...*pb.Entry) []*pb.Result {
	b.t.Helper()
	for _, e := range entries {
		e.Version = raftfsm.EntryVersion
		if e.Time == 0 {
			e.Time = b.now.UnixNano()
		}
	}
	data, err := proto.Marshal(&pb.EntryBatch{Entries: entries})
	if err != nil {
		b.t.Fatal(err)
	}
	b.index++
	out, err := b.fsm.ApplyBatch([]raftfsm.Command{{Index: b.index, Term: 1, Data: data}})
	if err != nil {
		b.t.Fatal(err)
	}
	for _, res := range out[0] {
		if res.GetCode() != pb.Code_CODE_OK {
			b.t.Fatalf("refused: %v", res)
		}
	}
	return out[0]
}

func TestUpkeepFindsGarbageAndLongQueues(t *testing.T) {
	b := newMachineBench(t)
	cfg := (&Config{FS: vfs.NewMem(), Undelete: time.Hour}).withDefaults()
	u := newUpkeep(&Node{cfg: cfg, log: cfg.Log}, b.fsm)
	u.queue = 100
	plan := func() []*pb.Entry {
		t.Helper()
		entries, err := u.plan(b.now)
		if err != nil {
			t.Fatal(err)
		}
		return entries
	}
	for _, name := range []string{"alice", "bob"} {
		b.apply(&pb.Entry{Account: name, Op: &pb.Entry_CreateAccount{CreateAccount: &pb.CreateAccountOp{UidValiditySeed: 1}}})
	}
	if got := plan(); len(got) != 0 {
		t.Fatalf("nothing is to be done, but %v", got)
	}
	// One expunge a message: a record each.
	const n = 110
	inbox := imapnum.MailboxID(1)
	for i := range n {
		var id [16]byte
		id[0], id[1] = byte(i), byte(i>>8)
		b.apply(&pb.Entry{Account: "alice", Op: &pb.Entry_Append{Append: &pb.AppendOp{Mailbox: "INBOX", Messages: []*pb.AppendMessage{{
			Flags: []string{`\Deleted`}, Email: &pb.Email{Size: 1, BodyId: id[:]},
			Inline: []*pb.BodyChunk{{RawSize: 1, Codec: pb.Codec_CODEC_RAW, Data: []byte("x")}},
		}}}}}, &pb.Entry{Account: "alice", Op: &pb.Entry_Expunge{Expunge: &pb.ExpungeOp{MailboxId: uint64(inbox)}}})
	}
	look := func() (records int, retained int) {
		t.Helper()
		v, err := b.fsm.View()
		if err != nil {
			t.Fatal(err)
		}
		defer v.Close()
		a, err := v.Account("alice")
		if err != nil {
			t.Fatal(err)
		}
		m, err := a.MailboxByID(inbox)
		if err != nil {
			t.Fatal(err)
		}
		err = m.ExpungeQueue(func(imapnum.ModSeq, int) bool {
			records++
			return true
		})
		if err != nil {
			t.Fatal(err)
		}
		err = m.Retained(imapnum.SetOfRange(1, 1<<31), func(*pb.FetchedMessage) (bool, error) {
			retained++
			return true, nil
		})
		if err != nil {
			t.Fatal(err)
		}
		vanished, err := m.Changes(raftfsm.Since{ModSeq: 1}, nil)
		if err != nil || vanished.Len() != n {
			t.Errorf("%d UIDs have vanished, want %d; %v", vanished.Len(), n, err)
		}
		return records, retained
	}
	if records, retained := look(); records != n || retained != n {
		t.Fatalf("%d records, %d retained, want %d of each", records, retained, n)
	}
	plan() // the rest of a round
	for round := 0; ; round++ {
		entries := plan()
		if len(entries) == 0 {
			break
		}
		if round > 10 {
			t.Fatal("there is no end to it")
		}
		b.apply(entries...)
		plan()
	}
	if records, retained := look(); records > u.queue || records == 0 || retained != n {
		t.Errorf("%d records, %d retained: want at most %d, and %d within the undelete window", records, retained, u.queue, n)
	}
	b.now = b.now.Add(2 * time.Hour)
	for range 20 {
		b.apply(plan()...)
	}
	if _, retained := look(); retained != 0 {
		t.Errorf("%d messages are retained after the undelete window", retained)
	}
}
