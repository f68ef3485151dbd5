package wire

// Notify is NOTIFY (RFC 5465, 3.1): SET with its event groups or, without any,
// NONE.
type Notify struct {
	Status bool // of the mailboxes at the start
	Groups []NotifyGroup
}

// NotifyGroup is an event-group of NOTIFY (RFC 5465, 8).
type NotifyGroup struct {
	// "SELECTED", "SELECTED-DELAYED", "INBOXES", "PERSONAL", "SUBSCRIBED",
	// "SUBTREE" or "MAILBOXES". The parser refuses others, and more than one
	// group of the first two.
	Filter    string
	Mailboxes []string // of SUBTREE and MAILBOXES
	Events    NotifyEvents
}

// NotifyEvents is the events of a group; none are NONE. The parser has seen to
// the rules of RFC 5465, 5 and 8 for which events need others and which can be
// of the selected mailbox.
type NotifyEvents struct {
	Message                         bool // MessageNew and MessageExpunge
	FlagChange, AnnotationChange    bool
	MailboxName, SubscriptionChange bool
	MailboxMetadata, ServerMetadata bool        // MailboxMetadataChange and ServerMetadataChange
	Fetch                           []FetchItem // of new messages of the selected mailbox
	Unknown                         []string    // names in upper case that no standard has
}

func (Notify) command() {}

// maxGroups bounds the event groups of a NOTIFY: each mailbox is looked for in
// each of them.
const maxGroups = 100

// notify parses NOTIFY.
func (p *parser) notify() Command {
	var n Notify
	if p.word("NONE") {
		return n
	}
	if !p.word("SET") {
		p.fail("want SET or NONE")
	}
	p.sp()
	if p.word("STATUS") {
		n.Status = true
		p.sp()
	}
	selected := 0
	for {
		g := p.notifyGroup()
		if g.selected() {
			selected++
		}
		n.Groups = append(n.Groups, g)
		if !p.more() || !p.try(' ') {
			break
		}
		if len(n.Groups) >= maxGroups {
			p.fail("too many event groups")
		}
	}
	if selected > 1 {
		p.fail("SELECTED and SELECTED-DELAYED are for one group together")
	}
	return n
}

func (g NotifyGroup) selected() bool { return g.Filter == "SELECTED" || g.Filter == "SELECTED-DELAYED" }

func (p *parser) notifyGroup() NotifyGroup {
	p.char('(')
	g := NotifyGroup{Filter: p.atom()}
	switch g.Filter {
	case "SELECTED", "SELECTED-DELAYED", "INBOXES", "PERSONAL", "SUBSCRIBED":
	case "SUBTREE", "MAILBOXES":
		p.sp()
		if p.peek() == '(' {
			p.list(func() { g.Mailboxes = append(g.Mailboxes, p.mailbox()) })
		} else {
			g.Mailboxes = []string{p.mailbox()}
		}
	default:
		p.fail("unknown mailbox specifier")
	}
	p.sp()
	if !p.word("NONE") {
		g.Events = p.notifyEvents()
	}
	p.char(')')
	e := &g.Events
	switch {
	case g.selected() && (e.MailboxName || e.SubscriptionChange || e.MailboxMetadata || e.ServerMetadata):
		p.fail("only message events are of the selected mailbox")
	case !g.selected() && e.Fetch != nil:
		p.fail("messages are fetched of the selected mailbox only")
	}
	return g
}

func (p *parser) notifyEvents() NotifyEvents {
	var e NotifyEvents
	arrive, expunge := false, false
	p.list(func() {
		switch name := p.atom(); name {
		case "MESSAGENEW":
			arrive = true
			if p.rest() > 1 && p.peek() == ' ' && p.r.line[p.r.at+1] == '(' {
				p.sp()
				e.Fetch = nil
				p.list(func() { e.Fetch = append(e.Fetch, p.fetchItem()) })
			}
		case "MESSAGEEXPUNGE":
			expunge = true
		case "FLAGCHANGE":
			e.FlagChange = true
		case "ANNOTATIONCHANGE":
			e.AnnotationChange = true
		case "MAILBOXNAME":
			e.MailboxName = true
		case "SUBSCRIPTIONCHANGE":
			e.SubscriptionChange = true
		case "MAILBOXMETADATACHANGE":
			e.MailboxMetadata = true
		case "SERVERMETADATACHANGE":
			e.ServerMetadata = true
		default:
			e.Unknown = append(e.Unknown, name)
		}
	})
	e.Message = arrive && expunge
	if arrive != expunge || (e.FlagChange || e.AnnotationChange) && !e.Message {
		p.fail("MessageNew and MessageExpunge go together, and FlagChange with both")
	}
	return e
}
