package model

// Resource is a resource of a quota root (RFC 9208, 5).
type Resource string

// The resources: STORAGE is in units of 1024 octets.
const (
	Storage   Resource = "STORAGE"
	Messages  Resource = "MESSAGE"
	Mailboxes Resource = "MAILBOX"
)

// Usage returns what the account holds, found by looking at everything: the
// octets of all messages, how many those are, and how many mailboxes there are.
func (a *Account) Usage() (octets, messages, mailboxes uint64) {
	for _, m := range a.Mailboxes {
		mailboxes++
		for _, msg := range m.Messages {
			messages++
			octets += a.Sizes[msg.Body]
		}
	}
	return octets, messages, mailboxes
}

// fits reports whether so much more is within the limits, and notes in Over what
// is not. Of what nothing is added there may be any amount.
func (a *Account) fits(octets, messages, mailboxes int) bool {
	haveOctets, haveMessages, haveMailboxes := a.Usage()
	for _, r := range []struct {
		name Resource
		more int
		have uint64
		unit int
	}{
		{Storage, octets, haveOctets, 1024},
		{Messages, messages, haveMessages, 1},
		{Mailboxes, mailboxes, haveMailboxes, 1},
	} {
		if limit, limited := a.Limits[r.name]; r.more > 0 && limited && int(r.have)+r.more > int(limit)*r.unit {
			a.Over = r.name
			return false
		}
	}
	return true
}

// sizeOf returns the octets of contents.
func (a *Account) sizeOf(bodies ...string) int {
	octets := 0
	for _, b := range bodies {
		octets += int(a.Sizes[b])
	}
	return octets
}

// SetQuota sets the limits of some resources; a limit that is not given is taken
// away.
func (a *Account) SetQuota(limits map[Resource]uint64, which ...Resource) {
	changed := false
	for _, r := range which {
		now, limited := limits[r]
		if old, had := a.Limits[r]; had != limited || old != now {
			changed = true
		}
		if limited {
			a.Limits[r] = now
		} else {
			delete(a.Limits, r)
		}
	}
	if changed {
		a.ModSeq++
	}
}
