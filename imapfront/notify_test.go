package imapfront_test

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"flag"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"net"
	"os"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/quorumail/quorumail/bench/traffic"
	"github.com/quorumail/quorumail/imapfront"
	"github.com/quorumail/quorumail/node/nodetest"
)

var notifySeeds = flag.Int("notify-seeds", 3, "how many histories TestNotifyFollowsAnAccount makes")

// follower is a client that learns what there is from notifications alone, and
// of its own commands from their answers.
type follower struct {
	t    *testing.T
	conn net.Conn
	n    int

	mu    sync.Mutex
	lines []string // untagged ones
	boxes map[string]*followed
	subs  map[string]bool
	wait  map[string]chan string // by tag: the answer
}

// followed is a mailbox as a follower knows it.
type followed struct {
	Messages, UIDNext int
	ModSeq            uint64
	touched           bool // by the follower itself: of that no MODSEQ is told
}

// follow connects and asks for notifications.
func follow(t *testing.T, conn net.Conn, user, notify string) *follower {
	f := &follower{t: t, conn: conn, boxes: make(map[string]*followed), subs: make(map[string]bool), wait: make(map[string]chan string)}
	var done sync.WaitGroup
	done.Go(f.read)
	t.Cleanup(func() {
		_ = conn.Close() // the test is over
		done.Wait()
	})
	f.ok("LOGIN %s secret", user)
	f.ok("ENABLE CONDSTORE")
	f.ok("NOTIFY SET STATUS %s", notify)
	return f
}

var (
	statusLine = regexp.MustCompile(`^\* STATUS (\S+) \((.*)\)$`)
	listLine   = regexp.MustCompile(`^\* LIST \((.*?)\) "/" (\S+)(?: \("OLDNAME" \((\S+)\)\))?$`)
)

func (f *follower) read() {
	r := bufio.NewReader(f.conn)
	for {
		line, err := r.ReadString('\n')
		if err != nil {
			return
		}
		line = strings.TrimRight(line, "\r\n")
		f.mu.Lock()
		if tag, rest, _ := strings.Cut(line, " "); f.wait[tag] != nil {
			f.wait[tag] <- rest
			delete(f.wait, tag)
		} else {
			f.lines = append(f.lines, line)
			f.learn(line)
		}
		f.mu.Unlock()
	}
}

// learn takes in what a line says. f.mu is held.
func (f *follower) learn(line string) {
	if m := statusLine.FindStringSubmatch(line); m != nil {
		b := f.boxes[m[1]]
		if b == nil {
			b = &followed{}
			f.boxes[m[1]] = b
		}
		words := strings.Fields(m[2])
		for i := 0; i+1 < len(words); i += 2 {
			n, _ := strconv.ParseUint(words[i+1], 10, 64)
			switch words[i] {
			case "MESSAGES":
				b.Messages = int(n)
			case "UIDNEXT":
				b.UIDNext = int(n)
			case "HIGHESTMODSEQ":
				b.ModSeq, b.touched = n, false
			}
		}
		return
	}
	m := listLine.FindStringSubmatch(line)
	if m == nil {
		return
	}
	attrs, name, old := m[1], m[2], m[3]
	f.subs[name] = strings.Contains(attrs, `\Subscribed`)
	if old != "" {
		moved := make(map[string]*followed)
		for n, b := range f.boxes {
			if n == old || strings.HasPrefix(n, old+"/") {
				delete(f.boxes, n)
				moved[name+n[len(old):]] = b
			}
		}
		maps.Copy(f.boxes, moved)
	}
	switch {
	case strings.Contains(attrs, `\NonExistent`):
		delete(f.boxes, name)
	case f.boxes[name] == nil:
		f.boxes[name] = &followed{UIDNext: 1}
	}
}

