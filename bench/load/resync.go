package load

import (
	"context"
	"fmt"
	"regexp"
	"strconv"
	"strings"

	"github.com/quorumail/quorumail/bench/report"
	"github.com/quorumail/quorumail/bench/traffic"
	"github.com/quorumail/quorumail/proto/imapnum"
)

// What changes between two synchronisations: 100 messages.
const (
	resyncFlags    = 80
	resyncExpunges = 10
	resyncAppends  = 10
)

func resyncLargeScenario() Scenario {
	s := resyncScenario("qresync-large", func(s Scale) int { return s.Large })
	s.Goal = report.Goal{Ratio: 25}
	return s
}

func resyncFewScenario() Scenario {
	return resyncScenario("qresync-few", func(s Scale) int { return s.Few })
}

// resyncScenario times SELECT (QRESYNC …) of a client that missed 100 changes,
// on a new connection, and checks that it names exactly what changed.
func resyncScenario(name string, size func(Scale) int) Scenario {
	// The same mailbox as SELECT's: as many messages come as go.
	mailbox := func(s Scale) mailboxSpec { return copies(size(s)) }
	return Scenario{
		Name: name,
		What: func(s Scale) string {
			return fmt.Sprintf("SELECT (QRESYNC) after 100 changes among %d messages", size(s))
		},
		Unit: unitMillis,
		Prepare: func(ctx context.Context, e *Env) error {
			return fill(ctx, e.Target, e.Target.account(0), mailbox(e.Scale))
		},
		Round: func(ctx context.Context, e *Env) (Sample, error) {
			return resyncRound(ctx, e, mailbox(e.Scale))
		},
	}
}

func resyncRound(ctx context.Context, e *Env, m mailboxSpec) (Sample, error) {
	writer, err := e.Target.open(ctx, e.Target.account(0))
	if err != nil {
		return Sample{}, err
	}
	defer writer.Close()
	if _, err := writer.OK("ENABLE QRESYNC"); err != nil {
		return Sample{}, err
	}
	state, err := selectState(writer, m.name, "")
	if err != nil {
		return Sample{}, err
	}
	var want changes
	e.round++
	round := e.round
	n := 0
	return eachOnNewConn(ctx, e, e.Scale.Resyncs,
		func(c *traffic.Conn) error {
			if _, err := c.OK("ENABLE QRESYNC"); err != nil {
				return err
			}
			n++
			want, err = change(writer, m, state, round*1000+n)
			return err
		},
		func(c *traffic.Conn) error {
			next, err := selectState(c, m.name, fmt.Sprintf(" (QRESYNC (%d %d))", state.uidValidity, state.highest))
			if err == nil {
				err = want.check(next)
			}
			state = next
			return err
		})
}

// mailboxState is what SELECT tells.
type mailboxState struct {
	uidValidity imapnum.UIDValidity
	highest     imapnum.ModSeq
	exists      uint32
	fetched     imapnum.Set // UIDs of FETCH responses
	vanished    imapnum.Set // of VANISHED (EARLIER)
}

var fetchedUID = regexp.MustCompile(`\bUID (\d+)`)

// selectState selects with parameters and takes in the answer.
func selectState(c *traffic.Conn, mailbox, params string) (mailboxState, error) {
	lines, err := c.OK("SELECT %s%s", traffic.Quote(mailbox), params)
	if err != nil {
		return mailboxState{}, err
	}
	var st mailboxState
	var uids []imapnum.UID
	for _, l := range lines {
		switch {
		case isFetch([]byte(l)):
			m := fetchedUID.FindStringSubmatch(l)
			if m == nil {
				return st, fmt.Errorf("a FETCH without UID: %q", l)
			}
			uid, err := strconv.ParseUint(m[1], 10, 32)
			if err != nil {
				return st, err
			}
			uids = append(uids, imapnum.UID(uid))
		case strings.HasPrefix(l, "VANISHED (EARLIER) "):
			set, err := traffic.ParseSet(l[len("VANISHED (EARLIER) "):])
			if err != nil {
				return st, err
			}
			st.vanished = st.vanished.Union(set)
		default:
			st.takeCode(l)
		}
	}
	st.fetched, st.exists = imapnum.SetOf(uids...), c.Exists()
	if st.uidValidity == 0 || st.highest == 0 {
		return st, fmt.Errorf("SELECT %s: no UIDVALIDITY or no HIGHESTMODSEQ", mailbox)
	}
	return st, nil
}

