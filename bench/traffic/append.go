package traffic

import (
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"

	"github.com/quorumail/quorumail/proto/imapnum"
)

// Message is what APPEND puts into a mailbox.
type Message struct {
	// Flags are set on the message.
	Flags []string
	// Date is its INTERNALDATE; zero leaves it to the server.
	Date time.Time
	// Size is how many octets are taken from Body.
	Size int64
	// Body is read while it is sent.
	Body io.Reader
}

// Appended says where messages went: the APPENDUID response code (RFC 9051,
// 7.1). It is zero if the server gave none.
type Appended struct {
	UIDValidity imapnum.UIDValidity
	UIDs        imapnum.Set
}

// UID is that of the one message that was appended.
func (a Appended) UID() imapnum.UID { return a.UIDs.Min() }

// Append appends one message, streamed from body. NO and BAD are a
// [*StatusError].
func (c *Conn) Append(mailbox string, flags []string, date time.Time, size int64, body io.Reader) (Appended, error) {
	p, err := c.StartAppend(mailbox, Message{Flags: flags, Date: date, Size: size, Body: body})
	if err != nil {
		return Appended{}, err
	}
	return c.WaitAppend(p)
}

// StartAppend sends an APPEND of one message, or of several if the server has
// MULTIAPPEND (RFC 3502), without waiting for its answer; see [Conn.Start].
// Without LITERAL+ (or above 4,096 octets with LITERAL-, RFC 7888) it waits for
// the server's consent to each literal; a refusal is the command's answer.
func (c *Conn) StartAppend(mailbox string, messages ...Message) (*Pending, error) {
	p, err := c.begin("APPEND " + Quote(mailbox))
	if err != nil {
		return nil, err
	}
	for _, m := range messages {
		if refused, err := c.sendMessage(p, m); refused || err != nil {
			return p, err
		}
	}
	if _, err := c.w.WriteString("\r\n"); err != nil {
		return nil, c.fail(err)
	}
	return p, nil
}

// WaitAppend waits for the answer of a StartAppend.
func (c *Conn) WaitAppend(p *Pending) (Appended, error) {
	reply, err := c.Wait(p)
	if err != nil {
		return Appended{}, err
	}
	if !reply.Status.OK() {
		return Appended{}, &StatusError{Command: p.command, Status: reply.Status}
	}
	a, err := parseAppendUID(reply.Status)
	if err != nil {
		return Appended{}, c.fail(violation([]byte(reply.Status.String()), "APPENDUID: %v", err))
	}
	return a, nil
}

func parseAppendUID(s Status) (Appended, error) {
	arg, ok := s.CodeArg("APPENDUID")
	if !ok {
		return Appended{}, nil
	}
	validity, uids, ok := strings.Cut(arg, " ")
	v, err := strconv.ParseUint(validity, 10, 32)
	if !ok || err != nil || v == 0 {
		return Appended{}, fmt.Errorf("%q: want uidvalidity and UIDs", arg)
	}
	set, err := ParseSet(uids)
	if err != nil {
		return Appended{}, err
	}
	return Appended{UIDValidity: imapnum.UIDValidity(v), UIDs: set}, nil
}

// sendMessage writes one message of p. It reports whether the server has
// answered p instead of letting it go on.
func (c *Conn) sendMessage(p *Pending, m Message) (refused bool, err error) {
	var sb strings.Builder
	if len(m.Flags) > 0 {
		sb.WriteString(" (" + strings.Join(m.Flags, " ") + ")")
	}
	if !m.Date.IsZero() {
		sb.WriteString(` "` + m.Date.Format("_2-Jan-2006 15:04:05 -0700") + `"`)
	}
	plus := c.Has("LITERAL+") || c.Has("LITERAL-") && m.Size <= 4096
	if plus {
		fmt.Fprintf(&sb, " {%d+}\r\n", m.Size)
	} else {
		fmt.Fprintf(&sb, " {%d}\r\n", m.Size)
	}
	if _, err := c.w.WriteString(sb.String()); err != nil {
		return false, c.fail(err)
	}
	if !plus {
		if refused, err := c.awaitConsent(p); refused || err != nil {
			return refused, err
		}
	}
	if n, err := io.CopyN(c.w, m.Body, m.Size); err != nil {
		// The literal cannot be completed: the connection is of no use.
		return false, c.fail(fmt.Errorf("imap: APPEND: after %d of %d octets: %w", n, m.Size, err))
	}
	return false, nil
}

// awaitConsent waits for "+". It reports whether p was answered instead.
func (c *Conn) awaitConsent(p *Pending) (refused bool, err error) {
	if err := c.Flush(); err != nil {
		return false, err
	}
	if err := c.nc.SetReadDeadline(time.Now().Add(c.timeout)); err != nil {
		return false, c.fail(err)
	}
	for {
		cont, err := c.readOne()
		switch {
		case err != nil:
			return false, c.fail(fmt.Errorf("imap: %s: %w", p.command, err))
		case p.answered:
			return true, nil
		case cont:
			return false, nil
		}
	}
}
