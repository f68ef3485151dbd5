package session

import (
	"context"
	"slices"
	"strings"

	"google.golang.org/protobuf/proto"

	"github.com/quorumail/quorumail/imapfront/wire"
	"github.com/quorumail/quorumail/proto/imapnum"
	pb "github.com/quorumail/quorumail/proto/quorumail/v1"
)

// entry is a name of the hierarchy: a mailbox, a subscription, or what lies
// above one.
type entry struct {
	name          string
	parent        *entry          // nil at the top
	info          *pb.MailboxInfo // nil: no mailbox has this name
	subscribed    bool
	children      bool // a mailbox lies below
	subscribedKin bool // a subscribed name lies below

	// What a LIST has found: the name is of one of its patterns; one below
	// satisfies its selection options; and one such is of none of the patterns.
	matched, kin, hiddenKin bool
}

// hierarchy returns all names, in the order of the storage and then of names:
// INBOX first.
func hierarchy(l *pb.ListMailboxesResponse) []*entry {
	byName := make(map[string]*entry)
	var all []*entry
	var at func(name string) *entry
	at = func(name string) *entry {
		if e, ok := byName[name]; ok {
			return e
		}
		e := &entry{name: name}
		if i := strings.LastIndexByte(name, '/'); i > 0 {
			e.parent = at(name[:i])
		}
		byName[name] = e
		all = append(all, e)
		return e
	}
	for _, info := range l.GetMailboxes() {
		e := at(info.GetName())
		e.info = info
		for p := e.parent; p != nil; p = p.parent {
			p.children = true
		}
	}
	for _, name := range l.GetSubscriptions() {
		e := at(name)
		e.subscribed = true
		for p := e.parent; p != nil; p = p.parent {
			p.subscribedKin = true
		}
	}
	slices.SortStableFunc(all, func(a, b *entry) int {
		if (a.name == "INBOX") != (b.name == "INBOX") {
			if a.name == "INBOX" {
				return -1
			}
			return 1
		}
		return strings.Compare(a.name, b.name)
	})
	return all
}

// list is LIST (RFC 9051, 6.3.9; RFC 5258; RFC 5819) and LSUB (RFC 3501, 6.3.9).
func (c *Conn) list(ctx context.Context, cmd wire.List) error {
	name := "LIST"
	if cmd.LSUB {
		name = "LSUB"
	}
	if !cmd.Extended && cmd.Patterns[0] == "" {
		c.w.Untagged(name, ` (\Noselect) "/" ""`)
		return c.ok("", name+" done")
	}
	l, err := c.store.ListMailboxes(ctx)
	if err != nil {
		return c.fail(name, err)
	}
	if cmd.LSUB {
		c.lsub(cmd, hierarchy(l))
		return c.ok("", "LSUB done")
	}
	if err := c.withOthers(ctx, cmd, l); err != nil {
		return c.fail(name, err)
	}
	var metadata func(*pb.MailboxInfo)
	if cmd.Return.Metadata != nil {
		if metadata, err = c.listedMetadata(ctx, cmd.Return.Metadata, l); err != nil {
			return c.fail(name, err)
		}
	}
	for _, e := range listed(cmd, hierarchy(l)) {
		c.beginList(cmd, e)
		if cmd.Select.RecursiveMatch && e.kin {
			c.w.Raw(` ("CHILDINFO" (`, criteria(cmd.Select), "))")
		}
		c.w.CRLF()
		// What is listed for the names below it alone has nothing more to tell (RFC
		// 5819, 3; RFC 9590).
		if e.info == nil || !satisfies(cmd.Select, e) {
			continue
		}
		if cmd.Return.MyRights { // RFC 8440
			c.w.MyRights(e.name, rightsOn(e.info))
		}
		if cmd.Return.Status != nil && rightsOn(e.info).Has(imapnum.RightRead) {
			c.statusLine(e.info, cmd.Return.Status)
		}
		if metadata != nil {
			metadata(e.info)
		}
	}
	return c.ok("", name+" done")
}

// beginList begins the LIST response of a name.
func (c *Conn) beginList(cmd wire.List, e *entry) {
	c.w.Raw("* LIST ").Flags(attributes(cmd, e)).Raw(` "/" `).Mailbox(e.name)
}

// matches reports whether a name is of one of the patterns, each taken behind
// the reference.
func matches(cmd wire.List, name string) bool {
	for _, p := range cmd.Patterns {
		if p != "" && wire.MatchPattern(wire.CanonicalMailbox(cmd.Reference+p), name) {
			return true
		}
	}
	return false
}

// satisfies reports whether a name is one that the selection options want (RFC
// 5258, 3.1); without any, mailboxes are wanted.
func satisfies(sel wire.ListSelect, e *entry) bool {
	if !sel.Subscribed && !sel.SpecialUse {
		return e.info != nil
	}
	return (!sel.Subscribed || e.subscribed) && (!sel.SpecialUse || e.info.GetSpecialUse() != "")
}

// listed returns the names that a LIST tells: of one of its patterns, and
// satisfying its selection options; or above one that does and is of none of the
// patterns, if the client asks for those (RFC 5258, 3.3), or, without selection
// options, if no mailbox has the name: then there is no other way to tell that
// there is something below it (3.5).
func listed(cmd wire.List, all []*entry) []*entry {
	for _, e := range all {
		e.matched = matches(cmd, e.name)
	}
	for _, e := range all {
		if !satisfies(cmd.Select, e) {
			continue
		}
		for p := e.parent; p != nil; p = p.parent {
			p.kin = true
			p.hiddenKin = p.hiddenKin || !e.matched
		}
	}
	above := cmd.Select.RecursiveMatch || !cmd.Select.Subscribed && !cmd.Select.SpecialUse
	return slices.DeleteFunc(all, func(e *entry) bool {
		return !e.matched || !satisfies(cmd.Select, e) && !(above && e.hiddenKin)
	})
}

