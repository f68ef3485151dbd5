package session

import (
	"slices"
	"strings"

	pb "github.com/quorumail/quorumail/proto/quorumail/v1"
)

// listing is what notifications need to know of an account, some tens of octets
// a mailbox.
type listing struct {
	modSeq uint64 // of the account
	// In the order of storage.
	boxes         []boxState
	subscriptions []string // ascending
}

// boxState is a mailbox of a listing.
type boxState struct {
	id, modSeq                           uint64
	name                                 string
	uidValidity, uidNext, exists, unseen uint32
}

func listingOf(list *pb.ListMailboxesResponse) listing {
	l := listing{modSeq: list.GetModSeq(), boxes: make([]boxState, 0, len(list.GetMailboxes())), subscriptions: slices.Clone(list.GetSubscriptions())}
	for _, info := range list.GetMailboxes() {
		l.boxes = append(l.boxes, boxState{
			id: info.GetId(), modSeq: info.GetHighestModSeq(), name: info.GetName(), uidValidity: info.GetUidValidity(),
			uidNext: info.GetUidNext(), exists: info.GetExists(), unseen: info.GetUnseen(),
		})
	}
	slices.Sort(l.subscriptions)
	return l
}

func (l *listing) subscribed(name string) bool {
	_, found := slices.BinarySearch(l.subscriptions, name)
	return found
}

// difference is what has happened between two listings.
type difference struct {
	// states are mailboxes of the later listing that are not what they were.
	states []stateChange
	// names are affected names, with what they were called before if they have
	// been renamed (RFC 5465, 5.4).
	names map[string]string
	// subscriptions are names that are subscribed to in one of both.
	subscriptions []string
}

type stateChange struct {
	at     int      // in the later listing
	before boxState // empty, as a mailbox is made, if it is new
	// reborn: another mailbox had its name.
	reborn bool
}

// compare returns what others have done between two listings.
func compare(before, after *listing, own *ownChanges) difference {
	var d difference
	byID := make(map[uint64]*boxState)
	byName := make(map[string]*boxState)
	for i := range before.boxes {
		b := &before.boxes[i]
		byID[b.id], byName[b.name] = b, b
	}
	renamed := make(map[string]string) // new name to old
	var affected []string
	for i := range after.boxes {
		now := &after.boxes[i]
		was, namesake := byID[now.id], byName[now.name]
		delete(byID, now.id)
		switch {
		case was == nil:
			affected = append(affected, now.name)
		case was.name != now.name:
			renamed[now.name] = was.name
		}
		switch {
		case namesake != nil && namesake.id != now.id:
			d.states = append(d.states, stateChange{at: i, before: boxState{uidNext: 1}, reborn: true})
		case was == nil:
			d.states = append(d.states, stateChange{at: i, before: boxState{uidNext: 1}})
		case was.modSeq != now.modSeq:
			d.states = append(d.states, stateChange{at: i, before: own.after(*was)})
		}
	}
	for _, was := range byID {
		affected = append(affected, was.name)
	}
	d.names = make(map[string]string)
	for _, name := range affected {
		if own.names[name] {
			continue
		}
		d.names[name] = ""
		if i := strings.LastIndexByte(name, '/'); i > 0 {
			d.names[name[:i]] = "" // the parent, too, whether or not it exists
		}
	}
	for name, old := range renamed {
		if !own.names[name] && !followsParent(renamed, name, old) {
			d.names[name] = old
		}
	}
	if !slices.Equal(before.subscriptions, after.subscriptions) {
		for _, name := range before.subscriptions {
			if !after.subscribed(name) && !own.subscriptions[name] {
				d.subscriptions = append(d.subscriptions, name)
			}
		}
		for _, name := range after.subscriptions {
			if !before.subscribed(name) && !own.subscriptions[name] {
				d.subscriptions = append(d.subscriptions, name)
			}
		}
	}
	return d
}

// followsParent reports whether a mailbox has a new name only because one above
// it has: of that nothing is told (RFC 5465, 5.4).
func followsParent(renamed map[string]string, name, old string) bool {
	for i := strings.LastIndexByte(name, '/'); i > 0; i = strings.LastIndexByte(name[:i], '/') {
		if above, ok := renamed[name[:i]]; ok && old == above+name[i:] {
			return true
		}
	}
	return false
}
