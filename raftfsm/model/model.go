// Package model is an account written in the plainest way: lists and maps, every
// answer found by looking at everything. It says what the state machine must do
// and shares no code with it, so that a mistake is not made twice. Tests drive
// both with the same histories.
package model

import (
	"slices"
	"strings"
)

// Message is a message in a mailbox.
type Message struct {
	UID    uint32
	ModSeq uint64
	Flags  []string // as first written in the mailbox, sorted
	Body   string   // names the content
}

// Mailbox is a mailbox with its whole history.
type Mailbox struct {
	ID            uint64
	UIDValidity   uint32
	UIDNext       uint32
	HighestModSeq uint64
	// Claimed is the highest UID that a session has claimed as recent to it.
	Claimed  uint32
	Messages []Message
	// Gone is every message that was ever expunged: UID and the modseq of that.
	Gone        map[uint32]uint64
	Annotations map[string]Annotation // by name
	ACL         map[string]string     // letters of rights by identifier
	// words are the keywords in the spelling in which they were first used.
	words []string
}

// Account is an account. The zero value does not exist; see New.
type Account struct {
	ModSeq     uint64
	Mailboxes  map[string]*Mailbox
	Subscribed map[string]bool
	Emails     []Email // all contents that are kept, oldest first
	// IDs are the Message-IDs of contents, told before they are appended.
	IDs map[string][]string
	// Sizes are the octets of contents, told likewise.
	Sizes map[string]uint64
	// Limits are those of its quota; Over is which of them the last command that
	// was refused for them would have gone beyond.
	Limits map[Resource]uint64
	Over   Resource

	lastID      uint64
	lastEmail   uint64
	uidValidity uint32
	Annotations map[string]Annotation // of the account itself
	AnnotatedAt uint64                // modseq of the last change of an annotation
	// Owner is the account's name, Actor whom the operations are for; "" is the
	// owner. Refused is why the last one was refused for want of rights.
	Owner, Actor, Refused string
	SharedBy              map[string]bool
}

// New returns an account with its INBOX, as CreateAccount makes it.
func New(seed uint32) *Account {
	a := &Account{Mailboxes: map[string]*Mailbox{}, Subscribed: map[string]bool{}, IDs: map[string][]string{}, Annotations: map[string]Annotation{},
		Sizes: map[string]uint64{}, Limits: map[Resource]uint64{}, SharedBy: map[string]bool{}}
	a.ModSeq = 1
	a.addMailbox("INBOX", seed)
	return a
}

func (a *Account) addMailbox(name string, seed uint32) *Mailbox {
	a.lastID++
	a.uidValidity = max(a.uidValidity+1, seed)
	m := &Mailbox{ID: a.lastID, UIDValidity: a.uidValidity, UIDNext: 1, HighestModSeq: a.ModSeq, Gone: map[uint32]uint64{}, Annotations: map[string]Annotation{}, ACL: map[string]string{}}
	a.Mailboxes[name] = m
	return m
}

// Create makes a mailbox; false if the name is taken, or there is no room.
func (a *Account) Create(name string, seed uint32) bool {
	if !a.mayCreate(name) || !a.fits(0, 0, 1) {
		return false
	}
	a.ModSeq++
	a.addMailbox(name, seed).inherit(a.above(name))
	return true
}

// Delete removes a mailbox; false if there is none or it is INBOX.
func (a *Account) Delete(name string) bool {
	if !a.may(a.Mailboxes[name], "x") || name == "INBOX" {
		return false
	}
	a.ModSeq++
	if len(a.Mailboxes[name].Annotations) > 0 {
		a.AnnotatedAt = a.ModSeq
	}
	delete(a.Mailboxes, name)
	return true
}

// Rename renames a mailbox and what lies below it; of INBOX it moves the
// messages.
func (a *Account) Rename(from, to string, seed uint32) bool {
	if !a.isLevel(from) && !a.may(a.Mailboxes[from], "x") || from != "INBOX" && strings.HasPrefix(to, from+"/") || !a.mayCreate(to) {
		return false
	}
	if from == "INBOX" {
		if !a.fits(0, 0, 1) {
			return false
		}
		a.ModSeq++
		m := a.addMailbox(to, seed)
		inbox := a.Mailboxes["INBOX"]
		m.inherit(inbox)
		a.copyAnnotations(inbox, m)
		for _, msg := range slices.Clone(inbox.Messages) {
			a.insert(m, msg.Flags, msg.Body)
			a.drop(inbox, msg.UID)
		}
		return true
	}
	next := map[string]*Mailbox{}
	for name, m := range a.Mailboxes {
		if name == from || strings.HasPrefix(name, from+"/") {
			name = to + name[len(from):]
		}
		if next[name] != nil {
			return false
		}
		next[name] = m
	}
	if a.isLevel(from) && from == to {
		return false
	}
	a.ModSeq++
	a.Mailboxes = next
	return true
}

