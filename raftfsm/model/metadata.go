package model

import "maps"

// Annotation is the value of an entry of RFC 5464.
type Annotation struct {
	Value  string
	ModSeq uint64
}

// SetMetadata sets annotations of a mailbox, or of the account for "": what is
// nil is removed. It reports false if there is no such mailbox.
func (a *Account) SetMetadata(mailbox string, values map[string]*string) bool {
	all := a.Annotations
	var m *Mailbox
	if mailbox != "" {
		m = a.Mailboxes[mailbox]
		if m == nil {
			return false
		}
		all = m.Annotations
		// The special use of a mailbox is an annotation that no two mailboxes have.
		if use := values["/private/specialuse"]; use != nil {
			switch *use {
			case "":
				values["/private/specialuse"] = nil
			case `\Sent`, `\Drafts`:
				for _, other := range a.Mailboxes {
					if other != m && other.Annotations["/private/specialuse"].Value == *use {
						return false
					}
				}
			default:
				return false
			}
		}
	}
	changed := false
	for name, value := range values {
		old, there := all[name]
		switch {
		case value == nil && there:
			delete(all, name)
			changed = true
		case value != nil && (!there || old.Value != *value):
			all[name] = Annotation{*value, a.ModSeq + 1}
			changed = true
		}
	}
	if changed {
		a.ModSeq++
		a.AnnotatedAt = a.ModSeq
		if m != nil {
			m.HighestModSeq = a.ModSeq
		}
	}
	return true
}

// copyAnnotations gives a new mailbox those of another.
func (a *Account) copyAnnotations(from, to *Mailbox) {
	for name, x := range maps.All(from.Annotations) {
		if name == "/private/specialuse" {
			continue
		}
		to.Annotations[name] = Annotation{x.Value, a.ModSeq}
		a.AnnotatedAt = a.ModSeq
	}
}
