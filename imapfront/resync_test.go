package imapfront_test

import (
	"bytes"
	"context"
	"flag"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/quorumail/quorumail/bench/offline"
	"github.com/quorumail/quorumail/bench/traffic"
	"github.com/quorumail/quorumail/node/nodetest"
	pb "github.com/quorumail/quorumail/proto/quorumail/v1"
)

var resyncSeeds = flag.Int("resync-seeds", 4, "how many histories TestResynchroniseFromEveryCut makes")

// resyncHistory is a random history of several sessions in one mailbox, and what
// each of them had kept after each of its commands.
type resyncHistory struct {
	t       *testing.T
	rng     *rand.Rand
	addr    string
	user    string
	clients []*keeper
	watcher *keeper // asks for everything after each command

	truth      *offline.Cache
	expungedAt map[uint32]uint64 // HIGHESTMODSEQ by which a UID was gone
	floor      uint64            // of the expunge queue
	merged     uint64            // up to here its records are merged, and say more than need be
	cuts       []cut
	log        []string
}

// keeper is a client with its cache.
type keeper struct {
	h     *resyncHistory
	name  string
	conn  *traffic.Conn
	cache *offline.Cache
}

// cut is what a client had kept when it might have been cut off.
type cut struct {
	story []string // the lines before, of all clients
	cache *offline.Cache
}

func newResyncHistory(t *testing.T, seed uint64, addr, user string, sessions int) *resyncHistory {
	h := &resyncHistory{
		t: t, rng: rand.New(rand.NewPCG(seed, 7162)), addr: addr, user: user, expungedAt: make(map[uint32]uint64),
	}
	h.watcher = h.connect("watcher")
	h.watcher.run("CREATE Other")
	for range 12 {
		h.appendOne(h.watcher)
	}
	h.look()
	for i := range sessions {
		k := h.connect(fmt.Sprintf("client%d", i))
		k.open("")
		k.fetchNew()
		h.clients = append(h.clients, k)
	}
	return h
}

func (h *resyncHistory) fatal(format string, args ...any) {
	h.t.Helper()
	from := max(len(h.log)-60, 0)
	h.t.Fatalf("%s\n%s", fmt.Sprintf(format, args...), strings.Join(h.log[from:], "\n"))
}

func (h *resyncHistory) connect(name string) *keeper {
	h.t.Helper()
	d := traffic.Dialer{Timeout: time.Minute}
	conn, err := d.Dial(context.Background(), h.addr)
	if err != nil {
		h.t.Fatal(err)
	}
	h.t.Cleanup(func() { _ = conn.Close() })
	if err := conn.Login(h.user, "secret"); err != nil {
		h.t.Fatal(err)
	}
	k := &keeper{h: h, name: name, conn: conn, cache: &offline.Cache{}}
	conn.Observe(func(line []byte) {
		h.log = append(h.log, fmt.Sprintf("%s S: %s", name, line))
		if err := k.cache.Take(string(line)); err != nil {
			h.t.Errorf("%s: %v", name, err)
		}
	})
	k.run("ENABLE QRESYNC")
	return k
}

// run does a command that must not be BAD and brings the cache to its end.
func (k *keeper) run(format string, args ...any) traffic.Reply {
	k.h.t.Helper()
	k.h.log = append(k.h.log, fmt.Sprintf("%s C: "+format, append([]any{k.name}, args...)...))
	reply, err := k.conn.Cmd(format, args...)
	if err != nil || reply.Status.Word == "BAD" || k.h.t.Failed() {
		k.h.fatal("%s: %v %v", k.name, reply.Status, err)
	}
	k.h.log = append(k.h.log, fmt.Sprintf("%s S: %s", k.name, reply.Status))
	return reply
}

// do is run for a session that keeps a cache, up to the tagged response.
func (k *keeper) do(format string, args ...any) traffic.Reply {
	k.h.t.Helper()
	reply := k.run(format, args...)
	k.settle(reply)
	return reply
}