// do sends a command and returns its answer.
func (f *follower) do(format string, args ...any) string {
	f.t.Helper()
	f.n++
	tag := fmt.Sprintf("t%d", f.n)
	answer := make(chan string, 1)
	f.mu.Lock()
	f.wait[tag] = answer
	f.mu.Unlock()
	if _, err := io.WriteString(f.conn, tag+" "+fmt.Sprintf(format, args...)+"\r\n"); err != nil {
		f.t.Fatal(err)
	}
	select {
	case a := <-answer:
		return a
	case <-time.After(30 * time.Second):
		f.t.Fatalf("no answer to "+format, args...)
		return ""
	}
}

func (f *follower) ok(format string, args ...any) string {
	f.t.Helper()
	a := f.do(format, args...)
	if !strings.HasPrefix(a, "OK") {
		f.t.Fatalf("%s: %s", fmt.Sprintf(format, args...), a)
	}
	return a
}

// until waits for something to be so.
func (f *follower) until(what string, is func() bool) {
	f.t.Helper()
	f.untilNone(what, func() []string {
		if is() {
			return nil
		}
		return []string{"not so"}
	})
}

// untilNone waits for nothing to be wrong.
func (f *follower) untilNone(what string, wrong func() []string) {
	f.t.Helper()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	limit := time.After(20 * time.Second)
	for {
		f.mu.Lock()
		amiss := wrong()
		f.mu.Unlock()
		if amiss == nil {
			return
		}
		select {
		case <-tick.C:
		case <-limit:
			f.mu.Lock()
			defer f.mu.Unlock()
			f.t.Fatalf("%s: %q; told %d lines, at last\n%s", what, amiss, len(f.lines), strings.Join(f.lines[max(len(f.lines)-80, 0):], "\n"))
		}
	}
}

// dialTLS connects by TLS.
func dialTLS(t *testing.T, addr string) net.Conn {
	t.Helper()
	conn, err := tls.Dial("tcp", addr, &tls.Config{InsecureSkipVerify: true}) //nolint:gosec // the test's own certificate
	if err != nil {
		t.Fatal(err)
	}
	return conn
}

// worker is another client of the account.
func worker(t *testing.T, addr, user string) *traffic.Conn {
	t.Helper()
	c, err := traffic.Dial(t.Context(), addr, &tls.Config{InsecureSkipVerify: true}) //nolint:gosec // the test's own certificate
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() }) // the test is over
	if err := c.Login(user, "secret"); err != nil {
		t.Fatal(err)
	}
	return c
}

// secured starts a frontend that speaks TLS, of a cluster with an account.
func secured(t *testing.T, change func(*imapfront.Config)) (addr, user string) {
	t.Helper()
	c := nodetest.Start(t, nodetest.Options{Nodes: 1, Shards: 1})
	c.CreateAccount(t, "alice@example.org", "secret")
	cert := certificate(t)
	addr, _ = front(t, c, func(cfg *imapfront.Config) {
		cfg.TLS, cfg.Implicit = &tls.Config{Certificates: []tls.Certificate{cert}}, true
		if change != nil {
			change(cfg)
		}
	})
	return addr, "alice@example.org"
}

// A client that believes the notifications knows at last what there is, whatever
// others and itself have done, however closely together: names, also below
// renamed ones, subscriptions, messages and mod-sequences.
func TestNotifyFollowsAnAccount_RFC5465(t *testing.T) {
	for seed := range uint64(*notifySeeds) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) { followAnAccount(t, seed) })
	}
}

