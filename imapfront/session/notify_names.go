package session

import (
	"maps"
	"slices"
	"strings"
)

// compareNames returns what is to be told of names (RFC 5465, 5.4): of those made
// and removed, with their parents, and of those renamed, but for those that are
// only below a renamed one. A client that does after each response what it says,
// and takes the names below a renamed one along, has the names of after at the
// end, whatever has happened in between.
func compareNames(before, after *listing) []nameChange {
	was, now := before.byName(), after.byName()
	if maps.Equal(was, now) {
		return nil
	}
	oldNames := make(map[uint64]string, len(was))
	for name, id := range was {
		oldNames[id] = name
	}
	renamed := make(map[string]string) // new name to old
	made := make(map[string]bool)
	for name, id := range now {
		old, known := oldNames[id]
		switch {
		case !known:
			made[name] = true
		case old != name:
			renamed[name] = old
		}
		delete(oldNames, id)
	}
	left := make(map[string]bool) // names that renamed mailboxes had and none has now
	for _, old := range renamed {
		left[old] = now[old] == 0
	}
	affected := make(map[string]string)
	affect := func(name string) {
		affected[name] = ""
		// The parent, too, whether or not it exists; unless it is now called
		// otherwise.
		if i := strings.LastIndexByte(name, '/'); i > 0 && !left[name[:i]] {
			affected[name[:i]] = ""
		}
	}
	for _, name := range oldNames {
		affect(name)
	}
	for name := range made {
		affect(name)
	}
	for name, old := range renamed {
		if !followsParent(renamed, name, old) {
			affected[name] = old
		}
	}
	return settled(inTellingOrder(affected, now), was, now)
}

// followsParent reports whether a mailbox has a new name only because one above
// it has: of that nothing is told.
func followsParent(renamed map[string]string, name, old string) bool {
	for i := strings.LastIndexByte(name, '/'); i > 0; i = strings.LastIndexByte(name[:i], '/') {
		if above, ok := renamed[name[:i]]; ok && old == above+name[i:] {
			return true
		}
	}
	return false
}

// inTellingOrder returns names, each with its old one if it has been renamed: first
// what does not exist; then what has been renamed, what was further below first,
// and each after the one that has left its new name; then the rest.
func inTellingOrder(names map[string]string, now hierarchyOf) []nameChange {
	var order, rest []nameChange
	var renamed []string
	byOld := make(map[string]string)
	for _, name := range slices.Sorted(maps.Keys(names)) {
		switch old := names[name]; {
		case old != "":
			renamed = append(renamed, name)
			byOld[old] = name
		case now[name] != 0:
			rest = append(rest, nameChange{name: name})
		default:
			order = append(order, nameChange{name: name})
		}
	}
	slices.SortStableFunc(renamed, func(a, b string) int {
		return strings.Count(names[b], "/") - strings.Count(names[a], "/")
	})
	begun := make(map[string]bool, len(renamed)) // names can have gone round in a circle
	for _, name := range renamed {
		var chain []nameChange
		for ; name != "" && !begun[name]; name = byOld[name] {
			begun[name] = true
			chain = append(chain, nameChange{name: name, old: names[name]})
		}
		slices.Reverse(chain)
		order = append(order, chain...)
	}
	return append(order, rest...)
}

// apply does what a client does that is told of a change: it knows then that the
// name exists or that it does not, as is now so. It reports whether the client
// takes the mailbox for a new one.
func (h hierarchyOf) apply(c nameChange, now hierarchyOf) (made bool) {
	if c.old != "" {
		moved := make(hierarchyOf)
		for name, id := range h {
			if name == c.old || strings.HasPrefix(name, c.old+"/") {
				delete(h, name)
				moved[c.name+name[len(c.old):]] = id
			}
		}
		maps.Copy(h, moved)
	}
	switch id := now[c.name]; {
	case id == 0:
		delete(h, c.name)
	case h[c.name] == 0:
		h[c.name] = id
		return true
	}
	return false
}

// settled adds to changes what a client would not get right from them alone.
func settled(changes []nameChange, was, now hierarchyOf) []nameChange {
	got := maps.Clone(was)
	for _, c := range changes {
		got.apply(c, now)
	}
	wrong := make(map[string]bool)
	for name := range got {
		wrong[name] = now[name] == 0
	}
	for name := range now {
		wrong[name] = got[name] == 0
	}
	for _, name := range slices.Sorted(maps.Keys(wrong)) {
		if wrong[name] {
			changes = append(changes, nameChange{name: name})
		}
	}
	return changes
}
