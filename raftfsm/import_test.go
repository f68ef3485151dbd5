package raftfsm

import (
	"bytes"
	"errors"
	"io/fs"
	"math"
	"math/rand/v2"
	"os"
	"slices"
	"sync"
	"syscall"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"

	"github.com/quorumail/quorumail/proto/imapnum"
	pb "github.com/quorumail/quorumail/proto/quorumail/v1"
)

// export returns the machine's state as a stream.
func (m *machine) export() []byte {
	m.t.Helper()
	v, err := m.f.View()
	if err != nil {
		m.t.Fatal(err)
	}
	defer func() { _ = v.Close() }()
	var b bytes.Buffer
	if err := v.Export(&b); err != nil {
		m.t.Fatal(err)
	}
	return b.Bytes()
}

// A view that an Import has overtaken must say so. Without that it would tell a
// client that its account does not exist: the keys are gone from the snapshot.
func TestViewOvertakenByImportIsRefused(t *testing.T) {
	source := newMachine(t)
	source.ok(newAccount())
	stream := source.export()

	m := newMachine(t)
	m.ok(newAccount())
	for range 3 {
		m.ok(m.mail("INBOX"))
	}
	box := m.inbox() // on a view that stays open
	var seen []uint32
	err := box.Messages(imapnum.SetOfRange(1, math.MaxUint32), func(msg *pb.FetchedMessage) (bool, error) {
		if len(seen) == 0 {
			if err := m.f.Import(bytes.NewReader(stream)); err != nil {
				t.Fatal(err)
			}
		}
		seen = append(seen, msg.GetState().GetUid())
		return true, nil
	})
	if err != nil || len(seen) != 3 {
		t.Errorf("a read under way at the import saw %v, %v; it should see what it began with", seen, err)
	}
	_, byName := box.a.MailboxByName("INBOX")
	_, account := box.a.v.Account(alice)
	_, changes := box.Changes(Since{}, func(*pb.MessageState) error { return nil })
	_, hash := box.a.v.Digests(t.Context(), nil)
	for what, err := range map[string]error{
		"MailboxByName": byName, "Account": account, "Changes": changes, "Hash": hash,
		"Export": box.a.v.Export(&bytes.Buffer{}),
	} {
		if !errors.Is(err, ErrReplaced) {
			t.Errorf("%s on a view from before an import: %v, want ErrReplaced", what, err)
		}
	}
	if uids, err := m.inbox().UIDs(); err != nil || !uids.Empty() {
		t.Errorf("after the import: UIDs %v, %v", uids, err)
	}
}

// Readers beside imports of two different states see one of them whole, or are
// told that it was replaced.
func TestReadersBesideImports(t *testing.T) {
	var streams [2][]byte
	for i := range streams {
		m := newMachine(t)
		m.ok(newAccount())
		for range 1 + 4*i {
			m.ok(m.mail("INBOX", `\Seen`))
		}
		streams[i] = m.export()
	}
	m := newMachine(t)
	if err := m.f.Import(bytes.NewReader(streams[0])); err != nil {
		t.Fatal(err)
	}
	read := func() error {
		v, err := m.f.View()
		if err != nil {
			return err
		}
		defer func() { _ = v.Close() }()
		a, err := v.Account(alice)
		if err != nil {
			return err
		}
		box, err := a.MailboxByName("INBOX")
		if err != nil {
			return err
		}
		uids, err := box.UIDs()
		if err != nil {
			return err
		}
		seen, err := box.Flagged(imapnum.FlagSeen)
		if err != nil {
			return err
		}
		if n := uids.Len(); n != uint64(box.Info().GetExists()) || seen.Len() != n || n != 1 && n != 5 {
			t.Errorf("%d messages, EXISTS %d, %d seen", n, box.Info().GetExists(), seen.Len())
		}
		return nil
	}
	var wg sync.WaitGroup
	stop := make(chan struct{})
	for range 2 {
		wg.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
				}
				if err := read(); err != nil && !errors.Is(err, ErrReplaced) {
					t.Error(err)
					return
				}
			}
		})
	}
	for i := range 20 {
		if err := m.f.Import(bytes.NewReader(streams[(i+1)%2])); err != nil {
			t.Error(err)
		}
	}
	close(stop)
	wg.Wait()
}

