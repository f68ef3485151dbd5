package witness

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/quorumail/quorumail/bench/check"
	"github.com/quorumail/quorumail/bench/traffic"
)

// idleFor bounds one IDLE, so that it is known that the connection answers.
const idleFor = 300 * time.Millisecond

// Idler is a worker that keeps the mailbox in mind by IDLE, as a mail client
// does, and never asks for the whole of it again.
type Idler struct {
	// Of the worker's goroutine:
	uidNext uint32
	behind  bool  // EXISTS told of messages that are yet to be fetched
	err     error // the first line that was wrong

	mu       sync.Mutex
	messages map[uint32]check.Message // guarded by mu
}

// AddIdler adds a worker that idles by addr.
func (c *Crew) AddIdler(addr string) *Idler {
	i := &Idler{messages: make(map[uint32]check.Message)}
	c.add("idle", addr, i).reads = true
	return i
}

func (i *Idler) begin(w *worker, c *traffic.Conn) error {
	i.uidNext = 1
	// Whatever command a line comes with, it counts, and in the order that it came.
	c.Observe(func(line []byte) {
		if err := i.take(string(line)); err != nil && i.err == nil {
			i.err = err
		}
	})
	if err := openQResync(w, c); err != nil {
		return err
	}
	return i.fetchNew(c)
}

func (i *Idler) step(_ *worker, c *traffic.Conn) error {
	if i.behind {
		if err := i.fetchNew(c); err != nil {
			return err
		}
		return i.err
	}
	p, err := c.StartIdle()
	if err != nil {
		return err
	}
	err = c.AwaitIdle(p, time.Now().Add(idleFor), func([]byte) error {
		if i.behind {
			return traffic.ErrStop // there is something to fetch
		}
		return nil
	})
	if err != nil && !errors.Is(err, traffic.ErrIdleTimeout) {
		return err
	}
	if _, err := c.EndIdle(p); err != nil {
		return err
	}
	return i.err
}

// fetchNew asks for what came since: UIDs from uidNext on. If more came
// meanwhile it will ask for all of these again: a flag change may have told of a
// later one of them already, which says nothing of those before it.
func (i *Idler) fetchNew(c *traffic.Conn) error {
	i.behind = false
	if _, err := c.OK("UID FETCH %d:* (FLAGS MODSEQ)", i.uidNext); err != nil {
		return err
	}
	if !i.behind {
		i.mu.Lock()
		defer i.mu.Unlock()
		for uid := range i.messages {
			i.uidNext = max(i.uidNext, uid+1)
		}
	}
	return nil
}

// take takes one untagged line into what is known.
func (i *Idler) take(line string) error {
	i.mu.Lock()
	defer i.mu.Unlock()
	if strings.HasSuffix(strings.ToUpper(line), " EXISTS") {
		i.behind = true
		return nil
	}
	if ranges, ok, err := parseVanished(line); ok {
		for _, r := range ranges {
			maps.DeleteFunc(i.messages, func(uid uint32, _ check.Message) bool { return r.First <= uid && uid <= r.Last })
		}
		return err
	}
	f, ok, err := parseFetch(line)
	switch {
	case err != nil || !ok:
		return err
	case f.uid == 0:
		return fmt.Errorf("FETCH without UID after ENABLE QRESYNC (RFC 7162, 3.2.4): %q", line)
	case !f.hasFlags || f.modSeq == 0:
		return fmt.Errorf("FETCH without FLAGS or MODSEQ (RFC 7162, 3.2): %q", line)
	case f.modSeq < i.messages[f.uid].ModSeq:
		return fmt.Errorf("UID %d: MODSEQ went back from %d: %q", f.uid, i.messages[f.uid].ModSeq, line)
	}
	i.messages[f.uid] = check.Message{ModSeq: f.modSeq, Flags: f.flags}
	return nil
}

// Differs tells how what the idler believes differs from the mailbox.
func (i *Idler) Differs(fresh *check.Mailbox) []check.Violation {
	i.mu.Lock()
	defer i.mu.Unlock()
	var bad []check.Violation
	note := func(format string, args ...any) {
		bad = append(bad, check.Violation("idle: "+fmt.Sprintf(format, args...)))
	}
	for _, uid := range slices.Sorted(maps.Keys(i.messages)) {
		have := i.messages[uid]
		want, ok := fresh.Messages[uid]
		switch {
		case !ok:
			note("was not told that %d is gone", uid)
		case want.ModSeq != have.ModSeq || !slices.Equal(want.Flags, have.Flags):
			note("believes %d has MODSEQ %d %v, it has %d %v", uid, have.ModSeq, have.Flags, want.ModSeq, want.Flags)
		}
	}
	for _, uid := range slices.Sorted(maps.Keys(fresh.Messages)) {
		if _, ok := i.messages[uid]; !ok {
			note("was not told of %d", uid)
		}
	}
	return bad
}