func (k *keeper) settle(reply traffic.Reply) {
	if err := k.cache.Tagged(reply.Status.String()); err != nil {
		k.h.fatal("%v", err)
	}
}

// open selects the mailbox, with the parameters given.
func (k *keeper) open(params string) {
	k.h.t.Helper()
	k.cache.Opened()
	if reply := k.do("SELECT INBOX%s", params); !reply.Status.OK() {
		k.h.fatal("SELECT: %v", reply.Status)
	}
}

// fetchNew asks about the messages that the client knows only by their number.
func (k *keeper) fetchNew() {
	k.cache.Asking = true
	k.do("UID FETCH %d:* (UID FLAGS MODSEQ)", k.cache.Next)
	k.cache.Asking = false
	if uids := k.cache.UIDs(); len(uids) > 0 {
		k.cache.Next = max(k.cache.Next, uids[len(uids)-1]+1)
	}
}

// look notes what the mailbox is now.
func (h *resyncHistory) look() {
	h.t.Helper()
	mark := len(h.log)
	w := h.watcher
	w.cache = &offline.Cache{}
	w.open("")
	w.fetchNew()
	h.log = h.log[:mark]
	if h.truth != nil {
		for uid := range h.truth.Flags {
			if _, ok := w.cache.Flags[uid]; !ok {
				h.expungedAt[uid] = w.cache.HighestModSeq
			}
		}
		if w.cache.HighestModSeq < h.truth.HighestModSeq {
			h.fatal("HIGHESTMODSEQ went back from %d to %d", h.truth.HighestModSeq, w.cache.HighestModSeq)
		}
	}
	h.truth = w.cache
}

func (h *resyncHistory) appendOne(k *keeper) {
	body := fmt.Sprintf("Subject: message %d\r\n\r\nhello\r\n", h.rng.IntN(1000))
	var flags []string
	if h.rng.IntN(2) == 0 {
		flags = []string{h.flag()}
	}
	h.log = append(h.log, k.name+" C: APPEND")
	p, err := k.conn.StartAppend("INBOX", traffic.Message{Flags: flags, Size: int64(len(body)), Body: bytes.NewReader([]byte(body))})
	if err != nil {
		h.fatal("APPEND: %v", err)
	}
	reply, err := k.conn.Wait(p)
	if err != nil || !reply.Status.OK() {
		h.fatal("APPEND: %v %v", reply.Status, err)
	}
	h.log = append(h.log, fmt.Sprintf("%s S: %s", k.name, reply.Status))
	k.settle(reply)
}

func (h *resyncHistory) flag() string {
	return []string{`\Seen`, `\Flagged`, `\Deleted`, "$Forwarded", "work"}[h.rng.IntN(5)]
}

// some returns a few UIDs that the client knows, as a set; "" if it knows none.
func (k *keeper) some() ([]uint32, string) {
	all := k.cache.UIDs()
	k.h.rng.Shuffle(len(all), func(i, j int) { all[i], all[j] = all[j], all[i] })
	all = all[:min(len(all), 1+k.h.rng.IntN(4))]
	slices.Sort(all)
	return all, setText(all)
}

func setText(uids []uint32) string {
	words := make([]string, len(uids))
	for i, uid := range uids {
		words[i] = fmt.Sprint(uid)
	}
	return strings.Join(words, ",")
}

// step lets one client do one thing, and notes where it then stands.
func (h *resyncHistory) step() {
	k := h.clients[h.rng.IntN(len(h.clients))]
	if k.cache.Missing() && h.rng.IntN(3) > 0 {
		k.fetchNew()
		h.cut(k)
	}
	uids, set := k.some()
	switch op := h.rng.IntN(14); {
	case op < 2:
		h.appendOne(k)
	case op < 3 || set == "":
		k.do("NOOP")
	case op < 7:
		k.storeSome(uids, set)
	case op < 8:
		k.do("UID FETCH %s (FLAGS%s)", set, []string{"", " MODSEQ"}[h.rng.IntN(2)])
	case op < 9:
		k.do("FETCH 1 (UID FLAGS)")
	case op < 10:
		k.do(`UID STORE %s +FLAGS (\Deleted)`, set)
		h.cut(k)
		k.do("UID EXPUNGE %s", set)
	case op < 11:
		k.do("EXPUNGE")
	case op < 12:
		k.do("UID %s %s %s", []string{"MOVE", "COPY"}[h.rng.IntN(2)], set, []string{"Other", "INBOX"}[h.rng.IntN(2)])
	case op < 13:
		k.do("SEARCH SEEN")
	default:
		k.closeAndReturn()
	}
	h.cut(k)
	h.look()
}

