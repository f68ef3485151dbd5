package session

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/quorumail/quorumail/imapfront/wire"
	"github.com/quorumail/quorumail/proto/imapnum"
	pb "github.com/quorumail/quorumail/proto/quorumail/v1"
)

// annotatedStore is an account of others with annotations.
type annotatedStore struct {
	Store
	rights map[uint64]string // by mailbox, which is called m<id>; "": it cannot be looked up
	// has is "mailbox name modseq", by mailbox.
	has []string
	// failing and lost happen when the annotations are read: an error, and a mailbox
	// that can be read no more.
	failing error
	lost    uint64
	reads   atomic.Int64
}

func (s *annotatedStore) Account() string { return "al@example.org" }

func (s *annotatedStore) SeenMailboxes(context.Context) (*pb.ListMailboxesResponse, error) {
	list := &pb.ListMailboxesResponse{}
	for id := range uint64(10) {
		if r, _ := imapnum.ParseRights(s.rights[id]); r != 0 {
			list.Mailboxes = append(list.Mailboxes, &pb.MailboxInfo{Id: id, Name: fmt.Sprintf("m%d", id), Rights: uint32(r)})
		}
	}
	return list, nil
}

func (s *annotatedStore) Metadata(_ context.Context, req *pb.GetMetadataRequest, _ bool) (*pb.GetMetadataResponse, error) {
	s.reads.Add(1)
	if s.lost != 0 {
		s.rights[s.lost] = "l"
	}
	resp := &pb.GetMetadataResponse{}
	for _, words := range s.has {
		m, e := &pb.MailboxMetadata{}, &pb.MetadataEntry{}
		if _, err := fmt.Sscan(words, &m.MailboxId, &e.Name, &e.ModSeq); err != nil {
			panic(err)
		}
		if strings.Contains(s.rights[m.MailboxId], "lr") {
			m.Entries = append(m.Entries, e)
			resp.Mailboxes = append(resp.Mailboxes, m)
		}
	}
	return resp, s.failing
}

// annotatedConn is a connection that watches an account of another user, with what
// it is told.
type annotatedConn struct {
	*Conn
	store *annotatedStore
	a     *watched
	out   strings.Builder
}

func newAnnotatedConn(t *testing.T, s *annotatedStore) *annotatedConn {
	t.Helper()
	_, cmd, err := wire.NewReader(strings.NewReader("t notify set (subtree \"Other Users\" (MailboxMetadataChange))\r\n"), wire.Limits{}, nil).ReadCommand()
	if err != nil {
		t.Fatal(err)
	}
	c := &annotatedConn{store: s, a: &watched{at: place{store: s, owner: s.Account()}}}
	c.Conn = &Conn{w: wire.NewWriter(&c.out), log: slog.New(slog.DiscardHandler), cfg: &Config{MaxNotices: 2}, notify: newNotify(cmd.(wire.Notify))}
	stopped := func() {}
	c.notify.account = &watched{watch: &watch{stop: stopped}}
	c.notify.others = map[string]*watched{s.Account(): c.a}
	c.a.watch = &watch{stop: stopped}
	c.list()
	lists := []accountList{{at: c.a.at, list: c.shown()}}
	if err := c.annotate(t.Context(), lists); err != nil {
		t.Fatal(err)
	}
	c.a.annotations, c.a.scope.annotated = lists[0].annotations, true
	return c
}

func (c *annotatedConn) shown() *pb.ListMailboxesResponse {
	list, _ := c.store.SeenMailboxes(context.Background())
	c.a.at.show(list)
	return list
}

// list takes what there is for what the client knows.
func (c *annotatedConn) list() {
	c.a.known = listingOf(c.shown())
	c.a.scope.set(&c.a.known)
}

// told reports what the client is told after an event of annotations.
func (c *annotatedConn) told(t *testing.T) string {
	t.Helper()
	c.a.scope.concerns(&pb.WatchResponse{Metadata: true})
	c.out.Reset()
	err := c.tellAnnotations(t.Context(), c.a)
	if failed := c.w.Flush(); failed != nil {
		t.Fatal(failed)
	}
	text := strings.NewReplacer("* METADATA \"Other Users/al@example.org/", "", "\"", "", "\r\n", ";").Replace(c.out.String())
	if err != nil {
		text += err.Error()
	}
	return text
}

