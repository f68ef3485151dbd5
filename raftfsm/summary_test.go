package raftfsm

import (
	"fmt"
	"testing"

	"github.com/cockroachdb/pebble/v2"
	"pgregory.net/rapid"

	"github.com/quorumail/quorumail/proto/imapnum"
	pb "github.com/quorumail/quorumail/proto/quorumail/v1"
	"github.com/quorumail/quorumail/raftfsm/keys"
)

// made waits until all summaries that are wanted have been made.
func (m *machine) made() { m.f.summaries.wg.Wait() }

// load makes the index of the inbox as the first reader after a restart does.
func (m *machine) load() (x *index, lacks uint64) {
	m.t.Helper()
	box := m.inbox()
	x, lacks, err := loadIndex(box.a.v.snap, 1, alice, box.a.space, box.id, box.info)
	if err != nil {
		m.t.Fatal(err)
	}
	return x, lacks
}

// What a summary and the history since make is what the records make, whatever
// happens and whenever the summary was made.
func TestSummaryAndHistoryAreTheIndex(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		m := newMachine(t)
		m.ok(newAccount())
		uid := func() imapnum.UID { return imapnum.UID(rapid.IntRange(1, int(m.body)+1).Draw(rt, "uid")) }
		for range rapid.IntRange(1, 60).Draw(rt, "steps") {
			switch rapid.SampledFrom([]string{"mail", "mail", "mail", "flags", "delete", "expunge", "compact", "summarise", "restart"}).Draw(rt, "step") {
			case "mail":
				m.ok(m.mail("INBOX", rapid.SampledFrom([]string{`\Seen`, "word", "other"}).Draw(rt, "flag")))
			case "flags":
				mode := rapid.SampledFrom([]pb.StoreOp_Mode{pb.StoreOp_MODE_ADD, pb.StoreOp_MODE_REMOVE}).Draw(rt, "mode")
				m.ok(store(mode, set(uid(), uid()), `\Seen`, "word"))
			case "delete":
				m.ok(store(pb.StoreOp_MODE_ADD, set(uid()), `\Deleted`))
			case "expunge":
				m.ok(expunge())
			case "compact":
				m.ok(&pb.Entry{Account: alice, Op: &pb.Entry_CompactQueue{CompactQueue: &pb.CompactQueueOp{
					MailboxId: 1, Limit: 10, NewFloor: rapid.Uint64Range(0, uint64(m.index)).Draw(rt, "floor"),
				}}})
			case "summarise":
				m.made()
				m.f.summaries.want(cacheKey{alice, 1})
				m.made()
			case "restart":
				m.restart()
			}
			if err := m.f.Check(alice); err != nil {
				rt.Fatal(err)
			}
		}
	})
}

// onlyWhenWanted has no summaries made but those that are asked for.
func (m *machine) onlyWhenWanted() { m.f.cfg.SummaryMin = 1000 }

// After a restart the records are not read again but for what has changed since.
func TestSummarySparesTheRecords(t *testing.T) {
	m := newMachine(t)
	m.onlyWhenWanted()
	m.ok(newAccount())
	for range 40 {
		m.ok(m.mail("INBOX", "word"))
	}
	m.f.summaries.want(cacheKey{alice, 1})
	m.made()
	m.ok(store(pb.StoreOp_MODE_ADD, set(3, 4), `\Deleted`, `\Seen`))
	m.ok(store(pb.StoreOp_MODE_REMOVE, set(3), `\Deleted`))
	m.ok(expunge())
	m.ok(m.mail("INBOX"))
	m.restart()
	x, lacks := m.load()
	// 3, whose flags are others, 4, which has gone, and 41, which is new.
	if lacks != 3 || x.all().String() != "1:3,5:41" || x.flags[seenBit].String() != "{3}" {
		t.Errorf("made with %d changes: %v, seen %v", lacks, x.all(), x.flags[seenBit])
	}
	m.check(alice)
}