// storeSome changes flags in one of the ways that STORE has.
func (k *keeper) storeSome(uids []uint32, set string) {
	flag := k.h.flag()
	mode := []string{"+", "-", ""}[k.h.rng.IntN(3)]
	silent := []string{"", ".SILENT"}[k.h.rng.IntN(2)]
	since := ""
	if k.h.rng.IntN(3) == 0 {
		since = fmt.Sprintf(" (UNCHANGEDSINCE %d)", k.cache.HighestModSeq-uint64(k.h.rng.IntN(3)))
	}
	reply := k.run("UID STORE %s%s %sFLAGS%s (%s)", set, since, mode, silent, flag)
	for _, uid := range k.cache.Silenced() {
		if !slices.Contains(uids, uid) {
			k.h.fatal("FETCH of %d without FLAGS", uid)
		}
		was, known := k.cache.Flags[uid]
		if !known {
			continue
		}
		switch mode {
		case "+":
			was += " " + flag
		case "-":
			was = strings.Join(slices.DeleteFunc(strings.Fields(was), func(f string) bool { return strings.EqualFold(f, flag) }), " ")
		default:
			was = flag
		}
		k.cache.Flags[uid] = offline.Normal(was)
	}
	k.settle(reply)
}

// closeAndReturn closes the mailbox, and comes back from what is in the cache,
// with what CLOSE has removed: it tells nothing of that (RFC 7162, 3.2.8).
func (k *keeper) closeAndReturn() {
	reply := k.run("CLOSE")
	if _, ok := reply.Status.CodeArg("HIGHESTMODSEQ"); ok {
		k.h.fatal("CLOSE tells a HIGHESTMODSEQ")
	}
	k.settle(reply)
	k.h.cut(k)
	k.h.look()
	k.open(fmt.Sprintf(" (QRESYNC (%d %d))", k.cache.UIDValidity, k.cache.HighestModSeq))
	k.fetchNew()
	if err := k.cache.Number(); err != nil {
		k.h.fatal("%v", err)
	}
}

func (h *resyncHistory) cut(k *keeper) {
	if h.t.Failed() {
		h.fatal("%s", k.name)
	}
	h.cuts = append(h.cuts, cut{
		story: slices.Clone(h.log[max(len(h.log)-60, 0):]), cache: k.cache.Clone(),
	})
}

// known are the ways in which a client can name what it has (RFC 7162, 3.2.5.1).
func (h *resyncHistory) known(c *offline.Cache) map[string][]uint32 {
	all := c.UIDs()
	sets := map[string][]uint32{"none": nil}
	if len(all) == 0 {
		return sets
	}
	sets["exact"] = all
	half := slices.DeleteFunc(slices.Clone(all), func(uint32) bool { return h.rng.IntN(2) == 0 })
	if len(half) > 0 {
		sets["half"] = half
	}
	var whole []uint32
	for uid := uint32(1); uid < c.Next; uid++ {
		whole = append(whole, uid)
	}
	sets["whole"] = whole
	return sets
}

