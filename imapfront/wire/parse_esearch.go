package wire

// ESearch is ESEARCH (RFC 7377, 2): a UID SEARCH of several mailboxes. Return is
// never nil: the result is always told in ESEARCH responses.
type ESearch struct {
	// Sources are where to search; nil: in the selected mailbox.
	Sources []Source
	Search  Search
}

// Source is a filter-mailboxes (RFC 5465, 8; RFC 7377, 4): "SELECTED", "INBOXES",
// "PERSONAL", "SUBSCRIBED", or "SUBTREE", "SUBTREE-ONE" or "MAILBOXES" with names.
type Source struct {
	Filter    string
	Mailboxes []string
}

func (ESearch) command() {}

// maxSources bounds the source options of an ESEARCH: each mailbox is looked for
// in each of them.
const maxSources = 100

// esearch parses ESEARCH.
func (p *parser) esearch() Command {
	var e ESearch
	if p.word("IN") {
		p.sp()
		e.Sources = p.sources()
		p.sp()
	}
	e.Search = p.search(true).(Search)
	if e.Search.Return == nil {
		e.Search.Return = &SearchReturn{All: true} // RFC 7377, 2.1
	}
	return e
}

// sources parses the list of esearch-source-opts. Its scope options are for later
// standards: none is known.
func (p *parser) sources() []Source {
	var all []Source
	p.list(func() {
		s := Source{Filter: p.atom()}
		switch s.Filter {
		case "SELECTED", "INBOXES", "PERSONAL", "SUBSCRIBED":
		case "SUBTREE", "SUBTREE-ONE", "MAILBOXES":
			p.sp()
			s.Mailboxes = p.oneOrMoreMailboxes()
		default:
			p.fail("unknown source option")
		}
		if len(all) >= maxSources {
			p.fail("too many source options")
		}
		all = append(all, s)
	})
	return all
}

// oneOrMoreMailboxes reads a one-or-more-mailbox (RFC 5465, 8).
func (p *parser) oneOrMoreMailboxes() []string {
	if p.peek() != '(' {
		return []string{p.mailbox()}
	}
	var names []string
	p.list(func() { names = append(names, p.mailbox()) })
	return names
}
