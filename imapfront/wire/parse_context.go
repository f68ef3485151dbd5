package wire

// SearchUpdate is the UPDATE option of RETURN (RFC 5267, 4.3). Fetch is what the
// client wants to be told of new messages that match (RFC 5465, 7); nil: nothing.
type SearchUpdate struct{ Fetch []FetchItem }

// CancelUpdate is CANCELUPDATE (RFC 5267, 4.3.5).
type CancelUpdate struct{ Tags []string }

func (CancelUpdate) command() {}

// searchUpdate reads what follows the word UPDATE. The grammar has no space before
// the list, the example has one (RFC 5465, 7 and 8).
func (p *parser) searchUpdate() *SearchUpdate {
	u := &SearchUpdate{}
	if p.rest() > 1 && p.peek() == ' ' && p.r.line[p.r.at+1] == '(' {
		p.sp()
	}
	if p.peek() == '(' {
		p.list(func() { u.Fetch = append(u.Fetch, p.fetchItem()) })
	}
	return u
}

// cancelUpdate parses CANCELUPDATE.
func (p *parser) cancelUpdate() Command {
	c := CancelUpdate{Tags: []string{p.quoted()}}
	for p.more() && p.try(' ') {
		if len(c.Tags) >= maxItems {
			p.fail("too many tags")
		}
		c.Tags = append(c.Tags, p.quoted())
	}
	return c
}