// matches are pairs of numbers and UIDs (RFC 7162, 3.2.5.2). The numbers are those
// of the messages that the client has kept.
func (h *resyncHistory) matches(c *offline.Cache) map[string][][2]uint32 {
	data := map[string][][2]uint32{"none": nil}
	if c.Missing() {
		return data // it does not know all numbers
	}
	var full, sparse [][2]uint32
	for i, uid := range c.Numbers() {
		full = append(full, [2]uint32{uint32(i + 1), uid})
		if i%3 == 0 {
			sparse = append(sparse, full[i])
		}
	}
	if len(full) > 0 {
		data["full"], data["sparse"] = full, sparse
	}
	return data
}

// judge brings a cache up to date in one way and compares it with the mailbox.
func (h *resyncHistory) judge(k *keeper, at cut, how string, known []uint32, match [][2]uint32) {
	h.t.Helper()
	params := fmt.Sprintf(" (QRESYNC (%d %d", at.cache.UIDValidity, at.cache.HighestModSeq)
	if known != nil {
		params += " " + setText(known)
	}
	if match != nil {
		var seqs, uids []uint32
		for _, m := range match {
			seqs, uids = append(seqs, m[0]), append(uids, m[1])
		}
		params += fmt.Sprintf(" (%s %s)", setText(seqs), setText(uids))
	}
	k.cache = at.cache.Clone()
	h.log = nil
	k.open(params + "))")
	told := slices.Clone(h.log)
	inKnown := func(uid uint32) bool { return known == nil || slices.Contains(known, uid) }
	bad := func(format string, args ...any) {
		h.t.Helper()
		if h.t.Failed() {
			return // the first tells enough
		}
		h.t.Errorf("after %s\n\nkept: %v, HIGHESTMODSEQ %d; %s: %s\nmailbox: %v %v\n%s", strings.Join(at.story, "\n"),
			at.cache.Flags, at.cache.HighestModSeq, how, fmt.Sprintf(format, args...), h.truth.Flags, h.truth.ModSeqs, strings.Join(told, "\n"))
	}
	if k.cache.HighestModSeq != h.truth.HighestModSeq {
		bad("HIGHESTMODSEQ %d, is %d", k.cache.HighestModSeq, h.truth.HighestModSeq)
	}
	h.minimal(at, told, inKnown, match, bad)
	k.fetchNew()
	for uid, have := range k.cache.Flags {
		want, ok := h.truth.Flags[uid]
		switch {
		case !inKnown(uid) && uid < at.cache.Next:
			// The client has not named it, and asks by itself.
		case !ok:
			bad("%d is gone and the client keeps it", uid)
		case have != want:
			bad("%d has flags %q, and the client believes %q", uid, want, have)
		}
	}
	for uid := range h.truth.Flags {
		if _, ok := k.cache.Flags[uid]; !ok && (inKnown(uid) || uid >= at.cache.Next) {
			bad("%d is there, and the client does not know it", uid)
		}
	}
}

// minimal looks whether more was told than is needed.
func (h *resyncHistory) minimal(at cut, told []string, inKnown func(uint32) bool, match [][2]uint32, bad func(string, ...any)) {
	h.t.Helper()
	since := at.cache.HighestModSeq
	matched := uint32(0) // up to here the client has missed no expunge
	for _, m := range match {
		n := uint32(1)
		for uid := range h.truth.Flags {
			if uid < m[1] {
				n++
			}
		}
		if _, ok := h.truth.Flags[m[1]]; ok && n == m[0] {
			matched = max(matched, m[1])
		}
	}
	fetched := make(map[uint32]bool)
	for _, line := range told {
		_, line, _ = strings.Cut(line, " S: ")
		if text, ok := strings.CutPrefix(line, "VANISHED (EARLIER) "); ok {
			set, err := traffic.ParseSet(text)
			if err != nil {
				bad("%v", err)
			}
			for uid := range set.All() {
				_, exists := h.truth.Flags[uint32(uid)]
				gone, seen := h.expungedAt[uint32(uid)]
				switch {
				case exists:
					bad("VANISHED names %d, which exists", uid)
				case !inKnown(uint32(uid)):
					bad("VANISHED names %d, which was not named", uid)
				case since >= h.merged && seen && gone <= since:
					bad("VANISHED names %d, which was gone before", uid)
				case since < h.floor && uint32(uid) <= matched:
					bad("VANISHED names %d, which lies below the match %d", uid, matched)
				}
			}
		}
		if n, text, ok := strings.Cut(line, " FETCH (UID "); ok && !strings.HasPrefix(line, "OK") {
			digits, _, _ := strings.Cut(text, " ")
			var uid uint32
			if _, err := fmt.Sscan(digits, &uid); err != nil {
				bad("FETCH %s: %v", n, err)
			}
			if fetched[uid] {
				bad("FETCH of %d twice", uid)
			}
			fetched[uid] = true
			if h.truth.ModSeqs[uid] <= since || !inKnown(uid) {
				bad("FETCH of %d, which did not change or was not named", uid)
			}
		}
	}
}

