package imapfront_test

import (
	"bytes"
	"context"
	"flag"
	"fmt"
	"maps"
	"math/rand/v2"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/quorumail/quorumail/bench/traffic"
	"github.com/quorumail/quorumail/node/nodetest"
)

var contextSeeds = flag.Int("context-seeds", 3, "how many histories TestUpdatesKeepResults makes")

// keptResult is a search with UPDATE as a client keeps its result.
type keptResult struct {
	uid    bool
	key    string
	result map[uint32]bool
}

// updated is a client that knows results from updates alone.
type updated struct {
	t        *testing.T
	conn     *traffic.Conn
	searches map[string]*keptResult // by tag
	asking   *keptResult            // the search whose first result is awaited
	log      []string
}

var (
	expungeLine = regexp.MustCompile(`^(\d+) EXPUNGE$`)
	esearchLine = regexp.MustCompile(`^ESEARCH \(TAG "([^"]*)"\)( UID)?(.*)$`)
	updateItem  = regexp.MustCompile(` (REMOVEFROM|ADDTO) \(0 ([0-9:,]+)\)`)
	allItem     = regexp.MustCompile(` ALL ([0-9:,]+)`)
)

func (f *updated) fatal(format string, args ...any) {
	f.t.Helper()
	f.t.Fatalf("%s\n%s", fmt.Sprintf(format, args...), strings.Join(f.log[max(len(f.log)-60, 0):], "\n"))
}

// take takes what a line means for the results.
func (f *updated) take(line string) {
	f.log = append(f.log, line)
	if m := expungeLine.FindStringSubmatch(line); m != nil {
		f.renumber(number(m[1]))
	}
	m := esearchLine.FindStringSubmatch(line)
	if m == nil {
		return
	}
	s := f.searches[m[1]]
	if s == nil && f.asking != nil {
		s, f.asking = f.asking, nil
		f.searches[m[1]] = s
		if all := allItem.FindStringSubmatch(m[3]); all != nil {
			f.change(s, "ADDTO", all[1])
		}
		return
	}
	if s == nil || s.uid != (m[2] != "") {
		f.fatal("not an update of any search: %s", line)
	}
	for _, item := range updateItem.FindAllStringSubmatch(m[3], -1) {
		f.change(s, item[1], item[2])
	}
}

func number(s string) uint32 {
	n, err := strconv.ParseUint(s, 10, 32)
	if err != nil {
		panic(err) // a regular expression let it through
	}
	return uint32(n)
}

// renumber does what EXPUNGE does to message sequence numbers. What has been
// expunged must have left the results before (RFC 5267, 4.3.4).
func (f *updated) renumber(gone uint32) {
	for tag, s := range f.searches {
		if s.uid {
			continue
		}
		if s.result[gone] {
			f.fatal("%s: %d is expunged, and was not removed before", tag, gone)
		}
		after := make(map[uint32]bool)
		for n := range s.result {
			if n > gone {
				n--
			}
			after[n] = true
		}
		s.result = after
	}
}

// change changes a result: nothing may come twice, or go that is not there.
func (f *updated) change(s *keptResult, what, list string) {
	for part := range strings.SplitSeq(list, ",") {
		first, last, isRange := strings.Cut(part, ":")
		if !isRange {
			last = first
		}
		for n := number(first); n <= number(last); n++ {
			if s.result[n] == (what == "ADDTO") {
				f.fatal("%s %d of %q, which has %v", what, n, s.key, slices.Sorted(maps.Keys(s.result)))
			}
			if what == "REMOVEFROM" {
				delete(s.result, n)
				continue
			}
			if !s.uid && n > f.conn.Exists() {
				f.fatal("ADDTO %d before EXISTS", n) // RFC 5267, 4.3.3
			}
			s.result[n] = true
		}
	}
}

func (f *updated) run(format string, args ...any) []string {
	f.t.Helper()
	f.log = append(f.log, fmt.Sprintf("C: "+format, args...))
	lines, err := f.conn.OK(format, args...)
	if err != nil {
		f.fatal("%v", err)
	}
	return lines
}

// follow asks for a search with UPDATE.
func (f *updated) follow(uid bool, key string) {
	f.t.Helper()
	f.asking = &keptResult{uid: uid, key: key, result: make(map[uint32]bool)}
	f.run("%sSEARCH RETURN (ALL UPDATE) %s", prefix(uid), key)
	if f.asking != nil {
		f.fatal("no ESEARCH")
	}
}

func prefix(uid bool) string {
	if uid {
		return "UID "
	}
	return ""
}