var (
	codeUIDValidity = regexp.MustCompile(`^OK \[UIDVALIDITY (\d+)\]`)
	codeHighest     = regexp.MustCompile(`^OK \[HIGHESTMODSEQ (\d+)\]`)
)

// takeCode takes what an untagged OK says; numbers that are too large leave the
// zero, which is refused.
func (st *mailboxState) takeCode(line string) {
	if m := codeUIDValidity.FindStringSubmatch(line); m != nil {
		if n, err := strconv.ParseUint(m[1], 10, 32); err == nil {
			st.uidValidity = imapnum.UIDValidity(n)
		}
	}
	if m := codeHighest.FindStringSubmatch(line); m != nil {
		if n, err := strconv.ParseUint(m[1], 10, 63); err == nil {
			st.highest = imapnum.ModSeq(n)
		}
	}
}

// changes are the UIDs that a resynchronisation must name.
type changes struct {
	changed, expunged imapnum.Set
}

// check compares an answer with what was changed. Vanished UIDs that the client
// cannot know may be told too (RFC 7162, 3.2.6), so there more is right.
func (want *changes) check(got mailboxState) error {
	if !got.fetched.Equal(want.changed) {
		return fmt.Errorf("QRESYNC: changed messages %s, want %s", got.fetched, want.changed)
	}
	if missing := want.expunged.Subtract(got.vanished); !missing.Empty() {
		return fmt.Errorf("QRESYNC: VANISHED %s lacks %s", got.vanished, missing)
	}
	return nil
}

// change makes 100 changes all over the selected mailbox: flags set one by one,
// expunges, appends.
func change(c *traffic.Conn, m mailboxSpec, before mailboxState, label int) (changes, error) {
	if _, err := c.OK("NOOP"); err != nil {
		return changes{}, err
	}
	uids, err := spread(c, resyncFlags+resyncExpunges, label)
	if err != nil {
		return changes{}, err
	}
	keyword := fmt.Sprintf("Bench%d", label%10)
	var window []*traffic.Pending
	for i, uid := range uids {
		command := fmt.Sprintf("UID STORE %d +FLAGS.SILENT (\\Deleted)", uid)
		if i < resyncFlags {
			// The reverse of what the message has, so that it is a change.
			command = fmt.Sprintf("UID STORE %d FLAGS.SILENT (%s \\Flagged)", uid, keyword)
		}
		p, err := c.Start("%s", command)
		if err != nil {
			return changes{}, err
		}
		window = append(window, p)
	}
	gone := imapnum.SetOf(uids[resyncFlags:]...)
	p, err := c.Start("UID EXPUNGE %s", gone)
	if err != nil {
		return changes{}, err
	}
	for _, p := range append(window, p) {
		reply, err := c.Wait(p)
		if err != nil {
			return changes{}, err
		}
		if !reply.Status.OK() {
			return changes{}, fmt.Errorf("change: %s", reply.Status)
		}
	}
	want := changes{changed: imapnum.SetOf(uids[:resyncFlags]...), expunged: gone}
	gen := newMail(uint64(label) + 1<<32)
	for range resyncAppends {
		p, err := c.StartAppend(m.name, asMessage(gen.message(m.size)))
		if err != nil {
			return changes{}, err
		}
		at, err := c.WaitAppend(p)
		if err != nil {
			return changes{}, err
		}
		want.changed = want.changed.Union(at.UIDs)
	}
	return want, nil
}

// spread returns n UIDs of messages at equal distances over the selected
// mailbox, others for each label.
func spread(c *traffic.Conn, n, label int) ([]imapnum.UID, error) {
	exists := int(c.Exists())
	step := exists / n
	if step == 0 {
		return nil, fmt.Errorf("%d messages, want %d at least", exists, n)
	}
	seqs := make([]string, n)
	for i := range seqs {
		seqs[i] = strconv.Itoa(i*step + label%step + 1)
	}
	lines, err := c.OK("FETCH %s (UID)", strings.Join(seqs, ","))
	if err != nil {
		return nil, err
	}
	uids := make([]imapnum.UID, 0, n)
	for _, l := range lines {
		if m := fetchedUID.FindStringSubmatch(l); m != nil && isFetch([]byte(l)) {
			uid, err := strconv.ParseUint(m[1], 10, 32)
			if err != nil {
				return nil, err
			}
			uids = append(uids, imapnum.UID(uid))
		}
	}
	if len(uids) != n {
		return nil, fmt.Errorf("FETCH UID of %d messages answered %d", n, len(uids))
	}
	return uids, nil
}