// Summaries are made when mail comes, on replicas that nobody reads from too, and by
// who reads what has none yet.
func TestSummaryIsMadeInTime(t *testing.T) {
	m := newMachine(t)
	m.f.cfg.SummaryMin = 8
	m.ok(newAccount())
	lacks := func() uint64 {
		m.made()
		_, n := m.load()
		return n
	}
	for i := range 15 { // changes are counted from the 8th message on
		if got := lacks(); got != uint64(i) {
			t.Fatalf("%d messages of which a summary lacks %d", i, got)
		}
		m.ok(m.mail("INBOX"))
	}
	if got := lacks(); got != 0 {
		t.Errorf("15 messages, and a summary lacks %d", got)
	}
	for range 7 {
		m.ok(store(pb.StoreOp_MODE_ADD, set(1), fmt.Sprint("k", m.index)))
	}
	if got := lacks(); got != 1 { // it is one message still
		t.Errorf("after 7 changes of a message a summary lacks %d", got)
	}
	m.ok(store(pb.StoreOp_MODE_ADD, set(2), `\Seen`))
	if got := lacks(); got != 0 {
		t.Errorf("after 8 changes a summary lacks %d", got)
	}
	if err := m.db.Delete(keys.Summary(1, alice, 1), pebble.NoSync); err != nil {
		t.Fatal(err)
	}
	m.restart()
	m.f.cfg.SummaryMin = 8
	if got := lacks(); got != 15 {
		t.Errorf("with no summary %d of 15 are lacking", got)
	}
	if _, err := m.inbox().UIDs(); err != nil {
		t.Fatal(err)
	}
	if got := lacks(); got != 0 {
		t.Errorf("after a reader found none, a summary lacks %d", got)
	}
}

// A summary that cannot be read, of a later state than the reader's, or of one before
// which the history is gone is passed over.
func TestSummaryThatDoesNotHelp(t *testing.T) {
	m := newMachine(t)
	m.onlyWhenWanted()
	m.ok(newAccount())
	for range 40 {
		m.ok(m.mail("INBOX"))
	}
	m.f.summaries.want(cacheKey{alice, 1})
	m.made()
	key := keys.Summary(1, alice, 1)
	good, err := get(m.db, key)
	if err != nil || good == nil {
		t.Fatal("no summary", err)
	}
	for cut := range good {
		if _, _, err := decodeSummary(good[:cut]); err == nil {
			t.Fatalf("a summary cut at %d of %d was taken", cut, len(good))
		}
	}
	later := append([]byte{recordVersion, 0x7f}, good[2:]...) // modseq 127
	for name, value := range map[string][]byte{"cut": good[:len(good)-1], "another version": append([]byte{9}, good[1:]...), "later": later} {
		if err := m.db.Set(key, value, pebble.NoSync); err != nil {
			t.Fatal(err)
		}
		if x, lacks := m.load(); lacks != 40 || x.all().String() != "1:40" {
			t.Errorf("%s: made with %d changes: %v", name, lacks, x.all())
		}
	}
	if err := m.db.Set(key, good, pebble.NoSync); err != nil {
		t.Fatal(err)
	}
	if _, lacks := m.load(); lacks != 0 {
		t.Errorf("a good one was passed over: %d changes", lacks)
	}
	m.ok(store(pb.StoreOp_MODE_ADD, set(3), `\Deleted`))
	m.ok(expunge())
	m.ok(store(pb.StoreOp_MODE_ADD, set(5), `\Deleted`))
	m.ok(expunge())
	m.ok(&pb.Entry{Account: alice, Op: &pb.Entry_CompactQueue{CompactQueue: &pb.CompactQueueOp{MailboxId: 1, Limit: 10, NewFloor: 1 << 40}}})
	if x, lacks := m.load(); lacks != 38 || x.all().String() != "1:2,4,6:40" {
		t.Errorf("below the floor: made with %d changes: %v", lacks, x.all())
	}
}