// check compares each result with what the same search finds now.
func (f *updated) check() {
	f.t.Helper()
	for tag, s := range f.searches {
		var want []uint32
		for _, line := range f.run("%sSEARCH %s", prefix(s.uid), s.key) {
			words, found := strings.CutPrefix(line, "SEARCH")
			if words, _, _ = strings.Cut(words, "("); found {
				for word := range strings.FieldsSeq(words) {
					want = append(want, number(word))
				}
			}
		}
		if got := slices.Sorted(maps.Keys(s.result)); !slices.Equal(got, want) {
			f.fatal("%s %s%q: the updates say %v, the search %v", tag, prefix(s.uid), s.key, got, want)
		}
	}
}

// A client that keeps the results of searches by UPDATE alone has what a search
// would find, whatever it and others do with the mailbox (RFC 5267, 4.3).
func TestUpdatesKeepResults_RFC5267_4_3(t *testing.T) {
	c := nodetest.Start(t, nodetest.Options{Nodes: 1, Shards: 1})
	addr, _ := front(t, c, nil)
	for seed := range uint64(*contextSeeds) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			user := fmt.Sprintf("follower%d@example.org", seed)
			c.CreateAccount(t, user, "secret")
			followResults(t, rand.New(rand.NewPCG(seed, 5267)), addr, user)
		})
	}
}

func followResults(t *testing.T, rng *rand.Rand, addr, user string) {
	f := &updated{t: t, searches: make(map[string]*keptResult)}
	open := func(observe func([]byte)) *traffic.Conn {
		d := traffic.Dialer{Timeout: time.Minute}
		conn, err := d.Dial(context.Background(), addr)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = conn.Close() })
		conn.Observe(observe)
		if err := conn.Login(user, "secret"); err != nil {
			t.Fatal(err)
		}
		return conn
	}
	f.conn = open(func(line []byte) { f.take(string(line)) })
	other := open(func([]byte) {})
	who := []*traffic.Conn{f.conn, other}
	add := func(conn *traffic.Conn) {
		body := fmt.Sprintf("Subject: %c\r\n\r\n%s\r\n", 'a'+rng.IntN(4), strings.Repeat("word ", rng.IntN(6)))
		flags := []string{`\Seen`, `\Flagged`, `\Deleted`, "$Junk"}[:rng.IntN(5)]
		p, err := conn.StartAppend("INBOX", traffic.Message{Flags: flags, Size: int64(len(body)), Body: bytes.NewReader([]byte(body))})
		if err == nil {
			_, err = conn.Wait(p)
		}
		if err != nil {
			f.fatal("APPEND: %v", err)
		}
	}
	for range 8 {
		add(other)
	}
	for _, conn := range who {
		if _, err := conn.OK("SELECT INBOX"); err != nil {
			t.Fatal(err)
		}
	}
	keys := []string{
		"flagged", "unseen undeleted", "keyword $Junk", "subject b", "not body word", "or (larger 60 seen) recent", "uid *", "not uid 4:*",
		"modseq 25", "all", "deleted not subject a",
	}
	rng.Shuffle(len(keys), func(i, j int) { keys[i], keys[j] = keys[j], keys[i] })
	for i, key := range keys[:6] {
		f.follow(i%2 == 0, key)
	}
	for range 60 {
		for range rng.IntN(3) + 1 {
			conn := who[rng.IntN(2)]
			set := fmt.Sprintf("%d:%d", rng.IntN(20)+1, rng.IntN(20)+1)
			var err error
			switch rng.IntN(9) {
			case 0, 1:
				add(conn)
			case 2, 3, 4:
				flag := []string{`\Seen`, `\Flagged`, `\Deleted`, "$Junk"}[rng.IntN(4)]
				_, err = conn.OK("UID STORE %s %sFLAGS%s (%s)", set, []string{"+", "-", ""}[rng.IntN(3)], []string{"", ".SILENT"}[rng.IntN(2)], flag)
			case 5:
				_, err = conn.OK("EXPUNGE")
			case 6:
				_, err = conn.OK("UID COPY %s INBOX", set)
			case 7:
				_, err = conn.OK("UID MOVE %s INBOX", fmt.Sprint(rng.IntN(20)+1))
			case 8:
				if f.conn.Exists() > 0 {
					f.run("FETCH %d (FLAGS BODY[TEXT])", rng.IntN(int(f.conn.Exists()))+1)
				}
			}
			if err != nil {
				f.fatal("%v", err)
			}
		}
		if rng.IntN(3) == 0 {
			continue
		}
		f.run("NOOP")
		f.check()
	}
	f.run("NOOP")
	f.check()
}