func TestAnnotationsOfOthers_RFC5465_5_6(t *testing.T) {
	s := &annotatedStore{rights: map[uint64]string{1: "lr", 2: "lr", 3: "l"}, has: []string{"1 /shared/a 5", "1 /shared/b 6", "2 /shared/c 7", "3 /shared/d 8"}}
	c := newAnnotatedConn(t, s)
	expect := func(what, want string) {
		t.Helper()
		if got := c.told(t); got != want {
			t.Errorf("%s: told %q, want %q", what, got, want)
		}
	}
	expect("nothing has changed", "")
	s.has = []string{"1 /shared/a 9", "2 /shared/c 7", "3 /shared/d 8"}
	expect("set and removed", "m1 /shared/a /shared/b;")

	s.failing = errors.New("no answer")
	s.has = []string{"2 /shared/c 7", "3 /shared/d 8"}
	expect("it cannot be read", "no answer")
	if !c.a.stale || !c.a.scope.annotationsPending() {
		t.Error("what could not be read is not read again")
	}
	s.failing = nil
	expect("it can be read again", "m1 /shared/a;")

	s.rights[3] = "lr"
	expect("not listed yet", "")
	c.list()
	expect("come into sight", "m3 /shared/d;")
	s.lost, s.has = 2, []string{"1 /shared/a 10", "2 /shared/c 11", "3 /shared/d 8"}
	expect("lost between two reads", "m1 /shared/a;")
	s.lost, s.rights[2] = 0, "lr"
	expect("back before it was listed as lost", "m2 /shared/c;")
	s.rights[2] = "l"
	c.list()
	expect("listed as lost", "")
	for is := range c.a.annotations {
		if is.mailbox == 2 {
			t.Errorf("%v of a mailbox that cannot be read is kept", is)
		}
	}

	reads := s.reads.Load()
	if c.a.scope.concerns(&pb.WatchResponse{MailboxIds: []uint64{8}}); c.tellAnnotations(t.Context(), c.a) != nil || s.reads.Load() != reads {
		t.Error("annotations are read though none can have changed")
	}
	s.rights, s.has = nil, nil
	c.list()
	if got := c.told(t); got != "" || s.reads.Load() != reads || len(c.a.annotations) != 0 {
		t.Errorf("without mailboxes: told %q, %d annotations are known", got, len(c.a.annotations))
	}
}

// Of what the session has done itself it is not told; of what others do to it, it is.
func TestOwnAnnotationsOfOthers_RFC5465_5_6(t *testing.T) {
	s := &annotatedStore{rights: map[uint64]string{1: "lr"}, has: []string{"1 /shared/a 5", "1 /shared/b 5"}}
	c := newAnnotatedConn(t, s)
	set := func(modSeq uint64, entries ...*pb.MetadataEntry) {
		op := &pb.SetMetadataOp{Mailbox: "m1", Entries: entries}
		c.a.note(&pb.Entry{Op: &pb.Entry_SetMetadata{SetMetadata: op}}, &pb.Result{ModSeq: modSeq})
	}
	x := []byte("x")
	set(6, &pb.MetadataEntry{Name: "/shared/a"}, &pb.MetadataEntry{Name: "/shared/c", Value: x}, &pb.MetadataEntry{Name: "/shared/d", Value: x}, &pb.MetadataEntry{Name: "/shared/e", Value: x})
	// Another has set d since, and removed e.
	s.has = []string{"1 /shared/b 5", "1 /shared/c 6", "1 /shared/d 7"}
	if got := c.told(t); got != "m1 /shared/d /shared/e;" {
		t.Errorf("told %q", got)
	}
	c.a.known.boxes = append(c.a.known.boxes, boxState{id: 4, name: "Other Users/al@example.org/INBOX"})
	c.a.annotations[annotation{4, "/shared/z"}] = 3
	op := &pb.RenameMailboxOp{From: "INBOX", To: "m5"}
	c.a.note(&pb.Entry{Op: &pb.Entry_RenameMailbox{RenameMailbox: op}}, &pb.Result{ModSeq: 8, MailboxId: 5})
	delete(c.a.annotations, annotation{4, "/shared/z"})
	s.rights[5], s.has = "lr", append(s.has, "5 /shared/z 8")
	if got := c.told(t); got != "" {
		t.Errorf("told %q of what it has copied itself", got)
	}
}

// What is too much to tell, or to know, ends the notifications.
func TestTooManyAnnotationsOfOthers_RFC5465_5_8(t *testing.T) {
	few := &annotatedStore{rights: map[uint64]string{1: "lr", 2: "lr", 3: "lr"}}
	c := newAnnotatedConn(t, few)
	few.has = []string{"1 /shared/a 5", "2 /shared/a 5", "3 /shared/a 5"}
	if got := c.told(t); !strings.HasPrefix(got, "* OK [NOTIFICATIONOVERFLOW]") || strings.Contains(got, "/shared/a") {
		t.Errorf("three notices at once where two may be: told %q", got)
	}
	many := &annotatedStore{rights: map[uint64]string{1: "lr"}}
	c = newAnnotatedConn(t, many)
	for i := range maxWatchedAnnotations + 1 {
		many.has = append(many.has, fmt.Sprintf("1 /shared/%d 5", i))
	}
	reads, lists := many.reads.Load(), make([]accountList, 10*listers)
	for i := range lists {
		lists[i] = accountList{at: c.a.at, list: c.shown()}
	}
	if err := c.annotate(t.Context(), lists); !errors.Is(err, errTooMuch) {
		t.Errorf("NOTIFY with too many annotations: %v", err)
	}
	if reads = many.reads.Load() - reads; reads > 2*listers {
		t.Errorf("%d accounts are read where one is too much", reads)
	}
	if got := c.told(t); !strings.HasPrefix(got, "* OK [NOTIFICATIONOVERFLOW]") || c.notify.listens() {
		t.Errorf("too many annotations: told %.200q", got)
	}
}
