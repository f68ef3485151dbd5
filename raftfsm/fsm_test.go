package raftfsm

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"
	"google.golang.org/protobuf/proto"
	"pgregory.net/rapid"

	"github.com/quorumail/quorumail/proto/imapnum"
	pb "github.com/quorumail/quorumail/proto/quorumail/v1"
)

// machine drives one FSM with entries, as a shard with a log would.
type machine struct {
	t     testing.TB
	fs    *vfs.MemFS
	db    *pebble.DB
	f     *FSM
	index uint64
	time  int64
	body  uint64
}

func openDB(t testing.TB, fs vfs.FS) *pebble.DB {
	t.Helper()
	db, err := pebble.Open("state", &pebble.Options{
		FS: fs, DisableWAL: true, FormatMajorVersion: pebble.FormatNewest, Logger: quiet{t},
	})
	if err != nil {
		t.Fatal(err)
	}
	return db
}

// cutConfig draws how much of what was not synced survives a crash.
func cutConfig(t *rapid.T) vfs.CrashCloneCfg {
	return vfs.CrashCloneCfg{
		UnsyncedDataPercent: rapid.SampledFrom([]int{0, 50, 100}).Draw(t, "unsynced data that survives"),
		RNG:                 rand.New(rand.NewPCG(rapid.Uint64().Draw(t, "seed"), 1)),
	}
}

type quiet struct{ t testing.TB }

func (quiet) Infof(string, ...any)                {}
func (quiet) Errorf(string, ...any)               {}
func (q quiet) Fatalf(format string, args ...any) { q.t.Fatalf(format, args...) }

func newMachine(t testing.TB) *machine {
	t.Helper()
	m := &machine{t: t, time: 1_000_000_000}
	m.start(vfs.NewCrashableMem())
	t.Cleanup(func() {
		if m.db != nil {
			m.close()
		}
	})
	return m
}

// start goes on with what is on a disk.
func (m *machine) start(fs *vfs.MemFS) {
	m.t.Helper()
	m.fs, m.db = fs, openDB(m.t, fs)
	m.open()
}

// close lets go of the disk. What is not flushed is lost.
func (m *machine) close() {
	m.t.Helper()
	if err := m.f.Close(); err != nil {
		m.t.Error(err)
	}
	_ = m.db.Close() // a test's views may be open still
	m.db = nil
}

// restart closes the store properly and opens it again.
func (m *machine) restart() {
	m.t.Helper()
	if err := m.db.Flush(); err != nil {
		m.t.Fatal(err)
	}
	m.close()
	m.start(m.fs)
}

func (m *machine) open() {
	m.t.Helper()
	f, err := Open(Config{DB: m.db, FS: m.fs, Dir: "import", Shard: 1, Indexes: NewIndexCache(3000), SummaryMin: 1})
	if err != nil {
		m.t.Fatal(err)
	}
	m.f = f
	m.index, _ = f.Applied()
}

func (m *machine) apply(entries ...*pb.Entry) []*pb.Result {
	m.t.Helper()
	for _, e := range entries {
		m.time += 1e9
		if e.Version == 0 {
			e.Version = EntryVersion
		}
		if e.Time == 0 {
			e.Time = m.time
		}
	}
	data, err := proto.Marshal(&pb.EntryBatch{Entries: entries})
	if err != nil {
		m.t.Fatal(err)
	}
	m.index++
	res, err := m.f.ApplyBatch([]Command{{Index: m.index, Term: 1, Data: data}})
	if err != nil {
		m.t.Fatal(err)
	}
	return res[0]
}

// ok applies one entry that must succeed.
func (m *machine) ok(e *pb.Entry) *pb.Result {
	m.t.Helper()
	res := m.apply(e)[0]
	if res.GetCode() != pb.Code_CODE_OK {
		m.t.Fatalf("%v: %v", e, res)
	}
	return res
}

func (m *machine) check(account string) {
	m.t.Helper()
	if err := m.f.Check(account); err != nil {
		m.t.Fatal(err)
	}
}

const alice = "alice@example.org"

func create(name string) *pb.Entry {
	return &pb.Entry{Account: alice, Op: &pb.Entry_CreateMailbox{CreateMailbox: &pb.CreateMailboxOp{Name: name, UidValiditySeed: 5}}}
}

func newAccount() *pb.Entry {
	return &pb.Entry{Account: alice, Op: &pb.Entry_CreateAccount{CreateAccount: &pb.CreateAccountOp{UidValiditySeed: 7}}}
}

