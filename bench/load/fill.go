package load

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"strings"

	"github.com/quorumail/quorumail/bench/traffic"
)

// mailboxSpec is a mailbox that scenarios find filled.
type mailboxSpec struct {
	name string
	// messages is how many there are, distinct of them different from each other;
	// the others are copies, which both servers make without copying bodies.
	messages, distinct int
	// size is that of a message.
	size int
}

const (
	// appendBatch is the messages of one MULTIAPPEND.
	appendBatch = 100
	// copyBatch is the messages of one COPY.
	copyBatch = 10_000
)

// fill makes sure that the mailbox has the wanted messages, at least. It is
// quick: MULTIAPPEND of the distinct ones, then COPY of the mailbox into itself.
func fill(ctx context.Context, t *Target, acct Account, m mailboxSpec) error {
	c, err := t.open(ctx, acct)
	if err != nil {
		return err
	}
	defer c.Close()
	wrap := func(err error) error {
		return fmt.Errorf("%s: fill %s with %d messages: %w", t.Name, m.name, m.messages, err)
	}
	if err := create(c, m.name); err != nil {
		return wrap(err)
	}
	if _, err := c.OK("SELECT %s", traffic.Quote(m.name)); err != nil {
		return wrap(err)
	}
	if err := fillDistinct(ctx, c, m); err != nil {
		return wrap(err)
	}
	batch := copyBatch
	for have := int(c.Exists()); have < m.messages; have = int(c.Exists()) {
		if err := ctx.Err(); err != nil {
			return wrap(err)
		}
		n := min(have, batch, m.messages-have)
		reply, err := c.Cmd("COPY 1:%d %s", n, traffic.Quote(m.name))
		switch {
		case err != nil:
			return wrap(err)
		case reply.Status.OK():
		case batch > 100:
			batch /= 10 // a server may bound what one command does
			continue
		default:
			return wrap(&traffic.StatusError{Command: "COPY", Status: reply.Status})
		}
		if int(c.Exists()) == have { // not told yet
			if _, err := c.OK("NOOP"); err != nil {
				return wrap(err)
			}
		}
		if got := int(c.Exists()); got != have+n {
			return wrap(fmt.Errorf("%d messages after a COPY of %d to %d", got, n, have))
		}
	}
	return nil
}

// fillDistinct appends until the selected mailbox has the distinct messages.
func fillDistinct(ctx context.Context, c *traffic.Conn, m mailboxSpec) error {
	gen := newMail(uint64(m.distinct))
	batch := 1
	if c.Has("MULTIAPPEND") {
		batch = max(1, min(appendBatch, (4<<20)/m.size))
	}
	for have := int(c.Exists()); have < m.distinct; {
		if err := ctx.Err(); err != nil {
			return err
		}
		// A window of pipelined commands: a server without MULTIAPPEND need not
		// wait for the client between two messages.
		var window []*traffic.Pending
		for len(window) < 8 && have < m.distinct {
			n := min(batch, m.distinct-have)
			messages := make([]traffic.Message, n)
			for i := range messages {
				messages[i] = asMessage(gen.message(m.size))
			}
			p, err := c.StartAppend(m.name, messages...)
			if err != nil {
				return err
			}
			window = append(window, p)
			have += n
		}
		for _, p := range window {
			if _, err := c.WaitAppend(p); err != nil {
				return err
			}
		}
	}
	if _, err := c.OK("NOOP"); err != nil {
		return err
	}
	if got := int(c.Exists()); got < m.distinct {
		return fmt.Errorf("%d messages after appends of %d", got, m.distinct)
	}
	return nil
}

// create makes a mailbox unless it is there.
func create(c *traffic.Conn, name string) error {
	if strings.EqualFold(name, "INBOX") {
		return nil
	}
	reply, err := c.Cmd("CREATE %s", traffic.Quote(name))
	if err != nil || reply.Status.OK() {
		return err
	}
	if _, ok := reply.Status.CodeArg("ALREADYEXISTS"); ok {
		return nil
	}
	return &traffic.StatusError{Command: "CREATE " + name, Status: reply.Status}
}

var statusItem = regexp.MustCompile(`(?i)\bMESSAGES (\d+)`)

// count returns how many messages a mailbox has.
func count(c *traffic.Conn, mailbox string) (int, error) {
	lines, err := c.OK("STATUS %s (MESSAGES)", traffic.Quote(mailbox))
	if err != nil {
		return 0, err
	}
	for _, l := range lines {
		if m := statusItem.FindStringSubmatch(l); m != nil {
			return strconv.Atoi(m[1])
		}
	}
	return 0, errors.New("STATUS: no MESSAGES in the answer")
}