func followAnAccount(t *testing.T, seed uint64) {
	addr, user := secured(t, nil)
	f := follow(t, dialTLS(t, addr), user, "(personal (MessageNew MessageExpunge FlagChange MailboxName SubscriptionChange))")
	rng := rand.New(rand.NewPCG(5465, seed))
	name := func() string {
		if rng.IntN(10) == 0 {
			return "INBOX"
		}
		n := string(rune('a' + rng.IntN(4)))
		for range rng.IntN(3) {
			n += "/" + string(rune('a'+rng.IntN(2)))
		}
		return n
	}
	workers := []*traffic.Conn{worker(t, addr, user), worker(t, addr, user)}
	for step := range 400 {
		w := workers[rng.IntN(len(workers))]
		a, b := name(), name()
		var err error
		switch p := rng.IntN(20); {
		case p < 4:
			_, err = w.Cmd("CREATE %s", a) // which may exist
		case p < 6:
			_, err = w.Cmd("DELETE %s", a)
		case p < 9:
			_, err = w.Cmd("RENAME %s %s", a, b)
		case p < 10:
			_, err = w.Cmd("SUBSCRIBE %s", a)
		case p < 11:
			_, err = w.Cmd("UNSUBSCRIBE %s", a)
		case p < 15:
			_, _ = w.Append(a, nil, time.Time{}, 9, strings.NewReader("a: b\r\n\r\nc")) // there may be no such mailbox
			err = w.Err()
		case p < 17:
			if _, err = w.Cmd("SELECT %s", a); err == nil {
				_, err = w.Cmd("STORE 1 %sFLAGS (\\Deleted)", []string{"+", "-"}[rng.IntN(2)])
			}
		case p < 18:
			_, err = w.Cmd("EXPUNGE")
		case p < 19:
			if strings.HasPrefix(f.do("CREATE %s", a), "OK") {
				f.mu.Lock()
				f.boxes[a] = &followed{UIDNext: 1, touched: true}
				f.mu.Unlock()
			}
		default: // where nobody else could have put another mailbox by now
			f.ok("APPEND INBOX {9+}\r\na: b\r\n\r\nc")
			f.mu.Lock()
			b := f.boxes["INBOX"]
			b.Messages, b.UIDNext, b.touched = b.Messages+1, b.UIDNext+1, true
			f.mu.Unlock()
		}
		if err != nil {
			t.Fatalf("step %d: %v", step, err)
		}
	}
	boxes, subs := truth(t, workers[0])
	f.untilNone("all is known", func() (wrong []string) {
		for name, want := range boxes {
			got := f.boxes[name]
			if got == nil || got.Messages != want.Messages || got.UIDNext != want.UIDNext || !got.touched && got.ModSeq != want.ModSeq && got.ModSeq != 0 {
				wrong = append(wrong, fmt.Sprintf("%s is %+v, known as %+v", name, want, got))
			}
		}
		for name := range f.boxes {
			if boxes[name] == nil {
				wrong = append(wrong, name+" does not exist")
			}
		}
		for name, is := range f.subs {
			if is != subs[name] {
				wrong = append(wrong, name+": subscription")
			}
		}
		for name := range subs {
			if !f.subs[name] {
				wrong = append(wrong, name+" is subscribed to")
			}
		}
		return wrong
	})
}

// truth reads what there is.
func truth(t *testing.T, w *traffic.Conn) (map[string]*followed, map[string]bool) {
	t.Helper()
	lines, err := w.OK(`LIST "" "*" RETURN (SUBSCRIBED STATUS (MESSAGES UIDNEXT HIGHESTMODSEQ))`)
	if err != nil {
		t.Fatal(err)
	}
	subscribed, err := w.OK(`LSUB "" "*"`)
	if err != nil {
		t.Fatal(err)
	}
	all := &follower{boxes: make(map[string]*followed), subs: make(map[string]bool)}
	for _, line := range lines {
		all.learn("* " + strings.TrimPrefix(line, "* "))
	}
	subs := make(map[string]bool)
	for _, line := range subscribed {
		subs[line[strings.LastIndexByte(line, ' ')+1:]] = true
	}
	return all.boxes, subs
}

// Many changes become few notifications, and the last of them is right.
func TestNotifyIsPaced_RFC5465(t *testing.T) {
	addr, user := secured(t, nil)
	w := worker(t, addr, user)
	if _, err := w.OK("CREATE busy"); err != nil {
		t.Fatal(err)
	}
	f := follow(t, dialTLS(t, addr), user, "(mailboxes busy (MessageNew MessageExpunge))")
	start := time.Now()
	const messages = 200
	for range messages {
		if _, err := w.Append("busy", nil, time.Time{}, 9, strings.NewReader("a: b\r\n\r\nc")); err != nil {
			t.Fatal(err)
		}
	}
	f.until("all messages are known", func() bool { return f.boxes["busy"].Messages == messages })
	f.mu.Lock()
	defer f.mu.Unlock()
	told := 0
	for _, line := range f.lines {
		if strings.HasPrefix(line, "* STATUS busy") {
			told++
		}
	}
	// Ten a second, one at the beginning and one by the STATUS indicator.
	if most := int(time.Since(start)/(100*time.Millisecond)) + 2; told > most {
		t.Errorf("%d notifications in %v", told, time.Since(start))
	}
}