// compact drops the expunge queue's older half, as upkeep does when it is long.
func (h *resyncHistory) compact(c *nodetest.Cluster) {
	h.t.Helper()
	s := c.Client(h.t).Session(h.user)
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	list, err := s.ListMailboxes(ctx)
	if err != nil {
		h.t.Fatal(err)
	}
	for _, m := range list.GetMailboxes() {
		if m.GetName() != "INBOX" {
			continue
		}
		h.merged = m.GetHighestModSeq()
		h.floor = h.merged - uint64(h.rng.IntN(20))
		res, err := s.Propose(ctx, &pb.Entry{Op: &pb.Entry_CompactQueue{CompactQueue: &pb.CompactQueueOp{
			MailboxId: m.GetId(), NewFloor: h.floor, Limit: 1000,
		}}})
		if err != nil || res.GetCode() != pb.Code_CODE_OK {
			h.t.Fatalf("compact: %v %v", res, err)
		}
	}
}

// judgeAll brings every cut of the history up to date in every way.
func (h *resyncHistory) judgeAll() {
	h.t.Helper()
	h.look()
	k := h.connect("returning")
	n := 0
	for _, at := range h.cuts {
		matches := h.matches(at.cache)
		for name, known := range h.known(at.cache) {
			for with, match := range matches {
				h.judge(k, at, fmt.Sprintf("known %s %v, match %s %v", name, known, with, match), known, match)
				n++
				if h.t.Failed() {
					h.t.FailNow()
				}
			}
		}
	}
	h.t.Logf("%d cuts, %d resynchronisations", len(h.cuts), n)
}

// What a client has kept, whenever it was cut off, and what SELECT with QRESYNC
// tells it are the mailbox; and no more is told than that needs. Once more after
// the queue of expunges has lost its beginning.
func TestResynchroniseFromEveryCut_RFC7162_6(t *testing.T) {
	seeds := *resyncSeeds
	if testing.Short() {
		seeds = min(seeds, 2)
	}
	c := nodetest.Start(t, nodetest.Options{Nodes: 1, Shards: 1})
	addr, _ := front(t, c, nil)
	for seed := range seeds {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			user := fmt.Sprintf("user%d@example.org", seed)
			c.CreateAccount(t, user, "secret")
			h := newResyncHistory(t, uint64(seed), addr, user, 4)
			for range 40 {
				h.step()
			}
			h.judgeAll()
			h.compact(c)
			h.judgeAll()
			for range 20 {
				h.step()
			}
			h.judgeAll()
		})
	}
}

// The same while the shard's leader is killed again and again: nothing that a
// client keeps differs for it.
func TestResynchroniseAcrossFailovers_RFC7162_6(t *testing.T) {
	c := nodetest.Start(t, nodetest.Options{Nodes: 3, Shards: 1})
	addr, _ := front(t, c, nil)
	const user = "user@example.org"
	c.CreateAccount(t, user, "secret")
	h := newResyncHistory(t, 1, addr, user, 3)
	for range 4 {
		killed := c.KillLeader(t, user)
		for range 8 {
			h.step()
		}
		c.Restart(t, killed)
	}
	h.judgeAll()
	c.HashesEqual(t)
}
