package wire

import "strings"

// notify prints the command of RFC 5465.
func (p *printer) notify(c Notify) {
	if c.Groups == nil {
		p.words("NOTIFY", "NONE")
		return
	}
	p.words("NOTIFY", "SET")
	if c.Status {
		p.words("", "STATUS")
	}
	for _, g := range c.Groups {
		p.words("", "("+g.Filter, "")
		if g.Mailboxes != nil {
			p.list(len(g.Mailboxes), func(i int) { p.mailbox(g.Mailboxes[i]) })
			p.words("", "")
		}
		var names []string
		for name, on := range map[string]bool{
			"MessageExpunge": g.Events.Message, "FlagChange": g.Events.FlagChange, "AnnotationChange": g.Events.AnnotationChange,
			"MailboxName": g.Events.MailboxName, "SubscriptionChange": g.Events.SubscriptionChange,
			"MailboxMetadataChange": g.Events.MailboxMetadata, "ServerMetadataChange": g.Events.ServerMetadata,
		} {
			if on {
				names = append(names, name)
			}
		}
		names = append(names, g.Events.Unknown...)
		if g.Events.Message {
			names = append(names, "MessageNew") // last: the items follow
		}
		if names == nil {
			p.words("NONE)")
			continue
		}
		p.words("(" + strings.Join(names, " "))
		if g.Events.Fetch != nil {
			p.words("", "")
			p.list(len(g.Events.Fetch), func(i int) { p.fetchItem(g.Events.Fetch[i]) })
		}
		p.words("))")
	}
}
