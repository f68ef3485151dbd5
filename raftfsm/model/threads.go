package model

import "slices"

// Email is a message's content, as far as threads go.
type Email struct {
	Body   string
	IDs    []string // Message-IDs: its own and its ancestors'
	Number uint64   // counts all emails that the account was ever given
	Thread uint64   // Number of the thread's first
}

// thread decides to which thread a new email belongs: the oldest of those that
// have an email with a Message-ID of this one's; else one of its own.
func (a *Account) thread(body string) {
	a.lastEmail++
	e := Email{Body: body, IDs: a.IDs[body], Number: a.lastEmail, Thread: a.lastEmail}
	for _, other := range a.Emails {
		for _, id := range e.IDs {
			if slices.Contains(other.IDs, id) {
				e.Thread = min(e.Thread, other.Thread)
			}
		}
	}
	a.Emails = append(a.Emails, e)
}

// ThreadOf returns the thread of a content that is kept.
func (a *Account) ThreadOf(body string) uint64 {
	for _, e := range a.Emails {
		if e.Body == body {
			return e.Thread
		}
	}
	return 0
}

// Collect forgets the contents that are not kept any more. It reports whether
// no mailbox has one of them.
func (a *Account) Collect(kept func(body string) bool) bool {
	ok := true
	a.Emails = slices.DeleteFunc(a.Emails, func(e Email) bool {
		if kept(e.Body) {
			return false
		}
		for _, m := range a.Mailboxes {
			ok = ok && !slices.ContainsFunc(m.Messages, func(msg Message) bool { return msg.Body == e.Body })
		}
		return true
	})
	return ok
}
