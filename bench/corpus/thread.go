package corpus

import (
	"fmt"
	"math/rand/v2"
)

// block is how many messages are divided into threads together, and how.
const block = 12

var lengths = [...]int{1, 1, 2, 3, 5}

// thread is what the messages of a thread have in common.
type thread struct {
	language *language
	subject  string
	people   [3]person // who writes, in turn
	list     string    // the mailing list it is on, if any
	first    int       // message that began it
	at       int       // which of its messages is looked at, from 0
}

// thread returns the thread of message i.
func (c *Corpus) thread(i int) thread {
	first := i / block * block
	order := c.rand(i/block, streamBlock).Perm(len(lengths))
	for _, n := range order {
		if i < first+lengths[n] {
			break
		}
		first += lengths[n]
	}
	r := c.rand(first, streamThread)
	l := &languages[r.IntN(len(languages))]
	t := thread{language: l, subject: pick(r, l.subjects), first: first, at: i - first}
	for j, k := range r.Perm(len(l.people))[:len(t.people)] {
		t.people[j] = l.people[k]
	}
	if r.IntN(4) == 0 {
		t.list = pick(r, []string{"announce", "team", "dev", "users"})
	}
	if r.IntN(2) == 0 {
		t.subject += fmt.Sprintf(" (%d)", 100+r.IntN(900))
	}
	return t
}

// author is who writes the message that is looked at.
func (t *thread) author() person { return t.people[t.at%len(t.people)] }

// answered is who wrote the one before.
func (t *thread) answered() person { return t.people[(t.at+len(t.people)-1)%len(t.people)] }

// person is who writes.
type person struct{ name, address string }

// me is whose mail it is.
var me = person{"Alice Example", "alice@example.org"}

// others returns some people to send copies to.
func (t *thread) others(r *rand.Rand) []person {
	var list []person
	for _, p := range t.people {
		if p != t.author() && r.IntN(2) == 0 {
			list = append(list, p)
		}
	}
	return list
}
