package traffic

import (
	"bytes"
	"strconv"
	"strings"

	"github.com/quorumail/quorumail/proto/imapnum"
)

// view is what the server has told of the selected mailbox, as far as it binds
// what the server may say next.
type view struct {
	exists  uint32
	highest imapnum.ModSeq // of the selected mailbox, 0 if not told
	qresync bool           // ENABLED QRESYNC
	utf8    bool           // ENABLED UTF8=ACCEPT or IMAP4rev2: quoted strings are UTF-8
}

// check judges an untagged response, and keeps what the rules for the next ones
// depend on.
func (c *Conn) check(line []byte) error {
	word := keyword(line)
	if len(word) == 0 {
		return violation(line, "an untagged response says something (RFC 9051, 9)")
	}
	if isStatusWord(word) {
		s, _ := parseStatus(string(line[2:]))
		if s.Word == "BYE" {
			c.bye = s.String()
		}
		return c.checkCode(s, line)
	}
	if err := checkSyntax(line, c.view.utf8); err != nil {
		return err
	}
	if n, ok := number(word); ok {
		return c.checkNumbered(n, line[2+len(word):], line)
	}
	rest := string(bytes.TrimPrefix(line[2+len(word):], []byte(" ")))
	switch name := strings.ToUpper(string(word)); name {
	case "CAPABILITY":
		c.setCaps(rest)
	case "ENABLED":
		c.noteEnabled(rest)
	case "VANISHED":
		return c.checkVanished(rest, line)
	case "FLAGS", "LIST", "LSUB", "XLIST", "STATUS", "SEARCH", "ESEARCH", "SORT", "THREAD", "NAMESPACE",
		"ID", "QUOTA", "QUOTAROOT", "ACL", "LISTRIGHTS", "MYRIGHTS", "METADATA", "LANGUAGE", "COMPARATOR", "GENURLAUTH", "URLFETCH":
	default:
		if !strings.HasPrefix(name, "X") {
			return violation(line, "a known response (RFC 9051, 7)")
		}
	}
	return nil
}

// number reads a number of 32 bits without sign.
func number(word []byte) (uint32, bool) {
	if len(word) == 0 || len(word) > 10 {
		return 0, false
	}
	var n uint64
	for _, b := range word {
		if b < '0' || b > '9' {
			return 0, false
		}
		n = n*10 + uint64(b-'0')
	}
	return uint32(n), n <= 1<<32-1
}

// checkNumbered judges EXISTS, RECENT, EXPUNGE and FETCH.
func (c *Conn) checkNumbered(n uint32, rest, line []byte) error {
	v := &c.view
	name := firstWord(bytes.TrimPrefix(rest, []byte(" ")))
	switch {
	case bytes.EqualFold(name, []byte("FETCH")):
		if n == 0 || n > v.exists {
			return violation(line, "FETCH of a message of 1 to %d (RFC 9051, 7.5.2)", v.exists)
		}
	case bytes.EqualFold(name, []byte("EXISTS")):
		if n < v.exists && !c.selecting() {
			return violation(line, "EXISTS of at least %d: only EXPUNGE and VANISHED take messages away (RFC 9051, 7.4.1)", v.exists)
		}
		v.exists = n
	case bytes.EqualFold(name, []byte("EXPUNGE")):
		if v.qresync {
			return violation(line, "VANISHED instead of EXPUNGE after ENABLE QRESYNC (RFC 7162, 3.2.10)")
		}
		if n == 0 || n > v.exists {
			return violation(line, "EXPUNGE of a message of 1 to %d (RFC 9051, 7.5.1)", v.exists)
		}
		if c.noExpunge() {
			return violation(line, "no EXPUNGE during FETCH, STORE and SEARCH (RFC 9051, 7.5.1)")
		}
		v.exists--
	case bytes.EqualFold(name, []byte("RECENT")):
	default:
		return violation(line, "EXISTS, RECENT, EXPUNGE or FETCH after a number (RFC 9051, 7)")
	}
	return nil
}