// isLevel reports whether a name is one that mailboxes lie below and none is
// called; only the owner may rename it.
func (a *Account) isLevel(name string) bool {
	if a.Actor != "" || a.Mailboxes[name] != nil {
		return false
	}
	for other := range a.Mailboxes {
		if strings.HasPrefix(other, name+"/") {
			return true
		}
	}
	return false
}

// Subscribe notes or forgets a subscription.
func (a *Account) Subscribe(name string, on bool) {
	if a.Subscribed[name] == on {
		return
	}
	a.ModSeq++
	if on {
		a.Subscribed[name] = true
	} else {
		delete(a.Subscribed, name)
	}
}

// insert puts a message into a mailbox under the account's modseq.
func (a *Account) insert(m *Mailbox, flags []string, body string) uint32 {
	uid := m.UIDNext
	m.UIDNext++
	m.Messages = append(m.Messages, Message{uid, a.ModSeq, m.spell(flags), body})
	m.HighestModSeq = a.ModSeq
	return uid
}

func (a *Account) drop(m *Mailbox, uid uint32) {
	m.Messages = slices.DeleteFunc(m.Messages, func(msg Message) bool { return msg.UID == uid })
	m.Gone[uid] = a.ModSeq
	m.HighestModSeq = a.ModSeq
}

