package wire

import (
	"encoding/base64"
	"strings"

	"github.com/emersion/go-imap/v2"
)

// command parses the arguments of a command.
func (p *parser) command(name string) Command {
	switch name {
	case "CAPABILITY":
		return Capability{}
	case "NOOP":
		return Noop{}
	case "LOGOUT":
		return Logout{}
	case "STARTTLS":
		return StartTLS{}
	case "NAMESPACE":
		return Namespace{}
	case "IDLE":
		return Idle{}
	case "CLOSE":
		return Close{}
	case "UNSELECT":
		return Unselect{}
	case "CHECK":
		return Check{}
	case "UNAUTHENTICATE":
		return Unauthenticate{}
	case "EXPUNGE":
		return Expunge{}
	case "":
		return nil
	}
	if p.err == nil && p.rest() == 0 {
		if !knownCommand(name) {
			p.fail("unknown command")
		} else {
			p.fail("arguments are missing")
		}
		return nil
	}
	p.sp()
	return p.arguments(name)
}

func knownCommand(name string) bool {
	switch name {
	case "ID", "LOGIN", "AUTHENTICATE", "ENABLE", "SELECT", "EXAMINE", "CREATE", "DELETE", "RENAME", "SUBSCRIBE",
		"UNSUBSCRIBE", "LIST", "LSUB", "STATUS", "APPEND", "SEARCH", "UID SEARCH", "ESEARCH", "CANCELUPDATE", "FETCH", "UID FETCH", "STORE",
		"UID STORE", "GETMETADATA", "SETMETADATA", "GETQUOTA", "GETQUOTAROOT", "SETQUOTA", "COPY", "UID COPY", "MOVE", "UID MOVE", "UID EXPUNGE",
		"REPLACE", "UID REPLACE", "NOTIFY", "SORT", "UID SORT", "THREAD", "UID THREAD", "COMPRESS",
		"SETACL", "DELETEACL", "GETACL", "LISTRIGHTS", "MYRIGHTS":
		return true
	}
	return false
}

// arguments parses the commands that have any.
func (p *parser) arguments(name string) Command {
	short, uid := strings.CutPrefix(name, "UID ")
	switch short {
	case "SEARCH":
		return p.search(uid)
	case "SORT":
		return p.sort(uid)
	case "THREAD":
		return p.thread(uid)
	case "FETCH":
		return p.fetch(uid)
	case "STORE":
		return p.store(uid)
	case "COPY", "MOVE":
		c := Copy{UID: uid, Move: short == "MOVE", Set: p.numSet()}
		p.sp()
		c.Mailbox = p.mailbox()
		return c
	case "REPLACE":
		r := Replace{UID: uid, Num: p.seqNumber()}
		p.sp()
		r.Mailbox = p.mailbox()
		p.sp()
		r.Message = p.appendMessage()
		return r
	}
	switch name {
	case "ESEARCH":
		return p.esearch()
	case "CANCELUPDATE":
		return p.cancelUpdate()
	case "UID EXPUNGE":
		set := p.numSet()
		return Expunge{UIDs: &set}
	case "GETQUOTA":
		return GetQuota{Root: p.astring()}
	case "GETQUOTAROOT":
		return GetQuotaRoot{Mailbox: p.mailbox()}
	case "SETQUOTA":
		return p.setQuota()
	case "GETMETADATA":
		return p.getMetadata()
	case "SETMETADATA":
		return p.setMetadata()
	case "ID":
		return p.id()
	case "LOGIN":
		user := p.astring()
		p.sp()
		return Login{User: user, Password: p.astring()}
	case "AUTHENTICATE":
		return p.authenticate()
	case "NOTIFY":
		return p.notify()
	case "ENABLE":
		e := Enable{Capabilities: []string{p.atom()}}
		for p.more() && p.try(' ') {
			if len(e.Capabilities) >= maxItems {
				p.fail("too many capabilities")
			}
			e.Capabilities = append(e.Capabilities, p.atom())
		}
		return e
	case "COMPRESS":
		return Compress{Algorithm: p.atom()}
	case "SELECT", "EXAMINE":
		return p.sel(name == "EXAMINE")
	case "CREATE":
		return p.create()
	case "DELETE":
		return Delete{Mailbox: p.mailbox()}
	case "RENAME":
		from := p.mailbox()
		p.sp()
		return Rename{From: from, To: p.mailbox()}
	case "SUBSCRIBE", "UNSUBSCRIBE":
		return Subscribe{Mailbox: p.mailbox(), Unsubscribe: name == "UNSUBSCRIBE"}
	case "LIST", "LSUB":
		return p.listCommand(name == "LSUB")
	case "STATUS":
		s := Status{Mailbox: p.mailbox()}
		p.sp()
		s.Items = p.statusItems()
		return s
	case "APPEND":
		a := Append{Mailbox: p.mailbox()}
		p.sp()
		a.First = p.appendMessage()
		return a
	}
	if cmd := p.acl(name); cmd != nil {
		return cmd
	}
	p.fail("unknown command")
	return nil
}

// id parses RFC 2971's list of fields and values.
func (p *parser) id() Command {
	if p.word("NIL") {
		return ID{}
	}
	fields := make(map[string]string)
	p.char('(')
	for n := 0; p.err == nil && !p.try(')'); n++ {
		if n > 0 {
			p.sp()
		}
		if n >= 30 {
			p.fail("too many fields")
		}
		key := p.valid(p.str())
		p.sp()
		value, _ := p.nstring()
		if len(key) > 30 || len(value) > 1024 {
			p.fail("field too long")
		}
		fields[strings.ToLower(key)] = value
	}
	return ID{Fields: fields}
}

