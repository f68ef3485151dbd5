package model

import (
	"slices"
	"strings"
)

// Why the last operation of an actor was refused; "" if its rights were enough.
const (
	Unknown = "NO_MAILBOX"    // it may not know of the mailbox, or there is none
	Denied  = "NO_PERMISSION" // it may, but lacks a right
)

// letters are all rights.
const letters = "lrswipkxtea"

// rights returns the letters of what the actor may do with a mailbox.
func (a *Account) rights(m *Mailbox) string {
	if a.Actor == "" {
		return letters
	}
	return m.RightsOf(a.Actor)
}

// RightsOf returns the letters of what another account may do with a mailbox.
func (m *Mailbox) RightsOf(actor string) string {
	var have string
	for _, r := range letters {
		given := strings.ContainsRune(m.ACL[actor]+m.ACL["anyone"], r)
		taken := strings.ContainsRune(m.ACL["-"+actor]+m.ACL["-anyone"], r)
		if given && !taken {
			have += string(r)
		}
	}
	return have
}

// may reports whether the actor has all of some rights on a mailbox, nil if there
// is none.
func (a *Account) may(m *Mailbox, need string) bool {
	a.Refused = ""
	if m == nil {
		a.Refused = Unknown
		return false
	}
	have := a.rights(m)
	for _, r := range need {
		if !strings.ContainsRune(have, r) {
			a.Refused = Unknown
			if strings.Contains(have, "l") {
				a.Refused = Denied
			}
			return false
		}
	}
	return true
}

// above returns the nearest mailbox above a name, nil if there is none.
func (a *Account) above(name string) *Mailbox {
	parts := strings.Split(name, "/")
	for n := len(parts) - 1; n > 0; n-- {
		if m := a.Mailboxes[strings.Join(parts[:n], "/")]; m != nil {
			return m
		}
	}
	return nil
}

// mayCreate reports whether the actor may make a mailbox of a name, which nobody
// has yet.
func (a *Account) mayCreate(name string) bool {
	a.Refused = ""
	if a.Actor == "" {
		return a.Mailboxes[name] == nil
	}
	parent := a.above(name)
	if parent == nil || !strings.Contains(a.rights(parent), "k") {
		a.Refused = Denied
		return false
	}
	old := a.Mailboxes[name]
	if old != nil && !strings.Contains(a.rights(old), "l") {
		a.Refused = Denied
	}
	return old == nil
}

// inherit gives a mailbox the rights of another.
func (m *Mailbox) inherit(from *Mailbox) {
	if from == nil {
		return
	}
	for id, r := range from.ACL {
		m.ACL[id] = r
	}
}

// mayFlag reports whether a flag can be changed with some rights.
func mayFlag(have, flag string) bool {
	need := "w"
	switch flag {
	case `\Seen`:
		need = "s"
	case `\Deleted`:
		need = "t"
	}
	return strings.Contains(have, need)
}

// mayFlags returns those of some flags that the actor may give messages of a
// mailbox.
func (a *Account) mayFlags(m *Mailbox, flags []string) []string {
	have := a.rights(m)
	return slices.DeleteFunc(slices.Clone(flags), func(f string) bool { return !mayFlag(have, f) })
}

// mayStore reports whether the actor may change flags as it wants to.
func (a *Account) mayStore(m *Mailbox, flags []string) bool {
	if !a.may(m, "r") {
		return false
	}
	if !strings.ContainsAny(a.rights(m), "swt") || len(flags) > 0 && len(a.mayFlags(m, flags)) == 0 {
		a.Refused = Denied // it has the mailbox selected: it knows of it
		return false
	}
	return true
}

// Grant changes the rights of an identifier: mode is "replace", "add" or "remove".
// It reports false if the mailbox's owner is meant, or the actor lacks rights.
func (a *Account) Grant(name, id, mode, rights string) bool {
	m := a.Mailboxes[name]
	if !a.may(m, "a") {
		return false
	}
	if strings.TrimPrefix(id, "-") == a.Owner {
		return id == a.Owner && (mode == "add" || mode == "replace" && len(rights) == len(letters) || mode == "remove" && rights == "")
	}
	var now string
	for _, r := range letters {
		had, given := strings.ContainsRune(m.ACL[id], r), strings.ContainsRune(rights, r)
		if mode == "replace" && given || mode == "add" && (had || given) || mode == "remove" && had && !given {
			now += string(r)
		}
	}
	if now == m.ACL[id] {
		return true
	}
	a.ModSeq++
	if m.ACL[id] = now; now == "" {
		delete(m.ACL, id)
	}
	return true
}

// MayStage reports whether the actor may add messages to any mailbox.
func (a *Account) MayStage() bool {
	for _, m := range a.Mailboxes {
		if strings.Contains(a.rights(m), "i") {
			return true
		}
	}
	return false
}

// Share notes or forgets that an owner shares mailboxes with this account.
func (a *Account) Share(owner string, on bool) {
	if a.SharedBy[owner] == on {
		return
	}
	a.ModSeq++
	if a.SharedBy[owner] = on; !on {
		delete(a.SharedBy, owner)
	}
}

// Remove removes messages, \Deleted or not.
func (a *Account) Remove(m *Mailbox, uids []uint32) []uint32 {
	if !a.may(m, "ret") {
		return nil
	}
	var gone []uint32
	for _, msg := range m.Messages {
		if slices.Contains(uids, msg.UID) {
			gone = append(gone, msg.UID)
		}
	}
	if len(gone) > 0 {
		a.ModSeq++
		for _, uid := range gone {
			a.drop(m, uid)
		}
	}
	return gone
}