// An expunge of every other message of a large mailbox is one large value.
func TestExportCarriesLargeValues(t *testing.T) {
	m := newMachine(t)
	m.ok(newAccount())
	var b imapnum.SetBuilder
	for uid := imapnum.UID(1); uid < 1<<23; uid += 2 {
		b.Add(uid)
	}
	tx := newTx(m.f)
	a, err := tx.account(alice)
	if err != nil {
		t.Fatal(err)
	}
	box, err := tx.mailboxByID(a, 1)
	if err != nil {
		t.Fatal(err)
	}
	// The others have been forgotten.
	box.info.ExpungeFloor = box.info.GetHighestModSeq()
	at := tx.touch(a, box)
	box.info.UidNext = 1 << 23
	if err := tx.set(a.space.Expunge(1, at), encodeSet(b.Set())); err != nil {
		t.Fatal(err)
	}
	if err := tx.commit(); err != nil {
		t.Fatal(err)
	}
	tx.close()
	want := m.f.hashForTest(t)
	other := newMachine(t)
	if err := other.f.Import(bytes.NewReader(m.export())); err != nil {
		t.Fatal(err)
	}
	if got := other.f.hashForTest(t); got != want {
		t.Errorf("hash %s, want %s", got, want)
	}
}

// An export that is cut at any octet is refused, as is one with an octet too few in the
// middle; the state is what it was, and no file is left. The whole one is taken in.
func TestImportOfACutExport(t *testing.T) {
	source := newMachine(t)
	source.ok(newAccount())
	for range 5 {
		source.ok(source.mail("INBOX", `\Seen`, "$Label"))
	}
	source.ok(store(pb.StoreOp_MODE_ADD, set(2, 3), `\Deleted`))
	source.ok(expunge())
	stream := source.export()

	m := newMachine(t)
	m.ok(newAccount())
	m.ok(m.mail("INBOX"))
	before := m.f.hashForTest(t)
	wantRefused := func(what string, at int, cut []byte) {
		if err := m.f.Import(bytes.NewReader(cut)); !errors.Is(err, ErrExport) {
			t.Fatalf("%s at octet %d of %d: %v, want ErrExport", what, at, len(stream), err)
		}
		if names, err := m.fs.List("import"); err != nil && !errors.Is(err, os.ErrNotExist) || len(names) > 0 {
			t.Fatalf("%s at octet %d of %d: left behind: %v, %v", what, at, len(stream), names, err)
		}
	}
	for at := range len(stream) {
		wantRefused("cut", at, stream[:at])
		wantRefused("one octet gone", at, slices.Concat(stream[:at], stream[at+1:]))
	}
	if got := m.f.hashForTest(t); got != before {
		t.Errorf("hash %s after imports that were refused, was %s", got, before)
	}
	m.check(alice)
	m.ok(m.mail("INBOX")) // it goes on
	if err := m.f.Import(bytes.NewReader(stream)); err != nil {
		t.Fatal(err)
	}
	if got, want := m.f.hashForTest(t), source.f.hashForTest(t); got != want {
		t.Errorf("hash %s, want %s", got, want)
	}
	m.check(alice)
}

// An import whose disk fails, at any operation on the tables that it builds, is refused;
// the state is what it was.
func TestImportOnAFailingDisk(t *testing.T) {
	source := newMachine(t)
	source.ok(newAccount())
	source.ok(source.mail("INBOX"))
	stream := source.export()
	for at := 1; ; at++ {
		count := 0
		m := newMachine(t)
		m.f.cfg.FS = errorfs.Wrap(m.fs, errorfs.InjectorFunc(func(op errorfs.Op) error {
			if op.Kind.ReadOrWrite() == errorfs.OpIsRead || op.Kind == errorfs.OpRemove {
				return nil
			}
			if count++; count == at {
				return &fs.PathError{Op: "write", Path: op.Path, Err: syscall.EIO}
			}
			return nil
		}))
		m.ok(newAccount())
		before := m.f.hashForTest(t)
		err := m.f.Import(bytes.NewReader(stream))
		if err == nil {
			if at < 4 || count >= at {
				t.Errorf("operation %d of %d: no error", at, count)
			}
			return
		}
		if !errors.Is(err, syscall.EIO) {
			t.Errorf("operation %d: %v", at, err)
		}
		if got := m.f.hashForTest(t); got != before {
			t.Fatalf("operation %d: hash %s, was %s", at, got, before)
		}
		m.ok(m.mail("INBOX"))
		m.check(alice)
	}
}