// RFC 5465, 5.8: who is to be told too much is told nothing any more.
func TestNotificationOverflow_RFC5465_5_8(t *testing.T) {
	addr, user := secured(t, func(cfg *imapfront.Config) { cfg.MaxNotices = 1 })
	f := follow(t, dialTLS(t, addr), user, "(personal (MailboxName))")
	w := worker(t, addr, user)
	for _, name := range []string{"one", "two/three", "four"} { // the second is two names at once
		if _, err := w.OK("CREATE %s", name); err != nil {
			t.Fatal(err)
		}
		if name == "one" {
			f.until("it is told", func() bool { return f.boxes["one"] != nil })
		}
	}
	f.until("given up", func() bool { return strings.HasPrefix(f.lines[len(f.lines)-1], "* OK [NOTIFICATIONOVERFLOW]") })
	f.ok("NOOP")
	f.ok("NOTIFY SET (mailboxes (five) (MailboxName))")
	if _, err := w.OK("CREATE five"); err != nil {
		t.Fatal(err)
	}
	f.until("told again", func() bool { return f.boxes["five"] != nil })
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.boxes["four"] != nil || f.boxes["two/three"] != nil {
		t.Errorf("told after the overflow: %v", f.lines)
	}
	if a := regexp.MustCompile(`^\* OK \[NOTIFICATIONOVERFLOW\] .`); !a.MatchString(f.lines[len(f.lines)-2]) {
		t.Errorf("told %q", f.lines)
	}
}

// RFC 5465, 3.1: what is too complex is refused.
func TestTooManyNamesInNotify_RFC5465_3_1(t *testing.T) {
	addr, user := secured(t, nil)
	f := follow(t, dialTLS(t, addr), user, "(personal (MailboxName))")
	names := strings.Repeat("x ", 999) + "x"
	if a := f.do("NOTIFY SET (mailboxes (%s) (MailboxName)) (subtree y (MailboxName))", names); !strings.HasPrefix(a, "NO [NOTIFICATIONOVERFLOW]") {
		t.Errorf("answered %s", a)
	}
	f.ok("NOTIFY SET (mailboxes (%s) (MailboxName))", names)
}

