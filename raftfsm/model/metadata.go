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
	if mailbox != "" {
		m := a.Mailboxes[mailbox]
		if m == nil {
			return false
		}
		all = m.Annotations
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
	}
	return true
}

// copyAnnotations gives a new mailbox those of another.
func (a *Account) copyAnnotations(from, to *Mailbox) {
	for name, x := range maps.All(from.Annotations) {
		to.Annotations[name] = Annotation{x.Value, a.ModSeq}
		a.AnnotatedAt = a.ModSeq
	}
}