// mail makes an append of one message of a few octets.
func (m *machine) mail(mailbox string, flags ...string) *pb.Entry {
	m.body++
	id := fmt.Appendf(nil, "body%012d", m.body)
	text := fmt.Appendf(nil, "Subject: %d\r\n\r\ntext", m.body)
	return &pb.Entry{Account: alice, Op: &pb.Entry_Append{Append: &pb.AppendOp{Mailbox: mailbox, Messages: []*pb.AppendMessage{{
		Flags: flags, InternalDate: 100,
		Email:  &pb.Email{Size: uint64(len(text)), BodyId: id},
		Inline: []*pb.BodyChunk{{RawSize: uint32(len(text)), Codec: pb.Codec_CODEC_RAW, Data: text}},
	}}}}}
}

func set(uids ...imapnum.UID) *pb.UidSet { return packed(imapnum.SetOf(uids...)) }

func store(mode pb.StoreOp_Mode, uids *pb.UidSet, flags ...string) *pb.Entry {
	return &pb.Entry{Account: alice, Op: &pb.Entry_Store{Store: &pb.StoreOp{MailboxId: 1, Uids: uids, Mode: mode, Flags: flags}}}
}

func expunge() *pb.Entry {
	return &pb.Entry{Account: alice, Op: &pb.Entry_Expunge{Expunge: &pb.ExpungeOp{MailboxId: 1}}}
}

func (m *machine) inbox() *Mailbox {
	m.t.Helper()
	v, err := m.f.View()
	if err != nil {
		m.t.Fatal(err)
	}
	m.t.Cleanup(func() { _ = v.Close() })
	a, err := v.Account(alice)
	if err != nil {
		m.t.Fatal(err)
	}
	box, err := a.MailboxByName("inbox")
	if err != nil {
		m.t.Fatal(err)
	}
	return box
}

func TestAppendStoreExpungeChanges_RFC7162_3(t *testing.T) {
	m := newMachine(t)
	m.ok(newAccount())
	for range 5 {
		m.ok(m.mail("INBOX"))
	}
	before := imapnum.ModSeq(m.inbox().Info().GetHighestModSeq())
	res := m.ok(store(pb.StoreOp_MODE_ADD, set(2, 3, 9), `\Deleted`, "word"))
	if got := imapnum.SetOf(2, 3).Pack(); fmt.Sprint(res.GetUids().GetPacked()) != fmt.Sprint(got) {
		t.Errorf("STORE changed %v", res.GetUids())
	}
	gone := m.ok(expunge())
	if got, _ := imapnum.Unpack(gone.GetUids().GetPacked()); got.String() != "2:3" {
		t.Errorf("EXPUNGE removed %v", got)
	}
	m.ok(store(pb.StoreOp_MODE_ADD, set(5), `\Seen`))
	box := m.inbox()
	var changed []uint32
	vanished, err := box.Changes(Since{ModSeq: before}, func(s *pb.MessageState) error {
		changed = append(changed, s.GetUid())
		return nil
	})
	if err != nil || vanished.String() != "2:3" || fmt.Sprint(changed) != "[5]" {
		t.Errorf("changes: %v, %v, %v", vanished, changed, err)
	}
	if uids, _ := box.UIDs(); uids.String() != "1,4:5" {
		t.Errorf("UIDs %v", uids)
	}
	if first, _ := box.FirstUnseen(); first != 1 {
		t.Errorf("first unseen %d", first)
	}
	var kept []uint32
	err = box.Retained(imapnum.SetOfRange(1, 10), func(msg *pb.FetchedMessage) (bool, error) {
		kept = append(kept, msg.GetState().GetUid())
		return true, nil
	})
	if err != nil || fmt.Sprint(kept) != "[2 3]" {
		t.Errorf("retained %v, %v", kept, err)
	}
	m.check(alice)
}

func TestExportImportAndHash(t *testing.T) {
	m := newMachine(t)
	m.ok(newAccount())
	m.ok(create("a/b"))
	for range 50 {
		m.ok(m.mail("INBOX", `\Seen`))
	}
	m.ok(store(pb.StoreOp_MODE_ADD, set(1, 7), `\Deleted`))
	m.ok(expunge())
	v, err := m.f.View()
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = v.Close() }()
	want, err := v.Digests(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	var export bytes.Buffer
	if err := v.Export(&export); err != nil {
		t.Fatal(err)
	}

	other := newMachine(t)
	other.ok(newAccount())
	other.ok(create("to be replaced"))
	for cut := 0; cut < export.Len(); cut += 1 + export.Len()/37 {
		if err := other.f.Import(bytes.NewReader(export.Bytes()[:cut])); err == nil {
			t.Fatalf("an export cut at %d was taken in", cut)
		}
	}
	other.check(alice)
	if err := other.f.Import(&export); err != nil {
		t.Fatal(err)
	}
	other.check(alice)
	ov, err := other.f.View()
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = ov.Close() }()
	got, err := ov.Digests(t.Context(), nil)
	if err != nil || got != want {
		t.Errorf("%x, want %x; %v", got, want, err)
	}
	if index, _ := other.f.Applied(); index != m.index {
		t.Errorf("applied %d, want %d", index, m.index)
	}
}