// checkVanished judges VANISHED (RFC 7162, 3.2.10).
func (c *Conn) checkVanished(rest string, line []byte) error {
	v := &c.view
	if !v.qresync {
		return violation(line, "VANISHED only after ENABLE QRESYNC (RFC 7162, 3.2.3)")
	}
	uids, earlier := strings.CutPrefix(strings.ToUpper(rest), "(EARLIER) ")
	set, err := ParseSet(uids)
	if err != nil {
		return violation(line, "VANISHED with a set of UIDs: %v (RFC 7162, 3.2.10)", err)
	}
	if earlier {
		if !c.waitsFor("SELECT", "EXAMINE", "UID FETCH") {
			return violation(line, "VANISHED (EARLIER) only for SELECT, EXAMINE and UID FETCH (RFC 7162, 3.2.10.1)")
		}
		return nil
	}
	if set.Len() > uint64(v.exists) {
		return violation(line, "VANISHED of messages that were shown: there are %d (RFC 7162, 3.2.10.2)", v.exists)
	}
	if c.noExpunge() {
		return violation(line, "no VANISHED during FETCH, STORE and SEARCH (RFC 7162, 3.2.10.2)")
	}
	v.exists -= uint32(set.Len())
	return nil
}

// selecting reports whether the server may be answering SELECT or EXAMINE.
func (c *Conn) selecting() bool { return c.waitsFor("SELECT", "EXAMINE") }

// waitsFor reports whether a command of one of these names is not yet answered.
func (c *Conn) waitsFor(verbs ...string) bool {
	for _, p := range c.waiting {
		for _, v := range verbs {
			if p.verb == v {
				return true
			}
		}
	}
	return false
}

// noExpunge reports whether sequence numbers must hold still: all that the
// server can be answering uses them.
func (c *Conn) noExpunge() bool {
	for _, p := range c.waiting {
		switch p.verb {
		case "FETCH", "STORE", "SEARCH", "SORT", "THREAD":
		default:
			return false
		}
	}
	return true
}

// checkCode judges a response code, untagged or tagged.
func (c *Conn) checkCode(s Status, line []byte) error {
	c.noteCode(s)
	if _, ok := s.CodeArg("CLOSED"); ok {
		c.forgetMailbox()
	}
	arg, ok := s.CodeArg("HIGHESTMODSEQ")
	if !ok {
		return nil
	}
	n, err := strconv.ParseUint(arg, 10, 63)
	if err != nil || n == 0 {
		return violation(line, "HIGHESTMODSEQ with a mod-sequence (RFC 7162, 3.1.2.1)")
	}
	if m := imapnum.ModSeq(n); c.view.highest > m && !c.selecting() {
		return violation(line, "HIGHESTMODSEQ of at least %d: it never goes back (RFC 7162, 3.1)", c.view.highest)
	} else {
		c.view.highest = m
	}
	return nil
}

// forgetMailbox is for when no mailbox is selected any more.
func (c *Conn) forgetMailbox() { c.view.exists, c.view.highest = 0, 0 }

// noteCode takes capabilities from a response code.
func (c *Conn) noteCode(s Status) {
	if arg, ok := s.CodeArg("CAPABILITY"); ok {
		c.setCaps(arg)
	}
}

func (c *Conn) setCaps(list string) {
	clear(c.caps)
	for _, name := range strings.Fields(list) {
		c.caps[strings.ToUpper(name)] = true
	}
}

func (c *Conn) noteEnabled(list string) {
	for _, name := range strings.Fields(strings.ToUpper(list)) {
		switch name {
		case "QRESYNC":
			c.view.qresync = true
		case "UTF8=ACCEPT", "IMAP4REV2":
			c.view.utf8 = true
		}
	}
}

// finish takes what a command's answer says of the state.
func (c *Conn) finish(p *Pending) error {
	s := p.reply.Status
	if err := c.checkCode(s, []byte(p.tag+" "+s.String())); err != nil {
		return err
	}
	switch p.verb {
	case "SELECT", "EXAMINE":
		if !s.OK() {
			c.forgetMailbox() // RFC 9051, 6.3.2: no mailbox is selected then
		}
	case "CLOSE", "UNSELECT":
		if s.OK() {
			c.forgetMailbox()
		}
	}
	return nil
}

// Exists is how many messages the selected mailbox has, as far as told.
func (c *Conn) Exists() uint32 { return c.view.exists }