// spell returns flags as the mailbox spells them, sorted, each once.
func (m *Mailbox) spell(flags []string) []string {
	var out []string
	for _, f := range flags {
		if !strings.HasPrefix(f, `\`) {
			i := slices.IndexFunc(m.words, func(w string) bool { return strings.EqualFold(w, f) })
			if i < 0 {
				m.words = append(m.words, f)
			} else {
				f = m.words[i]
			}
		}
		if !slices.Contains(out, f) {
			out = append(out, f)
		}
	}
	slices.Sort(out)
	return out
}

// Append adds messages, all under one modseq, and returns their UIDs; nil if
// there is no such mailbox, or no room for all.
func (a *Account) Append(name string, flags []string, bodies ...string) []uint32 {
	m := a.Mailboxes[name]
	if !a.may(m, "i") || !a.fits(a.sizeOf(bodies...), len(bodies), 0) {
		return nil
	}
	return a.add(m, flags, bodies)
}

func (a *Account) add(m *Mailbox, flags []string, bodies []string) []uint32 {
	a.ModSeq++
	flags = a.mayFlags(m, flags)
	var uids []uint32
	for _, b := range bodies {
		a.thread(b)
		uids = append(uids, a.insert(m, flags, b))
	}
	return uids
}

// Replace adds a message to a mailbox and removes another of m, both under one
// modseq, and returns the new UID; 0 if the mailbox or the message is not there, or no room
// for what is more than before.
func (a *Account) Replace(m *Mailbox, uid uint32, name string, flags []string, body string) uint32 {
	if !a.may(m, "ret") {
		return 0
	}
	i := slices.IndexFunc(m.Messages, func(msg Message) bool { return msg.UID == uid })
	into := a.Mailboxes[name]
	if i < 0 || !a.may(into, "i") || !a.fits(a.sizeOf(body)-a.sizeOf(m.Messages[i].Body), 0, 0) {
		return 0
	}
	uids := a.add(into, flags, []string{body})
	a.drop(m, uid)
	return uids[0]
}

// Store changes flags. mode is "replace", "add" or "remove"; unchangedSince is
// nil or the condition, known the MODSEQ that the caller is at. Returned are the
// messages changed, those left, and those changed that were newer than known.
func (a *Account) Store(m *Mailbox, uids []uint32, mode string, flags []string, unchangedSince *uint64, known uint64) (changed, left, overtaken []uint32) {
	if !a.mayStore(m, flags) {
		return nil, nil, nil
	}
	flags = a.mayFlags(m, flags)
	have := a.rights(m)
	var todo []int
	met := false
	for i, msg := range m.Messages {
		if !slices.Contains(uids, msg.UID) {
			continue
		}
		if unchangedSince != nil && msg.ModSeq > *unchangedSince {
			left = append(left, msg.UID)
			continue
		}
		met = true
		todo = append(todo, i)
	}
	if mode == "remove" {
		// A keyword that the mailbox does not know is no reason to know it.
		flags = slices.DeleteFunc(slices.Clone(flags), func(f string) bool {
			return !strings.HasPrefix(f, `\`) && !slices.ContainsFunc(m.words, func(w string) bool { return strings.EqualFold(w, f) })
		})
	}
	if !met {
		return nil, left, nil
	}
	flags = m.spell(flags)
	next := a.ModSeq + 1
	for _, i := range todo {
		msg := &m.Messages[i]
		var now []string
		switch mode {
		case "replace":
			kept := slices.DeleteFunc(slices.Clone(msg.Flags), func(f string) bool { return mayFlag(have, f) })
			now = m.spell(append(kept, flags...))
		case "add":
			now = m.spell(append(slices.Clone(msg.Flags), flags...))
		case "remove":
			now = slices.DeleteFunc(slices.Clone(msg.Flags), func(f string) bool { return slices.Contains(flags, f) })
		}
		if slices.Equal(now, msg.Flags) {
			continue
		}
		if msg.ModSeq > known {
			overtaken = append(overtaken, msg.UID)
		}
		msg.Flags, msg.ModSeq = now, next
		changed = append(changed, msg.UID)
	}
	if len(changed) > 0 {
		a.ModSeq, m.HighestModSeq = next, next
	}
	return changed, left, overtaken
}

// Expunge removes the messages with \Deleted, of uids only unless it is nil.
func (a *Account) Expunge(m *Mailbox, uids []uint32) []uint32 {
	if !a.may(m, "re") {
		return nil
	}
	var gone []uint32
	for _, msg := range m.Messages {
		if slices.Contains(msg.Flags, `\Deleted`) && (uids == nil || slices.Contains(uids, msg.UID)) {
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

// Copy copies messages to another mailbox, or moves them; ok is false if it does
// not exist, or has no room for all.
func (a *Account) Copy(m *Mailbox, uids []uint32, to string, move bool) (from, into []uint32, ok bool) {
	dst, need := a.Mailboxes[to], "r"
	if move {
		need = "ret"
	}
	if !a.may(m, need) || !a.may(dst, "i") {
		return nil, nil, false
	}
	var msgs []Message
	for _, msg := range m.Messages {
		if slices.Contains(uids, msg.UID) {
			msgs = append(msgs, msg)
		}
	}
	if len(msgs) == 0 {
		return nil, nil, true
	}
	if !move {
		var bodies []string
		for _, msg := range msgs {
			bodies = append(bodies, msg.Body)
		}
		if !a.fits(a.sizeOf(bodies...), len(bodies), 0) {
			return nil, nil, false
		}
	}
	a.ModSeq++
	for _, msg := range msgs {
		from = append(from, msg.UID)
		into = append(into, a.insert(dst, a.mayFlags(dst, msg.Flags), msg.Body))
	}
	if move {
		for _, uid := range from {
			a.drop(m, uid)
		}
	}
	return from, into, true
}

// ClaimRecent claims all messages that nobody has been told of, and returns the
// UIDs that they have or had.
func (a *Account) ClaimRecent(m *Mailbox) []uint32 {
	if !a.may(m, "r") {
		return nil
	}
	var uids []uint32
	for uid := m.Claimed + 1; uid < m.UIDNext; uid++ {
		uids = append(uids, uid)
	}
	m.Claimed = m.UIDNext - 1
	return uids
}

// Recent returns how many messages nobody has claimed.
func (m *Mailbox) Recent() int {
	n := 0
	for _, msg := range m.Messages {
		if msg.UID > m.Claimed {
			n++
		}
	}
	return n
}

// Changed returns the messages with a modseq above since.
func (m *Mailbox) Changed(since uint64) []Message {
	var list []Message
	for _, msg := range m.Messages {
		if msg.ModSeq > since {
			list = append(list, msg)
		}
	}
	return list
}

// Vanished returns the UIDs expunged after since, ascending.
func (m *Mailbox) Vanished(since uint64) []uint32 {
	var list []uint32
	for uid, at := range m.Gone {
		if at > since {
			list = append(list, uid)
		}
	}
	slices.Sort(list)
	return list
}
