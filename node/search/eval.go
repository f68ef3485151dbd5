package search

import (
	"bytes"

	"github.com/quorumail/quorumail/proto/imapnum"
	pb "github.com/quorumail/quorumail/proto/quorumail/v1"
)

// bounds evaluates a tree with sets alone: the messages that surely match, and
// those that possibly do, which include them.
func (q *query) bounds(n *node) (sure, possible imapnum.Set, err error) {
	switch n.op {
	case opSet:
		sure = n.set.Intersect(q.all)
		return sure, sure, nil
	case opFlag:
		n.op = opSet // for decide
		n.set, err = q.mb.Flagged(n.flag)
		return n.set, n.set, err
	case opNot:
		sure, possible, err = q.bounds(n.kids[0])
		return q.all.Subtract(possible), q.all.Subtract(sure), err
	case opAnd:
		sure, possible = q.all, q.all
		for _, kid := range n.kids {
			s, p, err := q.bounds(kid)
			if err != nil {
				return sure, possible, err
			}
			sure, possible = sure.Intersect(s), possible.Intersect(p)
		}
		return sure, possible, nil
	case opOr:
		for _, kid := range n.kids {
			s, p, err := q.bounds(kid)
			if err != nil {
				return sure, possible, err
			}
			sure, possible = sure.Union(s), possible.Union(p)
		}
		return sure, possible, nil
	}
	return imapnum.Set{}, q.all, nil
}

// truth is what is known of a key and a message.
type truth uint8

const (
	unknown truth = iota
	no
	yes
)

func truthOf(b bool) truth {
	if b {
		return yes
	}
	return no
}

// candidate is what has been read of a message that is looked at. What is nil has
// not been read yet.
type candidate struct {
	rec    *pb.FetchedMessage
	email  *pb.Email
	header []field // of the message itself
	done   bool    // all texts have been looked through
}

// decide reads as much of a message as it takes to know whether it matches.
func (q *query) decide(root *node, rec *pb.FetchedMessage) (bool, error) {
	m := &candidate{rec: rec}
	clearHits(root)
	t := eval(root, m)
	if t != unknown {
		return t == yes, nil
	}
	var err error
	if m.email, err = q.mb.Email(rec.GetEmailId()); err != nil {
		return false, err
	}
	if t = eval(root, m); t != unknown {
		return t == yes, nil
	}
	q.body.open(q, m.email)
	if m.header, err = q.body.header(m.email.GetStructure()); err != nil {
		return false, err
	}
	if t = eval(root, m); t != unknown {
		return t == yes, nil
	}
	err = q.texts(root, m)
	return eval(root, m) == yes, err
}

// eval evaluates a tree with what is known of a message.
func eval(n *node, m *candidate) truth {
	switch n.op {
	case opSet:
		return truthOf(n.set.Contains(imapnum.UID(m.rec.GetState().GetUid())))
	case opRecord:
		return truthOf(n.record(m.rec))
	case opEmail:
		if m.email == nil {
			return unknown
		}
		return truthOf(n.email(m.email))
	case opHeader:
		return m.field(n)
	case opBody, opText:
		switch {
		case n.hit || len(n.needle) == 0:
			return yes
		case m.done:
			return no
		case n.op == opText && m.header != nil && inHeader(n.needle, m.header):
			n.hit = true
			return yes
		}
		return unknown
	case opNot:
		switch eval(n.kids[0], m) {
		case yes:
			return no
		case no:
			return yes
		}
		return unknown
	}
	// What decides an AND is a no, what decides an OR is a yes.
	decides, t := no, yes
	if n.op == opOr {
		decides, t = yes, no
	}
	for _, kid := range n.kids {
		switch eval(kid, m) {
		case decides:
			return decides
		case unknown:
			t = unknown
		}
	}
	return t
}

// field is the truth of a header key. The envelope can say yes without the
// header: it has the addresses in one form, however they are quoted.
func (m *candidate) field(n *node) truth {
	if m.header != nil {
		for _, f := range m.header {
			if f.name == n.field && bytes.Contains(f.text[f.value:], n.needle) {
				return yes
			}
		}
		return no
	}
	if m.email != nil && len(n.needle) > 0 && inEnvelope(n.field, n.needle, m.email.GetEnvelope()) {
		return yes
	}
	return unknown
}

func clearHits(n *node) {
	n.hit = false
	for _, kid := range n.kids {
		clearHits(kid)
	}
}

// open collects the keys of a tree that the rest of the message can still
// decide.
func open(n *node, m *candidate, list []*node) []*node {
	if eval(n, m) != unknown {
		return list
	}
	if n.op == opBody || n.op == opText {
		return append(list, n)
	}
	for _, kid := range n.kids {
		list = open(kid, m, list)
	}
	return list
}