// Commands that arrive piece by piece, while there is always something to tell,
// are all understood and answered.
func TestCommandsAmongNotifications(t *testing.T) {
	addr, user := secured(t, nil)
	conn := dialTLS(t, addr)
	f := follow(t, conn, user, "(selected (MessageNew (uid body.peek[text]) MessageExpunge FlagChange)) (personal (MessageNew MessageExpunge))")
	f.ok("SELECT INBOX")
	f.ok("CREATE other")
	w := worker(t, addr, user)
	ctx, cancel := context.WithCancel(t.Context())
	var work sync.WaitGroup
	work.Go(func() {
		for n := 0; ctx.Err() == nil; n++ {
			box := []string{"INBOX", "other"}[n%2]
			if _, err := w.Append(box, nil, time.Time{}, 9, strings.NewReader("a: b\r\n\r\nc")); err != nil {
				t.Error(err)
				return
			}
		}
	})
	rng := rand.New(rand.NewPCG(1, 2))
	for i := range 30 {
		tag := fmt.Sprintf("p%d", i)
		answer := make(chan string, 1)
		f.mu.Lock()
		f.wait[tag] = answer
		f.mu.Unlock()
		command := []string{" NOOP\r\n", " SEARCH SUBJECT {1+}\r\nx\r\n", " UID FETCH 1 (FLAGS)\r\n"}[i%3]
		for rest := tag + command; rest != ""; {
			n := min(1+rng.IntN(4), len(rest))
			if _, err := io.WriteString(conn, rest[:n]); err != nil {
				t.Fatal(err)
			}
			rest = rest[n:]
			<-time.After(time.Duration(rng.IntN(3)) * time.Millisecond)
		}
		if a := <-answer; !strings.HasPrefix(a, "OK") {
			t.Errorf("%s%s: %s", tag, command, a)
		}
	}
	cancel()
	work.Wait()
	exists := 0
	lines, err := w.OK("STATUS INBOX (MESSAGES)")
	if err != nil || len(lines) != 1 {
		t.Fatal(lines, err)
	}
	all, _ := truth(t, w)
	f.until("the last message is told and fetched", func() bool {
		want := all["INBOX"].Messages
		exists = strings.Count("\n"+strings.Join(f.lines, "\n"), fmt.Sprintf("\n* %d EXISTS", want))
		return exists == 1 && strings.Contains(strings.Join(f.lines, "\n"), fmt.Sprintf("\n* %d FETCH (UID %d ", want, want))
	})
	f.mu.Lock()
	defer f.mu.Unlock()
	fetched := make(map[string]int)
	for _, line := range f.lines {
		if m := regexp.MustCompile(`^\* \d+ FETCH \(UID (\d+) MODSEQ \(\d+\) BODY\[TEXT\]`).FindStringSubmatch(line); m != nil {
			fetched[m[1]]++
		}
	}
	for uid, n := range fetched {
		if n != 1 {
			t.Errorf("message %s was fetched %d times", uid, n)
		}
	}
	if len(fetched) != all["INBOX"].Messages {
		t.Errorf("%d of %d messages were fetched", len(fetched), all["INBOX"].Messages)
	}
}

// A silent client is parted with in the end, whether or not it is told something
// meanwhile.
func TestNotifyAutologout_RFC9051_5_4(t *testing.T) {
	addr, user := secured(t, func(cfg *imapfront.Config) { cfg.IdleTimeout = 1500 * time.Millisecond })
	f := follow(t, dialTLS(t, addr), user, "(personal (MessageNew MessageExpunge))")
	w := worker(t, addr, user)
	deadline := time.Now().Add(20 * time.Second)
	for {
		_, err := w.Append("INBOX", nil, time.Time{}, 9, strings.NewReader("a: b\r\n\r\nc"))
		f.mu.Lock()
		bye := len(f.lines) > 0 && strings.HasPrefix(f.lines[len(f.lines)-1], "* BYE")
		f.mu.Unlock()
		if bye {
			break
		}
		if err != nil || time.Now().After(deadline) {
			t.Fatalf("no BYE; %v", err)
		}
		<-time.After(20 * time.Millisecond)
	}
	if f.boxes["INBOX"].Messages == 0 {
		t.Error("nothing was told")
	}
	if _, err := f.conn.Read(make([]byte, 1)); errors.Is(err, os.ErrDeadlineExceeded) {
		t.Error(err)
	}
}

// RFC 5465, 3.1: so is what would have more accounts of others watched than a
// connection may; those that do not exist are not told from others.
func TestTooManyAccountsInNotify_RFC5465_3_1(t *testing.T) {
	addr, user := secured(t, nil)
	f := follow(t, dialTLS(t, addr), user, "(personal (MailboxName))")
	var names []string
	for i := range 201 {
		names = append(names, fmt.Sprintf(`"Other Users/nobody%d@example.org/INBOX"`, i))
	}
	if a := f.do("NOTIFY SET (mailboxes (%s) (MailboxName))", strings.Join(names, " ")); !strings.HasPrefix(a, "NO [NOTIFICATIONOVERFLOW]") {
		t.Errorf("answered %s", a)
	}
	f.ok("NOTIFY SET (mailboxes (%s) (MailboxName))", strings.Join(names[:200], " "))
}
