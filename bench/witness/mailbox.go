package witness

import (
	"errors"
	"fmt"
	"strings"

	"github.com/quorumail/quorumail/bench/check"
	"github.com/quorumail/quorumail/bench/traffic"
	"github.com/quorumail/quorumail/proto/imapnum"
)

// Select opens a mailbox and returns what was told, as far as a resynchronisation
// has it. params, if not empty, are what stands in parentheses, such as
// "QRESYNC (7 10)".
func Select(c *traffic.Conn, mailbox, params string) (*check.Resync, error) {
	if params != "" {
		params = " (" + params + ")"
	}
	lines, err := c.OK("SELECT %s%s", traffic.Quote(mailbox), params)
	if err != nil {
		return nil, err
	}
	r := &check.Resync{Exists: c.Exists()}
	for _, line := range lines {
		if err := takeSelect(r, line); err != nil {
			return nil, fmt.Errorf("SELECT: %w", err)
		}
	}
	if r.UIDValidity == 0 || r.UIDNext == 0 || r.HighestModSeq == 0 {
		return nil, fmt.Errorf("SELECT: UIDVALIDITY, UIDNEXT or HIGHESTMODSEQ is missing: %q", lines)
	}
	return r, nil
}

// takeSelect takes one line of SELECT's answer.
func takeSelect(r *check.Resync, line string) error {
	if n, ok := codeNumber(line, "UIDVALIDITY"); ok {
		r.UIDValidity = uint32(n)
	}
	if n, ok := codeNumber(line, "UIDNEXT"); ok {
		r.UIDNext = uint32(n)
	}
	if n, ok := codeNumber(line, "HIGHESTMODSEQ"); ok {
		r.HighestModSeq = n
	}
	if ranges, ok, err := parseVanished(line); ok {
		r.Vanished = append(r.Vanished, ranges...)
		return err
	}
	f, ok, err := parseFetch(line)
	if !ok || err != nil {
		return err
	}
	if f.uid == 0 || !f.hasFlags || f.modSeq == 0 {
		return fmt.Errorf("FETCH without UID, FLAGS or MODSEQ (RFC 7162, 3.2.5.1): %q", line)
	}
	r.Changed = append(r.Changed, check.Changed{UID: f.uid, ModSeq: f.modSeq, Flags: f.flags})
	return nil
}

// Whole opens a mailbox afresh and fetches all of it: flags, MODSEQ and
// Message-ID of each message. It is of one moment only if nobody writes.
func Whole(c *traffic.Conn, mailbox string) (*check.Mailbox, error) {
	r, err := Select(c, mailbox, "CONDSTORE")
	if err != nil {
		return nil, err
	}
	m := &check.Mailbox{
		UIDValidity: r.UIDValidity, UIDNext: r.UIDNext, HighestModSeq: r.HighestModSeq,
		Messages: make(map[uint32]check.Message),
	}
	if r.Exists == 0 {
		return m, nil
	}
	lines, err := c.OK("UID FETCH 1:* (FLAGS MODSEQ BODY.PEEK[HEADER.FIELDS (MESSAGE-ID)])")
	if err != nil {
		return nil, err
	}
	for _, line := range lines {
		f, ok, err := parseFetch(line)
		switch {
		case err != nil:
			return nil, err
		case !ok:
			continue
		}
		if _, twice := m.Messages[f.uid]; twice {
			return nil, fmt.Errorf("FETCH: UID %d twice", f.uid)
		}
		m.Messages[f.uid] = check.Message{ModSeq: f.modSeq, Flags: f.flags, MessageID: f.messageID}
	}
	if len(m.Messages) != int(r.Exists) {
		return nil, fmt.Errorf("FETCH: %d messages, EXISTS said %d", len(m.Messages), r.Exists)
	}
	return m, nil
}

// Resync resynchronises cached over c, and fetches the whole mailbox over fresh
// to compare. Nobody may write meanwhile. With known, the cached UIDs are named
// expressly (RFC 7162, 3.2.5.1).
func Resync(c, fresh *traffic.Conn, mailbox string, cached *check.Mailbox, known bool) (*check.Resync, error) {
	if _, err := c.OK("ENABLE QRESYNC"); err != nil {
		return nil, err
	}
	params := fmt.Sprintf("%d %d", cached.UIDValidity, cached.HighestModSeq)
	if known && len(cached.Messages) > 0 {
		params += " " + uidSet(cached.UIDs())
	}
	r, err := Select(c, mailbox, "QRESYNC ("+params+")")
	if err != nil {
		return nil, err
	}
	r.Cached, r.Known = cached, known && len(cached.Messages) > 0
	if r.Fresh, err = Whole(fresh, mailbox); err != nil {
		return nil, err
	}
	return r, nil
}

// uidSet prints UIDs as a set.
func uidSet(uids []uint32) string {
	list := make([]imapnum.UID, len(uids))
	for i, u := range uids {
		list[i] = imapnum.UID(u)
	}
	return imapnum.SetOf(list...).String()
}

// statusNumbers asks STATUS for the numbers of a mailbox.
func statusNumbers(c *traffic.Conn, mailbox string) (n check.Numbers, err error) {
	lines, err := c.OK("STATUS %s (UIDVALIDITY UIDNEXT HIGHESTMODSEQ)", traffic.Quote(mailbox))
	if err != nil {
		return n, err
	}
	for _, line := range lines {
		rest, ok := cutPrefixFold(line, "STATUS ")
		if !ok {
			continue
		}
		vs, err := parseValues(rest)
		if err != nil || len(vs) != 2 || len(vs[1].list)%2 != 0 {
			return n, fmt.Errorf("STATUS: %q: %w", line, err)
		}
		for pairs := vs[1].list; len(pairs) > 0; pairs = pairs[2:] {
			v, err := pairs[1].number(63)
			if err != nil {
				return n, fmt.Errorf("STATUS: %q: %w", line, err)
			}
			switch strings.ToUpper(pairs[0].text) {
			case "UIDVALIDITY":
				n.UIDValidity = uint32(v)
			case "UIDNEXT":
				n.UIDNext = uint32(v)
			case "HIGHESTMODSEQ":
				n.HighestModSeq = v
			}
		}
		return n, nil
	}
	return n, errors.New("STATUS: no STATUS response")
}