// authenticate parses the mechanism and the initial response (RFC 4959).
func (p *parser) authenticate() Command {
	a := Authenticate{Mechanism: p.atom()}
	if !p.more() || !p.try(' ') {
		return a
	}
	text := p.take(func(c byte) bool { return c > ' ' && c < 0x7f })
	if text == "=" {
		a.Initial = []byte{}
		return a
	}
	raw, err := base64.StdEncoding.DecodeString(text)
	if err != nil || len(raw) == 0 {
		p.fail("the initial response is not base64")
	}
	a.Initial = raw
	return a
}

// sel parses SELECT and EXAMINE with their parameters (RFC 4466, RFC 7162, 7).
func (p *parser) sel(readOnly bool) Command {
	s := Select{Mailbox: p.mailbox(), ReadOnly: readOnly}
	if !p.more() || !p.try(' ') {
		return s
	}
	p.list(func() {
		switch name := p.atom(); {
		case name == "CONDSTORE" && !s.CondStore:
			s.CondStore = true
		case name == "QRESYNC" && s.QResync == nil:
			p.sp()
			s.QResync = p.qresync()
		default:
			p.fail("unknown or repeated parameter")
		}
	})
	return s
}

// qresync parses "(" uidvalidity SP mod-sequence-value [SP known-uids]
// [SP seq-match-data] ")".
func (p *parser) qresync() *QResync {
	q := &QResync{}
	p.char('(')
	q.UIDValidity = p.nzNumber()
	p.sp()
	q.ModSeq = p.nzModSeq()
	if p.try(' ') {
		if p.peek() != '(' {
			q.KnownUIDs = p.uidSet()
			if p.peek() != ' ' {
				p.char(')')
				return q
			}
			p.sp()
		}
		p.char('(')
		seqs := p.uidSet()
		p.sp()
		q.MatchUIDs = p.uidSet()
		p.char(')')
		for _, r := range seqs {
			q.MatchSeqs = append(q.MatchSeqs, imap.SeqRange{Start: uint32(r.Start), Stop: uint32(r.Stop)})
		}
	}
	p.char(')')
	return q
}

// uidSet parses a set of plain numbers, in the order written: "*" and "$" are
// not allowed where the client speaks of what it knows (RFC 7162, 3.2.5.1).
func (p *parser) uidSet() imap.UIDSet {
	var set imap.UIDSet
	for p.err == nil {
		r := imap.UIDRange{Start: imap.UID(p.nzNumber())}
		r.Stop = r.Start
		if p.try(':') {
			r.Stop = imap.UID(p.nzNumber())
		}
		if r.Stop < r.Start {
			r.Start, r.Stop = r.Stop, r.Start
		}
		set = append(set, r)
		if !p.try(',') {
			break
		}
	}
	return set
}

func (p *parser) create() Command {
	c := Create{Mailbox: p.mailbox()}
	if !p.more() || !p.try(' ') {
		return c
	}
	p.list(func() {
		if p.atom() != "USE" {
			p.fail("unknown parameter")
			return
		}
		p.sp()
		p.list0(func() { c.SpecialUse = append(c.SpecialUse, p.specialUse()) })
	})
	return c
}

// specialUse reads a use-attr (RFC 6154, 6): those that are known as RFC 6154, 2
// and RFC 8457 spell them.
func (p *parser) specialUse() string {
	p.char('\\')
	attr := p.take(isAtomChar)
	if attr == "" {
		p.fail("want a special use")
	}
	for _, known := range []string{"All", "Archive", "Drafts", "Flagged", "Important", "Junk", "Sent", "Trash"} {
		if strings.EqualFold(attr, known) {
			attr = known
		}
	}
	return `\` + attr
}

// statusItems parses the items of STATUS (RFC 9051, 6.3.11 and extensions).
func (p *parser) statusItems() []StatusItem {
	var items []StatusItem
	p.list(func() {
		switch name := p.atom(); name {
		case "MESSAGES", "UIDNEXT", "UIDVALIDITY", "UNSEEN", "DELETED", "SIZE", "HIGHESTMODSEQ", "RECENT", "MAILBOXID",
			"APPENDLIMIT", "DELETED-STORAGE":
			items = append(items, StatusItem(name))
		default:
			p.fail("unknown status item")
		}
	})
	return items
}

// store parses STORE (RFC 9051, 6.4.6) with UNCHANGEDSINCE (RFC 7162, 3.1.3).
func (p *parser) store(uid bool) Command {
	s := Store{UID: uid, Set: p.numSet()}
	p.sp()
	if p.peek() == '(' {
		p.list(func() {
			if p.atom() != "UNCHANGEDSINCE" || s.UnchangedSince != nil {
				p.fail("unknown or repeated modifier")
				return
			}
			p.sp()
			n := p.modSeq()
			s.UnchangedSince = &n
		})
		p.sp()
	}
	switch {
	case p.try('+'):
		s.Op = imap.StoreFlagsAdd
	case p.try('-'):
		s.Op = imap.StoreFlagsDel
	default:
		s.Op = imap.StoreFlagsSet
	}
	switch p.atom() {
	case "FLAGS":
	case "FLAGS.SILENT":
		s.Silent = true
	default:
		p.fail("want FLAGS")
	}
	p.sp()
	if p.peek() == '(' {
		s.Flags = p.flagList()
		return s
	}
	s.Flags = []string{p.flag()}
	for p.more() && p.try(' ') {
		if len(s.Flags) >= maxItems {
			p.fail("too many flags")
		}
		s.Flags = append(s.Flags, p.flag())
	}
	return s
}