// criteria names the selection options that names below one have met (RFC 5258,
// 3.5).
func criteria(sel wire.ListSelect) string {
	names := []string{`"SUBSCRIBED"`}
	if sel.SpecialUse {
		names = append(names, `"SPECIAL-USE"`)
	}
	return strings.Join(names, " ")
}

// attributes returns the attributes of a name that is listed.
func attributes(cmd wire.List, e *entry) []string {
	var attrs []string
	switch {
	case e.info != nil:
	case cmd.Extended:
		attrs = append(attrs, `\NonExistent`)
	default:
		attrs = append(attrs, `\Noselect`) // RFC 9051, 6.3.9; never both (9, mbx-list-sflag)
	}
	if e.info != nil && !rightsOn(e.info).Has(imapnum.RightRead) {
		attrs = append(attrs, `\Noselect`) // RFC 5819, 2
	}
	if e.children {
		attrs = append(attrs, `\HasChildren`)
	} else {
		attrs = append(attrs, `\HasNoChildren`)
	}
	if e.subscribed && (cmd.Select.Subscribed || cmd.Return.Subscribed) {
		attrs = append(attrs, `\Subscribed`)
	}
	if use := e.info.GetSpecialUse(); use != "" {
		attrs = append(attrs, use)
	}
	return attrs
}

// lsub tells the subscriptions; and of a name that is not subscribed but has
// subscribed names below, that it is there, if the pattern leaves those out, as
// one that ends in "%" does (RFC 3501, 6.3.9).
func (c *Conn) lsub(cmd wire.List, all []*entry) {
	told := make(map[string]bool) // names above a subscription that is told itself
	for _, e := range all {
		if e.subscribed && matches(cmd, e.name) {
			for i := strings.LastIndexByte(e.name, '/'); i > 0; i = strings.LastIndexByte(e.name[:i], '/') {
				told[e.name[:i]] = true
			}
		}
	}
	for _, e := range all {
		switch {
		case !matches(cmd, e.name):
		case e.subscribed:
			c.w.Raw(`* LSUB () "/" `).Mailbox(e.name).CRLF()
		case e.subscribedKin && !told[e.name]:
			c.w.Raw(`* LSUB (\Noselect) "/" `).Mailbox(e.name).CRLF()
		}
	}
}

// status is STATUS (RFC 9051, 6.3.11).
func (c *Conn) status(ctx context.Context, cmd wire.Status) error {
	at := c.at(cmd.Mailbox)
	if c.box != nil && c.box.name == at.shown(at.name) {
		// What is said of the selected mailbox, its session is told too.
		if err := c.pull(ctx, true); err != nil {
			return c.boxFailed("STATUS", err)
		}
		c.tell(true)
	}
	if at.owner != "" {
		return c.statusOfOther(ctx, cmd, at)
	}
	l, err := c.store.ListMailboxes(ctx)
	if err != nil {
		return c.fail("STATUS", err)
	}
	for _, info := range l.GetMailboxes() {
		if info.GetName() == cmd.Mailbox {
			c.statusLine(info, cmd.Items)
			return c.statusDone(cmd)
		}
	}
	return c.no("NONEXISTENT", "no such mailbox")
}

// statusOfOther does so for another account's mailbox, which needs "r" and need not
// be one that LIST tells (RFC 4314, 4).
func (c *Conn) statusOfOther(ctx context.Context, cmd wire.Status, at place) error {
	opened, err := at.store.OpenMailbox(ctx, at.name, 0, nil, nil)
	if err != nil {
		return c.fail("STATUS", err)
	}
	info := proto.CloneOf(opened.GetInfo())
	info.Name = at.shown(info.GetName())
	c.statusLine(info, cmd.Items)
	return c.statusDone(cmd)
}

func (c *Conn) statusDone(cmd wire.Status) error {
	for _, item := range cmd.Items {
		if item == "HIGHESTMODSEQ" {
			c.enableCondstore()
		}
	}
	return c.ok("", "STATUS done")
}

func (c *Conn) statusLine(info *pb.MailboxInfo, items []wire.StatusItem) {
	c.w.Raw("* STATUS ").Mailbox(info.GetName()).Raw(" (")
	for i, item := range items {
		if i > 0 {
			c.w.Raw(" ")
		}
		c.w.Raw(string(item), " ", c.statusValue(info, item))
	}
	c.w.Raw(")").CRLF()
}

func (c *Conn) statusValue(info *pb.MailboxInfo, item wire.StatusItem) string {
	switch item {
	case "MESSAGES":
		return uitoa(uint64(info.GetExists()))
	case "UIDNEXT":
		return uitoa(uint64(info.GetUidNext()))
	case "UIDVALIDITY":
		return uitoa(uint64(info.GetUidValidity()))
	case "UNSEEN":
		return uitoa(uint64(info.GetUnseen()))
	case "DELETED":
		return uitoa(uint64(info.GetDeleted()))
	case "SIZE":
		return uitoa(info.GetSize())
	case "DELETED-STORAGE":
		return uitoa(info.GetDeletedSize())
	case "HIGHESTMODSEQ":
		return uitoa(info.GetHighestModSeq())
	case "MAILBOXID":
		return "(" + c.objectID(c.at(info.GetName()).store, mailboxPrefix, info.GetId()) + ")"
	case "APPENDLIMIT":
		return uitoa(uint64(c.cfg.Limits.Append))
	}
	return uitoa(c.statusRecent(info)) // RECENT
}
