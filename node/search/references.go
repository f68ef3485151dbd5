package search

import (
	"context"
	"slices"
)

// nobody is no container.
const nobody = int32(-1)

// container is a message, or the place of one that is referred to and not there
// (a dummy). Links are indexes, so that a thread of any depth costs no stack.
type container struct {
	msg      int32 // index of the message, nobody for a dummy
	parent   int32
	children int32   // how many there are
	kids     []int32 // once the links are final
}

// forest is the threading by REFERENCES (RFC 5256, 3) under way.
type forest struct {
	ctx   context.Context
	msgs  []threaded
	c     []container
	byID  map[string]int32
	steps int
	root  []int32
}

// byReferences is REFERENCES; the numbers are the steps of RFC 5256.
func byReferences(ctx context.Context, msgs []threaded) ([]ThreadNode, error) {
	f := &forest{ctx: ctx, msgs: msgs, c: make([]container, 0, len(msgs)), byID: make(map[string]int32)}
	if err := f.link(); err != nil { // (1)
		return nil, err
	}
	f.gather() // (2)
	f.prune()  // (3)
	f.sort(f.root)
	f.subjects() // (5)
	f.sortAll()  // (6)
	return f.flatten(), nil
}

// link makes the links of step 1. All messages have their containers first, so
// that of two with one Message-ID the first has it, whoever refers to it.
func (f *forest) link() error {
	own := make([]int32, len(f.msgs))
	for i := range f.msgs {
		id := f.msgs[i].id
		if _, taken := f.byID[id]; id == "" || taken {
			own[i] = f.add(int32(i)) // as if its Message-ID were unique
			continue
		}
		own[i] = f.add(int32(i))
		f.byID[id] = own[i]
	}
	for i := range f.msgs {
		last := nobody
		for _, id := range f.msgs[i].refs {
			at, ok := f.byID[id]
			if !ok {
				at = f.add(nobody)
				f.byID[id] = at
			}
			if last != nobody && f.c[at].parent == nobody {
				if err := f.adopt(last, at); err != nil {
					return err
				}
			}
			last = at
		}
		me := own[i]
		if f.c[me].parent != nobody && f.c[me].parent != last {
			f.c[f.c[me].parent].children--
			f.c[me].parent = nobody
		}
		if last != nobody && f.c[me].parent == nobody {
			if err := f.adopt(last, me); err != nil {
				return err
			}
		}
	}
	return nil
}

func (f *forest) add(msg int32) int32 {
	f.c = append(f.c, container{msg: msg, parent: nobody})
	return int32(len(f.c) - 1)
}

// adopt makes one container the parent of another, unless that would be a loop.
func (f *forest) adopt(parent, child int32) error {
	if parent == child {
		return nil
	}
	if f.c[child].children > 0 { // else it is nobody's ancestor
		for at := parent; at != nobody; at = f.c[at].parent {
			if at == child {
				return nil
			}
			if f.steps++; f.steps%4096 == 0 {
				if err := f.ctx.Err(); err != nil {
					return err
				}
			}
		}
	}
	f.c[child].parent = parent
	f.c[parent].children++
	return nil
}

// gather makes lists of children of the links.
func (f *forest) gather() {
	for i := range f.c {
		if p := f.c[i].parent; p == nobody {
			f.root = append(f.root, int32(i))
		} else {
			f.c[p].kids = append(f.c[p].kids, int32(i))
		}
	}
}

func (f *forest) dummy(i int32) bool { return f.c[i].msg == nobody }

// order returns all containers below the root, parents before children.
func (f *forest) order() []int32 {
	list := slices.Clone(f.root)
	for i := 0; i < len(list); i++ {
		list = append(list, f.c[list[i]].kids...)
	}
	return list
}

// prune takes dummies out.
func (f *forest) prune() {
	list := f.order()
	for i := len(list) - 1; i >= 0; i-- {
		f.c[list[i]].kids = f.spliced(f.c[list[i]].kids, false)
	}
	f.root = f.spliced(f.root, true)
}

// spliced replaces dummies by their children, which have nobody among them. Those
// under the root are kept if they have several.
func (f *forest) spliced(kids []int32, root bool) []int32 {
	if !slices.ContainsFunc(kids, f.dummy) {
		return kids
	}
	var out []int32
	for _, k := range kids {
		switch n := len(f.c[k].kids); {
		case !f.dummy(k) || root && n > 1:
			out = append(out, k)
		default:
			out = append(out, f.c[k].kids...)
		}
	}
	return out
}

// first is the message that a container is sorted by: of a dummy its first child.
// The dummy's children are sorted.
func (f *forest) first(i int32) threaded {
	if f.dummy(i) {
		i = f.c[i].kids[0]
	}
	return f.msgs[f.c[i].msg]
}

// sort sorts siblings by sent date; before that, the children of dummies among
// them.
func (f *forest) sort(list []int32) {
	for _, i := range list {
		if f.dummy(i) {
			f.sort(f.c[i].kids) // which are no dummies
		}
	}
	slices.SortStableFunc(list, func(a, b int32) int { return compareDates(f.first(a), f.first(b)) })
}

// subjects joins the threads under the root that have the same base subject.
func (f *forest) subjects() {
	table := make(map[string]int32)
	for _, cur := range f.root {
		subject := f.first(cur).base
		if subject == "" {
			continue
		}
		old, ok := table[subject]
		if !ok || !f.dummy(old) && (f.dummy(cur) || f.reply(old) && !f.reply(cur)) {
			table[subject] = cur
		}
	}
	gone := make(map[int32]bool)
	instead := make(map[int32]int32) // of a message under the root, the dummy that takes its place
	for _, cur := range slices.Clone(f.root) {
		subject := f.first(cur).base
		if subject == "" {
			continue
		}
		old := table[subject]
		switch {
		case old == cur:
			continue
		case f.dummy(old) && f.dummy(cur):
			f.c[old].kids = append(f.c[old].kids, f.c[cur].kids...)
		case f.dummy(old), f.reply(cur) && !f.reply(old):
			f.c[old].kids = append(f.c[old].kids, cur)
		default:
			both := f.add(nobody)
			f.c[both].kids = []int32{cur, old}
			table[subject] = both
			instead[old] = both
		}
		gone[cur] = true
	}
	var root []int32
	for _, i := range f.root {
		if both, ok := instead[i]; ok {
			i = both
		}
		if !gone[i] {
			root = append(root, i)
		}
	}
	f.root = root
}

func (f *forest) reply(i int32) bool { return !f.dummy(i) && f.msgs[f.c[i].msg].reply }

// sortAll sorts all siblings, the youngest generation first.
func (f *forest) sortAll() {
	list := f.order()
	for i := len(list) - 1; i >= 0; i-- {
		f.sort(f.c[list[i]].kids)
	}
	f.sort(f.root)
}

// flatten returns the containers parent first.
func (f *forest) flatten() []ThreadNode {
	var nodes []ThreadNode
	stack := slices.Clone(f.root)
	slices.Reverse(stack)
	for len(stack) > 0 {
		i := stack[len(stack)-1]
		stack = stack[:len(stack)-1]
		n := ThreadNode{Children: len(f.c[i].kids)}
		if !f.dummy(i) {
			n.UID = f.msgs[f.c[i].msg].uid
		}
		nodes = append(nodes, n)
		for k := len(f.c[i].kids) - 1; k >= 0; k-- {
			stack = append(stack, f.c[i].kids[k])
		}
	}
	return nodes
}
