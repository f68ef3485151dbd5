package session

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/quorumail/quorumail/imapfront/wire"
	"github.com/quorumail/quorumail/node/client"
	"github.com/quorumail/quorumail/proto/imapnum"
	pb "github.com/quorumail/quorumail/proto/quorumail/v1"
)

// sharerStore is an account, the user's own or one that shares mailbox 1 with it, which
// is called box.
type sharerStore struct {
	Store
	account  string
	sharedBy []string          // the user's own
	has      map[string]uint64 // annotations of the box, with their modseqs
	modSeq   uint64
	failing  error // of reading annotations
	waits    bool  // reading waits until it is given up
	reads    int
	event    func(*pb.WatchResponse, error) // nil: it is not watched
}

func (s *sharerStore) Account() string { return s.account }

func (s *sharerStore) ListMailboxes(context.Context) (*pb.ListMailboxesResponse, error) {
	box := &pb.MailboxInfo{Id: 1, Name: "box", Rights: uint32(imapnum.AllRights)}
	return &pb.ListMailboxesResponse{SharedBy: s.sharedBy, Mailboxes: []*pb.MailboxInfo{box}}, nil
}

func (s *sharerStore) SeenMailboxes(ctx context.Context) (*pb.ListMailboxesResponse, error) {
	return s.ListMailboxes(ctx)
}

func (s *sharerStore) Metadata(ctx context.Context, req *pb.GetMetadataRequest, _ bool) (*pb.GetMetadataResponse, error) {
	s.reads++
	if s.waits {
		<-ctx.Done()
	}
	if ctx.Err() != nil {
		return nil, ctx.Err()
	}
	resp := &pb.GetMetadataResponse{ModSeq: s.modSeq}
	if s.modSeq > req.GetSinceModSeq() {
		m := &pb.MailboxMetadata{MailboxId: 1, Mailbox: "box"}
		for name, modSeq := range s.has {
			m.Entries = append(m.Entries, &pb.MetadataEntry{Name: name, ModSeq: modSeq})
		}
		resp.Mailboxes = append(resp.Mailboxes, m)
	}
	return resp, s.failing
}

func (s *sharerStore) Watch(_ uint64, fn func(*pb.WatchResponse, error)) func() {
	s.event = fn
	return func() { s.event = nil }
}

// set has another set annotations, and the watch tell of it.
func (s *sharerStore) set(names ...string) {
	s.modSeq++
	if s.has == nil {
		s.has = make(map[string]uint64)
	}
	for _, name := range names {
		s.has[name] = s.modSeq
	}
	if s.event != nil {
		s.event(&pb.WatchResponse{ModSeq: s.modSeq, Metadata: true}, nil)
	}
}

// sharersConn is a connection of a user with whom accounts share mailboxes.
type sharersConn struct {
	*Conn
	own    *sharerStore
	stores map[string]*sharerStore
	out    strings.Builder
}

func newSharersConn(owners ...string) *sharersConn {
	c := &sharersConn{own: &sharerStore{account: "me@example.org", sharedBy: owners}, stores: make(map[string]*sharerStore)}
	for _, owner := range owners {
		c.stores[owner] = &sharerStore{account: owner}
	}
	storage := func(account, _ string) Store { return c.stores[account] }
	c.Conn = &Conn{w: wire.NewWriter(&c.out), log: slog.New(slog.DiscardHandler), cfg: &Config{Storage: storage}, store: c.own, state: authenticated}
	return c
}

// told returns what the client is told with a command, in short.
func (c *sharersConn) told(t *testing.T) string {
	t.Helper()
	c.tellMetadata(t.Context(), false)
	if err := c.w.Flush(); err != nil {
		t.Fatal(err)
	}
	text := strings.NewReplacer("* METADATA \"Other Users/", "", "/box\"", "", "\r\n", ";").Replace(c.out.String())
	c.out.Reset()
	return text
}

// woke reports whether the connection has been woken since it was last asked for.
func (c *sharersConn) woke() bool {
	c.in.mu.Lock()
	defer c.in.mu.Unlock()
	woken := c.in.mu.woken
	c.in.mu.woken = false
	return woken
}

func (c *sharersConn) enableIt(t *testing.T) {
	t.Helper()
	if err := c.enableMetadata(t.Context()); err != nil {
		t.Fatal(err)
	}
}

// An account that cannot be read keeps nobody waiting for long, is read again, less and
// less often, and hides nothing of others; one that is gone is forgotten.
func TestSharersThatCannotBeRead_RFC5464_4_4(t *testing.T) { synctest.Test(t, sharersThatCannotBeRead) }

