package session

import (
	"maps"
	"math"
	"slices"

	"github.com/quorumail/quorumail/proto/imapnum"
	pb "github.com/quorumail/quorumail/proto/quorumail/v1"
)

// listing is what notifications need to know of an account, some tens of octets
// a mailbox.
type listing struct {
	modSeq uint64 // of the account
	// In the order of storage.
	boxes         []boxState
	subscriptions []string // ascending
	// gone are names that are no mailbox's any more, with the mailbox that they were.
	gone map[string]uint64
}

// maxGone bounds the names that are remembered.
const maxGone = 1000

// remember notes which names the listing before had and this one has not.
func (l *listing) remember(before *listing) {
	now := l.byName()
	keep := func(name string, id uint64) {
		if now[name] != 0 || len(l.gone) >= maxGone {
			return
		}
		if l.gone == nil {
			l.gone = make(map[string]uint64)
		}
		l.gone[name] = id
	}
	for name, id := range before.gone {
		keep(name, id)
	}
	for i := range before.boxes {
		keep(before.boxes[i].name, before.boxes[i].id)
	}
}

// boxState is a mailbox of a listing.
type boxState struct {
	id, modSeq                           uint64
	name                                 string
	uidValidity, uidNext, exists, unseen uint32
	// denied: it may be looked up and not be read. There is no more to it then than
	// its name.
	denied bool
}

func listingOf(list *pb.ListMailboxesResponse) listing {
	l := listing{modSeq: list.GetModSeq(), boxes: make([]boxState, 0, len(list.GetMailboxes())), subscriptions: slices.Clone(list.GetSubscriptions())}
	for _, info := range list.GetMailboxes() {
		l.boxes = append(l.boxes, boxState{
			id: info.GetId(), modSeq: info.GetHighestModSeq(), name: info.GetName(), uidValidity: info.GetUidValidity(),
			uidNext: info.GetUidNext(), exists: info.GetExists(), unseen: info.GetUnseen(),
			denied: !rightsOn(info).Has(imapnum.RightRead),
		})
	}
	slices.Sort(l.subscriptions)
	return l
}

// hierarchyOf is which mailbox has which name.
type hierarchyOf map[string]uint64

func (l *listing) byName() hierarchyOf {
	h := make(hierarchyOf, len(l.boxes))
	for i := range l.boxes {
		h[l.boxes[i].name] = l.boxes[i].id
	}
	return h
}

func (l *listing) subscribed(name string) bool {
	_, found := slices.BinarySearch(l.subscriptions, name)
	return found
}

// difference is what others have done between two listings.
type difference struct {
	// states are mailboxes of the later listing that are not what the client
	// takes them for.
	states []stateChange
	// names are affected names (RFC 5465, 5.4), in the order in which they are to
	// be told.
	names []nameChange
	// subscriptions are names that are subscribed to in one of both.
	subscriptions []string
}

type stateChange struct {
	at     int      // in the later listing
	before boxState // empty, as a mailbox is made, if it is new
	// reborn: another mailbox had its name.
	reborn bool
}

// nameChange is a name that is to be listed as it is now.
type nameChange struct {
	name, old string // old: what it was before it was renamed; empty: it was not
	// lost: a mailbox had the name, and none has it now that the client may know of.
	lost bool
}

// other reports whether an id, if it is one, is not the one that is looked for.
func other(id, wanted uint64) bool { return id != 0 && id != wanted }

// compare returns what others have done between two listings.
func compare(before, after *listing) difference {
	d := difference{names: compareNames(before, after)}
	byID := make(map[uint64]*boxState)
	for i := range before.boxes {
		byID[before.boxes[i].id] = &before.boxes[i]
	}
	was, now := before.byName(), after.byName()
	for i := range d.names {
		c := &d.names[i]
		c.lost = c.old == "" && was[c.name] != 0 && now[c.name] == 0
	}
	known := maps.Clone(was) // to a client that is told of names
	for _, c := range d.names {
		if known.apply(c, now) && byID[now[c.name]] != nil {
			known[c.name] = math.MaxUint64 // it is not new
		}
	}
	for i := range after.boxes {
		b := &after.boxes[i]
		state := byID[b.id]
		switch {
		case b.denied:
		// A name may have been gone for a look: whoever is told of no names must hear
		// that another mailbox has it now.
		case other(was[b.name], b.id) || other(known[b.name], b.id) || was[b.name] == 0 && other(before.gone[b.name], b.id):
			d.states = append(d.states, stateChange{at: i, before: boxState{uidNext: 1}, reborn: true})
		case state == nil || state.denied: // it is new, or new to the client
			d.states = append(d.states, stateChange{at: i, before: boxState{uidNext: 1}})
		case state.modSeq != b.modSeq:
			d.states = append(d.states, stateChange{at: i, before: *state})
		}
	}
	if slices.Equal(before.subscriptions, after.subscriptions) {
		return d
	}
	for _, name := range before.subscriptions {
		if !after.subscribed(name) {
			d.subscriptions = append(d.subscriptions, name)
		}
	}
	for _, name := range after.subscriptions {
		if !before.subscribed(name) {
			d.subscriptions = append(d.subscriptions, name)
		}
	}
	return d
}