// linksAlone is a MemFS that links nothing while mu is held: cloned in the middle of a
// Link, with another operation waiting for that, a MemFS stands still for ever.
type linksAlone struct {
	*vfs.MemFS
	mu *sync.Mutex
}

// Link implements vfs.FS.
func (l linksAlone) Link(oldname, newname string) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.MemFS.Link(oldname, newname)
}

// A crash at any fsync of an import leaves the state of before or the one taken in, whole,
// and no tables that nobody uses. From either the import can be made again.
func TestCrashDuringImport(t *testing.T) {
	source := newMachine(t)
	source.ok(newAccount())
	for range 5 {
		source.ok(source.mail("INBOX", `\Seen`, "$Label"))
	}
	stream, taken := source.export(), source.f.hashForTest(t)
	for _, unsynced := range []int{0, 50, 100} {
		mem := vfs.NewCrashableMem()
		var mu sync.Mutex // the store removes files when it likes
		var left []*vfs.MemFS
		recording := false
		record := func(on bool) {
			mu.Lock()
			defer mu.Unlock()
			recording = on
		}
		disk := errorfs.Wrap(linksAlone{mem, &mu}, errorfs.InjectorFunc(func(op errorfs.Op) error {
			switch op.Kind {
			case errorfs.OpFileSync, errorfs.OpFileSyncData, errorfs.OpFileSyncTo, errorfs.OpLink, errorfs.OpRemove:
				mu.Lock()
				defer mu.Unlock()
				if recording {
					left = append(left, mem.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: unsynced, RNG: rand.New(rand.NewPCG(uint64(len(left)), 1))}))
				}
			}
			return nil
		}))
		m := &machine{t: t, fs: mem, time: 1_000_000_000, db: openDB(t, disk)}
		m.open()
		m.f.cfg.FS = disk
		m.ok(newAccount())
		m.ok(m.mail("INBOX"))
		if err := m.db.Flush(); err != nil {
			t.Fatal(err)
		}
		flushed := m.f.hashForTest(t)
		m.ok(m.mail("INBOX")) // what is in memory alone may be lost
		before := m.f.hashForTest(t)
		record(true)
		if err := m.f.Import(bytes.NewReader(stream)); err != nil {
			t.Fatal(err)
		}
		record(false)
		m.close()
		seen := make(map[string]int)
		for i, fs := range left {
			m := &machine{t: t}
			m.start(fs)
			names := map[string]string{flushed: "flushed", before: "before", taken: "taken in"}
			state := names[m.f.hashForTest(t)]
			if seen[state]++; state == "" {
				t.Errorf("%d %%, crash %d of %d: another state", unsynced, i, len(left))
			}
			m.check(alice)
			if files, err := fs.List("import"); err != nil && !errors.Is(err, os.ErrNotExist) || len(files) > 0 {
				t.Errorf("%d %%, crash %d of %d: left behind: %v, %v", unsynced, i, len(left), files, err)
			}
			if err := m.f.Import(bytes.NewReader(stream)); err != nil {
				t.Fatal(err)
			}
			if m.f.hashForTest(t) != taken {
				t.Errorf("%d %%, crash %d of %d: another state after the import was made again", unsynced, i, len(left))
			}
			m.close()
		}
		t.Logf("%d %% unsynced: %d crashes: %v", unsynced, len(left), seen)
		if len(left) < 5 || seen["taken in"] == 0 {
			t.Errorf("crashes: %v", seen)
		}
	}
}