// A mailbox's summary goes with the mailbox and with the account, also one that is
// being made meanwhile; and replicas need not have the same.
func TestSummaryIsTheReplicasOwn(t *testing.T) {
	m := newMachine(t)
	m.onlyWhenWanted()
	m.ok(newAccount())
	id := imapnum.MailboxID(m.ok(create("box")).GetMailboxId())
	key := cacheKey{alice, id}
	for range 5 {
		m.ok(m.mail("box"))
	}
	digest := func() Digest {
		v, err := m.f.View()
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = v.Close() }()
		d, err := v.Digests(t.Context(), nil)
		if err != nil {
			t.Fatal(err)
		}
		return d
	}
	has := func() bool {
		value, err := get(m.db, keys.Summary(1, alice, id))
		if err != nil {
			t.Fatal(err)
		}
		return value != nil
	}
	v, err := m.f.View()
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = v.Close() }()
	a, err := v.Account(alice)
	if err != nil {
		t.Fatal(err)
	}
	late, err := a.MailboxByID(id)
	if err != nil {
		t.Fatal(err)
	}
	before := digest()
	m.f.summaries.want(key)
	if m.made(); !has() {
		t.Fatal("no summary")
	}
	if got := digest(); got != before {
		t.Errorf("the digest depends on the summary: %v, %v", got, before)
	}
	m.ok(&pb.Entry{Account: alice, Op: &pb.Entry_DeleteMailbox{DeleteMailbox: &pb.DeleteMailboxOp{Name: "box"}}})
	if has() {
		t.Error("the summary is there after the mailbox")
	}
	if err := late.summarise(key); err != nil || has() {
		t.Error("one that was begun before is left", err)
	}
	for range 3 {
		m.ok(m.mail("INBOX"))
	}
	m.f.summaries.want(cacheKey{alice, 1})
	m.made()
	count := func() (n int) {
		start, end := keys.Summaries(1, alice)
		if err := scanKeys(m.db, start, end, func([]byte) (bool, error) { n++; return true, nil }); err != nil {
			t.Fatal(err)
		}
		return n
	}
	if n := count(); n != 1 {
		t.Fatalf("%d summaries", n)
	}
	m.ok(&pb.Entry{Account: alice, Op: &pb.Entry_DeleteAccount{DeleteAccount: &pb.DeleteAccountOp{}}})
	if n := count(); n != 0 {
		t.Errorf("%d summaries are there after the account", n)
	}
}

// The ranges of UIDs are right however they were come by.
func TestRangesOfAnIndexThatChanges(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		x := newIndex()
		there := make(map[imapnum.UID]bool)
		for range rapid.IntRange(1, 8).Draw(t, "batches") {
			x = x.clone()
			for range rapid.IntRange(0, 6).Draw(t, "changes") {
				uid := imapnum.UID(rapid.IntRange(1, 20).Draw(t, "uid"))
				if there[uid] {
					x.remove(uid, &messageRecord{})
				} else {
					x.add(uid, &messageRecord{})
				}
				there[uid] = !there[uid]
			}
			if rapid.Bool().Draw(t, "read") {
				if want := setOf(x.uids); !x.all().Equal(want) {
					t.Fatalf("%v, want %v", x.all(), want)
				}
			}
		}
		if want := setOf(x.uids); !x.all().Equal(want) {
			t.Fatalf("%v, want %v", x.all(), want)
		}
	})
}

// A summary is written anew seldom enough that its octets are few beside the changes.
func TestSummaryThatIsLargeIsMadeLessOften(t *testing.T) {
	m := newMachine(t)
	m.f.cfg.SummaryMin = 4096
	s, key := m.f.summaries, cacheKey{alice, 1}
	for _, c := range []struct {
		size   int
		exists uint32
		lacks  uint64
		want   bool
	}{
		{0, 4095, 4095, false}, {0, 4096, minLag - 1, false}, {0, 4096, minLag, true},
		{minLag * lagOctets, 1 << 20, minLag, true}, {1000 * lagOctets, 1 << 20, 999, false}, {1000 * lagOctets, 1 << 20, 1000, true},
	} {
		s.wrote(key, c.size)
		if got := s.due(key, c.exists, c.lacks); got != c.want {
			t.Errorf("%+v: due %v", c, got)
		}
	}
}