func sharersThatCannotBeRead(t *testing.T) {
	c := newSharersConn("a", "b", "gone")
	c.stores["a"].set("/shared/before")
	c.stores["b"].set("/shared/before")
	c.stores["b"].failing = errors.New("no answer")
	c.stores["gone"].failing = client.ErrNoMailbox
	c.enableIt(t)
	defer c.disableMetadata()
	if got := c.told(t); got != "" {
		t.Errorf("at first: told %q", got)
	}
	if c.stores["gone"].event != nil || c.stores["b"].event == nil {
		t.Error("what does not exist is watched, or what cannot be read is not")
	}
	c.stores["a"].set("/shared/x")
	reads := c.stores["b"].reads
	if got := c.told(t); got != "a /shared/x;" || c.stores["b"].reads != reads {
		t.Errorf("told %q, %d reads before it is time", got, c.stores["b"].reads-reads)
	}
	c.stores["a"].waits = true
	c.stores["a"].set("/shared/y")
	if got := c.told(t); got != "" {
		t.Errorf("told %q of what cannot be read", got)
	}
	pause := c.sharers.pause
	c.woke()
	time.Sleep(pause)
	synctest.Wait()
	if !c.woke() {
		t.Error("a client that is in IDLE is not told later")
	}
	c.stores["b"].failing = nil
	if got := c.told(t); got != "" || c.sharers.pause != 2*pause {
		t.Errorf("told %q; pauses of %v and %v", got, pause, c.sharers.pause)
	}
	c.stores["a"].waits = false
	reads = c.stores["a"].reads
	if got := c.told(t); got != "" || c.stores["a"].reads != reads {
		t.Errorf("told %q, %d reads before it is time", got, c.stores["a"].reads-reads)
	}
	time.Sleep(2 * pause)
	if got := c.told(t); got != "a /shared/y;b /shared/before;" || c.sharers.pause != 0 {
		t.Errorf("told %q at last; the next pause is %v", got, c.sharers.pause)
	}
}

// There are as many accounts, and as many annotations, as may be kept; that there are
// more is told once. Of those that are kept all is told.
func TestSharersAreBounded_RFC5464_4_4(t *testing.T) {
	var owners []string
	for i := range maxWatchedOwners + 10 {
		owners = append(owners, fmt.Sprintf("o%03d", i))
	}
	c := newSharersConn(owners...)
	c.enableIt(t)
	const no = "* NO more is shared than can be watched"
	if got := c.told(t); strings.Count(got, no) != 1 || len(c.sharers.accounts) != maxWatchedOwners {
		t.Errorf("%d accounts: told %q", len(c.sharers.accounts), got)
	}
	c.stores["o000"].set("/shared/x")
	c.stores["o205"].set("/shared/x")
	c.own.event(&pb.WatchResponse{ModSeq: 9, MailboxList: true}, nil)
	if got := c.told(t); got != "o000 /shared/x;" {
		t.Errorf("told %q", got)
	}
	c.disableMetadata()
	for owner, s := range c.stores {
		if s.event != nil {
			t.Errorf("%s is watched still", owner)
		}
	}

	many := make([]string, maxWatchedAnnotations/2)
	for i := range many {
		many[i] = fmt.Sprintf("/shared/%d", i)
	}
	c = newSharersConn("a", "b", "c")
	c.stores["a"].set(many...)
	c.stores["b"].set(many...)
	c.enableIt(t)
	if got := c.told(t); got != "" {
		t.Errorf("as many as may be: told %.100q", got)
	}
	c.stores["c"].set("/shared/x")
	if got := c.told(t); strings.Count(got, no) != 1 || c.stores["c"].event != nil {
		t.Errorf("one too many: told %.100q", got)
	}
	c.stores["a"].set("/shared/more")
	if got := c.told(t); got != "a /shared/more;" || len(c.sharers.accounts) != 1 {
		t.Errorf("told %.100q of %d accounts", got, len(c.sharers.accounts))
	}
	c.disableMetadata()

	c = newSharersConn("a", "b", "c", "d")
	for _, s := range c.stores {
		s.set(many...)
	}
	c.enableIt(t)
	known := 0
	for _, a := range c.sharers.accounts {
		known += len(a.known)
	}
	if got := c.told(t); strings.Count(got, no) != 1 || known > maxWatchedAnnotations {
		t.Errorf("%d annotations are known; told %.100q", known, got)
	}
	c.disableMetadata()
}

// Nobody who shares nothing costs anything: not what is read, not what wakes.
func TestNoSharers_RFC5464_4_4(t *testing.T) {
	c := newSharersConn()
	c.enableIt(t)
	reads := c.own.reads
	if got := c.told(t); got != "" || c.own.reads != reads || c.sharers.accounts != nil || c.owners != nil {
		t.Errorf("told %q after %d reads", got, c.own.reads-reads)
	}
	c.disableMetadata()
}
